"""W4's derivative by hand, in loops for numba: a point at a time, as ADBench's manual one."""

import numba
import numpy as np

compiled = numba.njit(fastmath=True)


@compiled
def factors(alphas, icf, d, Q, shift):
    """Fill the lower factors (k, d, d) and the log weight of each component."""
    for k in range(alphas.size):
        at = d
        shift[k] = alphas[k]
        for j in range(d):
            shift[k] += icf[k, j]
            Q[k, j, j] = np.exp(icf[k, j])
            for i in range(j + 1, d):
                Q[k, i, j] = icf[k, at]
                at += 1


@compiled
def logits(x, means, Q, shift, c, qx, w):
    """Log weights of all components at a point; what the way back needs stays in `c` and `qx`."""
    d = x.size
    for k in range(shift.size):
        w[k] = shift[k]
        for i in range(d):
            c[k, i] = x[i] - means[k, i]
        for i in range(d):
            total = 0.0
            for j in range(i + 1):
                total += Q[k, i, j] * c[k, j]
            qx[k, i] = total
            w[k] -= 0.5 * total * total


@compiled
def back(w, c, qx, Q, d_alphas, d_means, dQ):
    """Add a point's share to the gradients, given its responsibilities."""
    d = c.shape[1]
    for k in range(w.size):
        d_alphas[k] += w[k]
        for i in range(d):
            g = w[k] * qx[k, i]
            for j in range(i + 1):
                d_means[k, j] += Q[k, i, j] * g
                dQ[k, i, j] -= g * c[k, j]


@compiled
def prior(icf, gamma, m, weights, Q, dQ, d_icf):
    """Give the Wishart prior's value; `d_icf` gets its gradient and that of the points."""
    value, d = 0.0, Q.shape[1]
    for k in range(weights.size):
        at = d
        for j in range(d):
            q = Q[k, j, j]
            d_icf[k, j] = weights[k] + dQ[k, j, j] * q + gamma * gamma * q * q - m
            value += 0.5 * gamma * gamma * q * q - m * icf[k, j]
            for i in range(j + 1, d):
                d_icf[k, at] = dQ[k, i, j] + gamma * gamma * Q[k, i, j]
                value += 0.5 * gamma * gamma * Q[k, i, j] ** 2
                at += 1
    return value


@compiled
def value_and_gradient(alphas, means, icf, x, gamma, m, value):
    """Begin with `value`, the terms without parameters."""
    n, d = x.shape
    components = alphas.size
    Q, shift = np.zeros((components, d, d)), np.zeros(components)
    factors(alphas, icf, d, Q, shift)
    d_alphas, d_means, d_icf = np.zeros(components), np.zeros(means.shape), np.zeros(icf.shape)
    dQ, w = np.zeros(Q.shape), np.zeros(components)
    c, qx = np.zeros(means.shape), np.zeros(means.shape)
    for p in range(n):
        logits(x[p], means, Q, shift, c, qx, w)
        top = w.max()
        w[:] = np.exp(w - top)
        total = w.sum()
        w /= total
        value += np.log(total) + top
        back(w, c, qx, Q, d_alphas, d_means, dQ)
    value += prior(icf, gamma, m, d_alphas, Q, dQ, d_icf)
    top = alphas.max()
    weights = np.exp(alphas - top)
    total = weights.sum()
    return value - n * (np.log(total) + top), (d_alphas - n * weights / total, d_means, d_icf)
