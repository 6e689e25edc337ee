"""W4's derivative by hand, in loops for numba."""

import numpy as np


def value_and_gradient(alphas, means, icf, x, gamma, m, value):
    n, d = x.shape
    k_all = alphas.size
    Q = np.zeros((k_all, d, d))
    shift = alphas.copy()
    d_alphas, d_means, d_icf = np.zeros(k_all), np.zeros((k_all, d)), np.zeros(icf.shape)
    for k in range(k_all):
        at = d
        for j in range(d):
            shift[k] += icf[k, j]
            Q[k, j, j] = np.exp(icf[k, j])
            for i in range(j + 1, d):
                Q[k, i, j] = icf[k, at]
                at += 1
    dQ = np.zeros((k_all, d, d))
    qx, c, w = np.zeros((k_all, d)), np.zeros((k_all, d)), np.zeros(k_all)
    for p in range(n):
        for k in range(k_all):
            w[k] = shift[k]
            for i in range(d):
                c[k, i] = x[p, i] - means[k, i]
            for i in range(d):
                total = 0.0
                for j in range(i + 1):
                    total += Q[k, i, j] * c[k, j]
                qx[k, i] = total
                w[k] -= 0.5 * total * total
        top = w.max()
        w[:] = np.exp(w - top)
        total = w.sum()
        value += np.log(total) + top
        for k in range(k_all):
            r = w[k] / total
            d_alphas[k] += r
            for i in range(d):
                g = r * qx[k, i]
                for j in range(i + 1):
                    d_means[k, j] += Q[k, i, j] * g
                    dQ[k, i, j] -= g * c[k, j]
    top = alphas.max()
    weights = np.exp(alphas - top)
    value -= n * (np.log(weights.sum()) + top)
    for k in range(k_all):
        at = d
        for j in range(d):
            q = Q[k, j, j]
            d_icf[k, j] = d_alphas[k] + dQ[k, j, j] * q + gamma * gamma * q * q - m
            value += 0.5 * gamma * gamma * q * q - m * icf[k, j]
            for i in range(j + 1, d):
                d_icf[k, at] = dQ[k, i, j] + gamma * gamma * Q[k, i, j]
                value += 0.5 * gamma * gamma * Q[k, i, j] ** 2
                at += 1
        d_alphas[k] -= n * weights[k] / weights.sum()
    return value, (d_alphas, d_means, d_icf)
