"""The published formulas in plain NumPy, written apart from the package, for one array."""

import numpy as np


def gradient_descent(p, g, s, k):
    p -= 0.1 * g


def momentum(p, g, s, k):
    s["v"] = 0.8 * s.get("v", 0) + g
    p -= 0.1 * s["v"]


def nesterov(p, g, s, k):
    s["v"] = 0.8 * s.get("v", 0) + g
    p -= 0.1 * (g + 0.8 * s["v"])


def adagrad(p, g, s, k):
    s["n"] = s.get("n", 0) + g**2
    p -= 0.1 * g / (np.sqrt(s["n"]) + 1e-10)


def rmsprop(p, g, s, k):
    s["n"] = 0.7 * s.get("n", 0) + 0.3 * g**2
    p -= 0.1 * g / (np.sqrt(s["n"]) + 1e-6)


def adam(p, g, s, k):
    t = k + 1
    s["m"] = 0.8 * s.get("m", 0) + 0.2 * g
    s["v"] = 0.95 * s.get("v", 0) + 0.05 * g**2
    m_hat = s["m"] / (1 - 0.8**t)
    v_hat = s["v"] / (1 - 0.95**t)
    p -= 0.1 * m_hat / (np.sqrt(v_hat) + 1e-6)


def adamw(p, g, s, k):
    before = p.copy()
    adam(p, g, s, k)
    p -= 0.1 * 0.3 * before


def lion(p, g, s, k):
    m = s.get("m", np.zeros_like(p))
    c = np.sign(0.8 * m + 0.2 * g)
    s["m"] = 0.95 * m + 0.05 * g
    p -= 0.1 * (c + 0.3 * p)
