"""The 53 smooth problems of Moré and Wild: 22 functions, sizes and starts.

J. J. Moré, S. M. Wild, "Benchmarking derivative-free optimization algorithms", SIAM J. Optim. 20
(2009) 172-191, table 4.1. The functions are those of J. J. Moré, B. S. Garbow, K. E. Hillstrom,
"Testing unconstrained optimization software", ACM Trans. Math. Software 7 (1981) 17-41, and of the
CUTEr collection. Each is a sum of squares of the residuals below.
"""

from typing import NamedTuple

import numpy as np

BARD = [0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39]
KOWALIK = [0.1957, 0.1947, 0.1735, 0.16, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246]
KOWALIK_AT = [4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625]
MEYER = [34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820]
MEYER += [3307, 2872]
OSBORNE_1 = """
.844 .908 .932 .936 .925 .908 .881 .850 .818 .784 .751 .718 .685 .658 .628 .603 .580 .558 .538 .522
.506 .490 .478 .467 .457 .448 .438 .431 .424 .420 .414 .411 .406"""
OSBORNE_2 = """
1.366 1.191 1.112 1.013 .991 .885 .831 .847 .786 .725 .746 .679 .608 .655 .616 .606 .602 .626 .651
.724 .649 .649 .694 .644 .624 .661 .612 .558 .533 .495 .500 .423 .395 .375 .372 .391 .396 .405 .428
.429 .523 .562 .607 .653 .672 .708 .633 .668 .645 .632 .591 .559 .597 .625 .739 .710 .729 .720 .636
.581 .428 .292 .162 .098 .054"""
OSBORNE_1, OSBORNE_2 = (np.array(t.split(), float) for t in (OSBORNE_1, OSBORNE_2))


def linear(x, m):
    n = len(x)
    shared = -2 * np.sum(x) / m - 1
    return np.concatenate([x + shared, np.full(m - n, 1.0) * shared])


def linear_rank_1(x, m):
    return np.arange(1, m + 1) * np.sum(np.arange(1, len(x) + 1) * x) - 1


def linear_rank_1_zeros(x, m):
    n = len(x)
    total = np.sum(np.arange(2, n) * x[1 : n - 1])
    rows = np.arange(m) * (np.arange(m) < m - 1)
    return rows * total - 1


def rosenbrock(x, _):
    return np.array([10 * (x[1] - x[0] ** 2), 1 - x[0]])


def helical_valley(x, _):
    angle = np.arctan2(x[1], x[0]) / (2 * np.pi)
    angle = np.where(angle < -0.25, angle + 1, angle)
    radius = np.sqrt(x[0] ** 2 + x[1] ** 2)
    return np.array([10 * (x[2] - 10 * angle), 10 * (radius - 1), x[2]])


def powell_singular(x, _):
    return np.array(
        [
            x[0] + 10 * x[1],
            np.sqrt(5.0) * (x[2] - x[3]),
            (x[1] - 2 * x[2]) ** 2,
            np.sqrt(10.0) * (x[0] - x[3]) ** 2,
        ]
    )


def freudenstein_roth(x, _):
    a, b = x[0], x[1]
    return np.array([-13 + a + ((5 - b) * b - 2) * b, -29 + a + ((1 + b) * b - 14) * b])


def bard(x, m):
    u = np.arange(1.0, m + 1)
    v = 16 - u
    return np.array(BARD) - (x[0] + u / (v * x[1] + np.minimum(u, v) * x[2]))


def kowalik_osborne(x, _):
    v = np.array(KOWALIK_AT)
    return np.array(KOWALIK) - x[0] * (v**2 + v * x[1]) / (v**2 + v * x[2] + x[3])


def meyer(x, m):
    return x[0] * np.exp(x[1] / (45.0 + 5 * np.arange(1, m + 1) + x[2])) - np.array(MEYER, float)


def watson(x, _):
    n = len(x)
    t = np.arange(1, 30)[:, None] / 29.0
    powers = t ** np.arange(n)
    slopes = np.arange(1, n) * t ** np.arange(n - 1)
    inner = slopes @ x[1:] - (powers @ x) ** 2 - 1
    return np.concatenate([inner, np.array([x[0], x[1] - x[0] ** 2 - 1])])


def box_3d(x, m):
    i = np.arange(1.0, m + 1)
    t = i / 10
    return np.exp(-t * x[0]) - np.exp(-t * x[1]) + (np.exp(-i) - np.exp(-t)) * x[2]


def jennrich_sampson(x, m):
    i = np.arange(1.0, m + 1)
    return 2 + 2 * i - np.exp(i * x[0]) - np.exp(i * x[1])


def brown_dennis(x, m):
    t = np.arange(1.0, m + 1) / 5
    first = x[0] + t * x[1] - np.exp(t)
    second = x[2] + np.sin(t) * x[3] - np.cos(t)
    return first**2 + second**2


def chebyquad(x, m):
    n = len(x)
    before, now = np.ones(n), 2 * x - 1
    twice = 2 * now
    rows = []
    for k in range(m):
        mean = 0.0 if k % 2 == 0 else 1 / ((k + 1) ** 2 - 1)
        rows.append(np.sum(now) / n + mean)
        before, now = now, twice * now - before
    return np.array(rows)


def brown_almost_linear(x, _):
    n = len(x)
    return np.concatenate([x[:-1] + np.sum(x) - (n + 1), np.array([np.prod(x) - 1])])


def osborne_1(x, m):
    t = 10.0 * np.arange(m)
    return OSBORNE_1 - (x[0] + x[1] * np.exp(-t * x[3]) + x[2] * np.exp(-t * x[4]))


def osborne_2(x, m):
    t = np.arange(m) / 10.0
    peaks = [x[k + 1] * np.exp(-x[k + 5] * (t - x[k + 8]) ** 2) for k in range(3)]
    return OSBORNE_2 - (x[0] * np.exp(-t * x[4]) + peaks[0] + peaks[1] + peaks[2])


def bdqrtic(x, _):
    n = len(x)
    a, b, c, d = (x[k : n - 4 + k] ** 2 for k in range(4))
    return np.concatenate([3 - 4 * x[: n - 4], a + 2 * b + 3 * c + 4 * d + 5 * x[n - 1] ** 2])


def cube(x, _):
    return np.concatenate([x[:1] - 1, 10 * (x[1:] - x[:-1] ** 3)])


def mancino(x, _):
    i = np.arange(1.0, len(x) + 1)
    root = np.sqrt(x[:, None] ** 2 + i[:, None] / i)
    angle = np.log(root)
    terms = root * (np.sin(angle) ** 5 + np.cos(angle) ** 5)
    return 1400 * x + (i - 50) ** 3 + np.sum(terms, axis=1)


def heart_8(x, _):
    a, b, c, d, t, u, v, w = (x[k] for k in range(8))
    return np.array(
        [
            a + b + 0.69,
            c + d + 0.044,
            t * a + u * b - v * c - w * d + 1.57,
            v * a + w * b + t * c + u * d + 1.31,
            a * (t**2 - v**2) - 2 * c * t * v + b * (u**2 - w**2) - 2 * d * u * w + 2.65,
            c * (t**2 - v**2) + 2 * a * t * v + d * (u**2 - w**2) + 2 * b * u * w - 2.0,
            a * t * (t**2 - 3 * v**2)
            + c * v * (v**2 - 3 * t**2)
            + b * u * (u**2 - 3 * w**2)
            + d * w * (w**2 - 3 * u**2)
            + 12.6,
            c * t * (t**2 - 3 * v**2)
            - a * v * (v**2 - 3 * t**2)
            + d * u * (u**2 - 3 * w**2)
            - b * w * (w**2 - 3 * u**2)
            - 9.48,
        ]
    )


def mancino_start(n):
    i = np.arange(1.0, n + 1)
    root = np.sqrt(i[:, None] / i)
    angle = np.log(root)
    terms = np.sum(root * (np.sin(angle) ** 5 + np.cos(angle) ** 5), axis=1)
    return -8.710996e-4 * ((i - 50) ** 3 + terms)


OSBORNE_2_START = [1.3, 0.65, 0.65, 0.7, 0.6, 3, 5, 7, 2, 4.5, 5.5]
HEART_START = [-0.3, -0.39, 0.3, -0.344, -1.2, 2.69, 1.59, -1.5]

# Function, start for n variables, and (n, residuals, power of ten of the start's factor).
TABLE = [
    (linear, np.ones, [(9, 45, 0), (9, 45, 1)]),
    (linear_rank_1, np.ones, [(7, 35, 0), (7, 35, 1)]),
    (linear_rank_1_zeros, np.ones, [(7, 35, 0), (7, 35, 1)]),
    (rosenbrock, lambda _: [-1.2, 1], [(2, 2, 0), (2, 2, 1)]),
    (helical_valley, lambda _: [-1, 0, 0], [(3, 3, 0), (3, 3, 1)]),
    (powell_singular, lambda _: [3, -1, 0, 1], [(4, 4, 0), (4, 4, 1)]),
    (freudenstein_roth, lambda _: [0.5, -2], [(2, 2, 0), (2, 2, 1)]),
    (bard, np.ones, [(3, 15, 0), (3, 15, 1)]),
    (kowalik_osborne, lambda _: [0.25, 0.39, 0.415, 0.39], [(4, 11, 0)]),
    (meyer, lambda _: [0.02, 4000, 250], [(3, 16, 0)]),
    (watson, lambda n: np.full(n, 0.5), [(n, 31, k) for n in (6, 9, 12) for k in (0, 1)]),
    (box_3d, lambda _: [0, 10, 20], [(3, 10, 0)]),
    (jennrich_sampson, lambda _: [0.3, 0.4], [(2, 10, 0)]),
    (brown_dennis, lambda _: [25, 5, -5, -1], [(4, 20, 0), (4, 20, 1)]),
    (chebyquad, lambda n: np.arange(1, n + 1) / (n + 1), [(n, n, 0) for n in range(6, 12)]),
    (brown_almost_linear, lambda n: np.full(n, 0.5), [(10, 10, 0)]),
    (osborne_1, lambda _: [0.5, 1.5, 1, 0.01, 0.02], [(5, 33, 0)]),
    (osborne_2, lambda _: OSBORNE_2_START, [(11, 65, 0), (11, 65, 1)]),
    (bdqrtic, np.ones, [(8, 8, 0), (10, 12, 0), (11, 14, 0), (12, 16, 0)]),
    (cube, lambda n: np.full(n, 0.5), [(5, 5, 0), (6, 6, 0), (8, 8, 0)]),
    (mancino, mancino_start, [(n, n, k) for n, k in ((5, 0), (5, 1), (8, 0), (10, 0), (12, 0))]),
    (mancino, mancino_start, [(12, 12, 1)]),
    (heart_8, lambda _: HEART_START, [(8, 8, 0), (8, 8, 1)]),
]


class Problem(NamedTuple):
    """One of the 53."""

    name: str
    residuals: object
    m: int
    start: np.ndarray


def problems():
    return [
        Problem(
            f"{function.__name__}-{n}" + "-far" * k,
            function,
            m,
            10.0**k * np.asarray(start(n), float),
        )
        for function, start, sizes in TABLE
        for n, m, k in sizes
    ]
