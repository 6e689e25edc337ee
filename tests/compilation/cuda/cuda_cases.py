"""Functions that meet every part of the CUDA target, with arguments."""

import numpy as np

import symdiff as sd

RNG = np.random.default_rng(3)
X = RNG.standard_normal(50)
A, W = RNG.standard_normal((50, 7)), RNG.standard_normal(7)
Y = (X > 0) * 1.0
M = RNG.standard_normal((5, 5))
K = RNG.integers(-50, 50, 30)


def likelihood(w, a, y):
    z = a @ w
    return np.mean(np.logaddexp(0, z) - y * z)


def decay(x):
    s = 0.0
    for i in range(len(x)):
        s = s * 0.5 + x[i]
    return s


def shrink(x, w):
    k = 0
    while np.sum(w * w) > 1e-3 and k < 20:
        w = w * 0.7 - 0.01 * np.sum(x) * w
        k = k + 1
    return w, k


def branch(x, a):
    if a > 0:
        return np.sin(x) * a, np.sum(x)
    return np.cos(x), a


def root(a):
    z = a
    for _ in range(20):
        z = z - (z * z * z - a) / (3 * z * z)
    return z


def halved(x):
    y = x
    while y > 0.1:
        y = y / 2 + 0.01 * np.sin(y)
    return y


def descent(w, a, y):
    for _ in range(30):
        g = a.T @ (1 / (1 + np.exp(-a @ w)) - y) / len(y)
        w = w - 0.5 * g
    return w


def written(x):
    y = np.zeros(len(x))
    y[0] = x[0]
    for i in range(len(x) - 1):
        y[i + 1] = 0.5 * x[i] + np.sin(y[i])
    return y


def small_matrices(m):
    return np.linalg.solve(m @ m.T + np.eye(5), m[0]), np.linalg.cholesky(m @ m.T + np.eye(5))


def matrix_exponential(m):
    values, vectors = np.linalg.eigh(m + m.T)
    return (vectors * np.exp(values)) @ vectors.T


CASES = {
    "map": (sd.jit(lambda x: np.exp(-(x**2)) * np.sin(x)), (X,)),
    "float32 map": (sd.grad(lambda x: np.sum(np.tanh(x) * x)), (X.astype("f4"),)),
    "number": (sd.grad(lambda x, y: x * y + np.sin(x), (0, 1)), (1.5, 2.0)),
    "sum": (sd.value_and_grad(likelihood), (W, A, Y)),
    "Hessian": (sd.hessian(likelihood), (W, A, Y)),
    "product": (sd.jit(lambda a: a.T @ a), (A,)),
    "extrema": (sd.grad(lambda x: np.max(x) + np.min(x * 2)), (X,)),
    "arguments": (sd.jit(lambda x, y: (x, y, x)), (X, 2.0)),
    "matrices": (sd.value_and_grad(lambda m: sum(np.sum(x) for x in small_matrices(m))), (M,)),
    "eigenvalues": (sd.grad(lambda m: np.sum(np.sin(np.linalg.eigvalsh(m + m.T)))), (M,)),
    "matrix function": (sd.jit(matrix_exponential), (M,)),
    "running sum": (sd.grad(lambda x: np.sum(np.cumsum(x) ** 2)), (X,)),
    "sorted": (sd.jit(np.sort), (X,)),
    "loop": (sd.value_and_grad(decay), (X,)),
    "while": (sd.jit(shrink), (X, W)),
    "branch taken": (sd.jit(branch), (X, 2.0)),
    "branch not taken": (sd.jit(branch), (X, -2.0)),
    "batch": (sd.vmap(sd.value_and_grad(root)), (np.abs(X) + 1,)),
    "steps counted": (sd.vmap(sd.grad(halved)), (np.abs(X) + 1,)),
    "training": (sd.jit(descent), (W, A, Y)),
    "written to": (sd.value_and_grad(lambda x: np.sum(written(x) ** 2)), (X,)),
    "scattered": (sd.grad(lambda x, k: np.sum(np.sin(x[k]) ** 2)), (X, K)),
    "rows scattered": (sd.grad(lambda a, k: np.sum(np.sin(a[k]) ** 2)), (A, K)),
    "gathered": (sd.grad(lambda x: np.sum(x[np.array([3, 1, 3])] ** 2)), (X,)),
}
