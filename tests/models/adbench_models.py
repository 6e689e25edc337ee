"""The objectives of ADBench in plain NumPy: nothing here knows of symdiff.

ADBench (https://github.com/microsoft/ADBench) measures tools for automatic differentiation on a
Gaussian mixture (GMM), bundle adjustment (BA) and a diagonal long short-term memory (LSTM). The
formulas are those of F. Srajer, Z. Kukelova, A. Fitzgibbon, "A benchmark of selected algorithmic
differentiation tools on some problems in computer vision and machine learning", Optimization
Methods and Software 33 (2018).
"""

import itertools
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.special import multigammaln

DATA = Path(__file__).parents[1] / "data" / "adbench"


class GMM(NamedTuple):
    """Weights (k,), means (k, d), inverse covariance factors (k, d (d + 1) / 2), points (n, d)."""

    alphas: Any
    means: Any
    icf: Any
    x: Any
    gamma: float
    m: int


class BA(NamedTuple):
    """Cameras (n, 11), points (m, 3), weights (p,), observations (p, 2) of indices, (p, 2)."""

    cams: Any
    points: Any
    w: Any
    obs: Any
    feats: Any


class LSTM(NamedTuple):
    """Two rows a layer of `main` (weights, biases) and `state` (hidden, cell); text one-hot."""

    main: Any
    extra: Any
    state: Any
    text: Any


def expected(name: str) -> tuple[np.ndarray, np.ndarray]:
    """ADBench's value and derivative, the latter flattened as ADBench does."""
    with np.load(DATA / "expected" / (name.replace("/", "__") + ".npz")) as z:
        return z["f"], z["J"]


def rows(lines: list[str], n: int) -> np.ndarray:
    """Take `n` lines of numbers."""
    taken, lines[:n] = lines[:n], []
    return np.array([[float(v) for v in line.split()] for line in taken])


def read_gmm(name: str) -> GMM:
    """Read an instance, such as ``"gmm/test"``."""
    lines = (DATA / f"{name}.txt").read_text(encoding="ascii").splitlines()
    d, k, n = (int(v) for v in lines.pop(0).split())
    alphas, means, icf = rows(lines, k)[:, 0], rows(lines, k), rows(lines, k)
    assert icf.shape == (k, d * (d + 1) // 2)
    x = rows(lines, n)
    gamma, m = lines.pop(0).split()
    return GMM(alphas, means, icf, x, float(gamma), int(m))


def read_ba(name: str) -> BA:
    """Read an instance, such as ``"ba/test"``: one camera, point, weight and feature, repeated."""
    lines = (DATA / f"{name}.txt").read_text(encoding="ascii").splitlines()
    n, m, p = (int(v) for v in lines.pop(0).split())
    cam, point, w, feat = (rows(lines, 1) for _ in range(4))
    obs = np.stack([np.arange(p) % n, np.arange(p) % m], axis=1)
    return BA(
        np.tile(cam, (n, 1)), np.tile(point, (m, 1)), np.tile(w[0], p), obs, np.tile(feat, (p, 1))
    )


def read_lstm(name: str) -> LSTM:
    """Read an instance, such as ``"lstm/lstm_l2_c1024"``."""
    lines = (DATA / f"{name}.txt").read_text(encoding="ascii").splitlines()
    layers, characters, _ = (int(v) for v in lines.pop(0).split())
    parts = []
    for n in (2 * layers, 3, 2 * layers, characters):
        assert not lines.pop(0).strip()
        parts.append(rows(lines, n))
    return LSTM(*parts)


# Gaussian mixture


def logsumexp(x, axis=-1):
    """log(sum(exp(x))) along an axis."""
    mx = np.max(x, axis=axis, keepdims=True)
    return np.squeeze(np.log(np.sum(np.exp(x - mx), axis=axis, keepdims=True)) + mx, axis=axis)


def log_wishart_prior(d, gamma, m, sum_qs, qdiags, icf):
    """Log density of the Wishart prior over all components."""
    n = d + m + 1
    k = icf.shape[0]
    constant = n * d * math.log(gamma / math.sqrt(2)) - multigammaln(0.5 * n, d)
    frobenius = np.sum(qdiags**2) + np.sum(icf[:, d:] ** 2)
    return 0.5 * gamma**2 * frobenius - m * np.sum(sum_qs) - k * constant


def lower_factors(d, icf):
    """Strictly lower triangles (k, d, d), filled column by column from the rows of `icf`."""
    columns = []
    start = d
    for i in range(d):
        n = d - i - 1
        zeros = np.zeros((icf.shape[0], i + 1))
        columns.append(np.concatenate([zeros, icf[:, start : start + n]], axis=1))
        start += n
    return np.stack(columns, axis=-1)


def lower_factors_in_place(d, icf):
    """As `lower_factors`, by assignment to slices of an array."""
    L = np.zeros((icf.shape[0], d, d))
    start = d
    for i in range(d):
        n = d - i - 1
        L[:, i + 1 :, i] = icf[:, start : start + n]
        start += n
    return L


def lower_factors_at_once(d, icf):
    """As `lower_factors`, by one assignment at integer arrays."""
    column, row = np.triu_indices(d, 1)
    L = np.zeros((icf.shape[0], d, d))
    L[:, row, column] = icf[:, d:]
    return L


def gmm(alphas, means, icf, x, gamma, m, factors=lower_factors):
    """Log likelihood of points under a mixture of Gaussians, with a Wishart prior."""
    n, d = x.shape
    qdiags = np.exp(icf[:, :d])
    sum_qs = np.sum(icf[:, :d], axis=1)
    centered = x[:, None, :] - means[None, :, :]
    qx = qdiags * centered + np.einsum("kij,nkj->nki", factors(d, icf), centered)
    inner = alphas + sum_qs - 0.5 * np.sum(qx**2, axis=2)
    return (
        -n * d * 0.5 * math.log(2 * math.pi)
        + np.sum(logsumexp(inner, axis=1))
        - n * logsumexp(alphas)
        + log_wishart_prior(d, gamma, m, sum_qs, qdiags, icf)
    )


# Bundle adjustment


def rotate(rot, x):
    """Rotate a point by an axis whose length is the angle (Rodrigues)."""
    sqtheta = np.sum(rot**2)
    if sqtheta != 0:
        theta = np.sqrt(sqtheta)
        w = rot / theta
        return (
            x * np.cos(theta) + np.cross(w, x) * np.sin(theta) + w * (w @ x) * (1 - np.cos(theta))
        )
    return x + np.cross(rot, x)


def project(cam, x):
    """Project a point: rotation 0:3, centre 3:6, focal length 6, principal point 7:9, radial 9:."""
    at = rotate(cam[:3], x - cam[3:6])
    flat = at[:2] / at[2]
    rsq = np.sum(flat**2)
    return flat * (1 + cam[9] * rsq + cam[10] * rsq**2) * cam[6] + cam[7:9]


def reprojection_error(cam, x, w, feat):
    """Weighted distance (2,) of one projected point from its feature."""
    return w * (project(cam, x) - feat)


def weight_error(w):
    """Keep the weights near one."""
    return 1 - w**2


def ba_by_observation(cams, points, w, obs, feats):
    """Errors of all observations, one by one; (2 p,) and (p,)."""
    errors = np.zeros((len(obs), 2))
    for i, (cam, point) in enumerate(obs):
        errors[i] = reprojection_error(cams[cam], points[point], w[i], feats[i])
    return errors.ravel(), weight_error(w)


def cross(a, b):
    """Cross products along the last axis."""
    return np.stack(
        [
            a[..., 1] * b[..., 2] - a[..., 2] * b[..., 1],
            a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2],
            a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0],
        ],
        axis=-1,
    )


def ba_reprojection(cams, points, w, obs, feats):
    """Reprojection errors (2 p,) of all observations at once."""
    cam = cams[obs[:, 0]]
    x = points[obs[:, 1]] - cam[:, 3:6]
    rot = cam[:, :3]
    sqtheta = np.sum(rot**2, axis=1, keepdims=True)
    theta = np.sqrt(sqtheta)
    axis = rot / theta
    turned = (
        x * np.cos(theta)
        + cross(axis, x) * np.sin(theta)
        + axis * np.sum(axis * x, axis=1, keepdims=True) * (1 - np.cos(theta))
    )
    at = np.where(sqtheta > 0, turned, x + cross(rot, x))
    flat = at[:, :2] / at[:, 2:]
    rsq = np.sum(flat**2, axis=1, keepdims=True)
    radial = 1 + cam[:, 9:10] * rsq + cam[:, 10:11] * rsq**2
    return (w[:, None] * (flat * radial * cam[:, 6:7] + cam[:, 7:9] - feats)).ravel()


def ba_columns(obs):
    """Index arrays (2 p, 15) that pick from the three dense or sparse blocks ADBench's row order.

    A row has eleven derivatives by the camera, three by the point, one by the weight.
    """
    p = len(obs)
    cam = 11 * obs[:, :1] + np.arange(11)
    point = 3 * obs[:, 1:] + np.arange(3)
    return tuple(np.repeat(block, 2, axis=0) for block in (cam, point, np.arange(p)[:, None]))


# Long short-term memory


def sigmoid(x):
    """Logistic function."""
    return 1 / (1 + np.exp(-x))


def lstm_cell(weight, bias, hidden, cell, x):
    """One layer, whose weights are diagonal."""
    gates = np.concatenate([x, hidden, x, hidden]) * weight + bias
    forget, ingate, outgate, change = np.split(gates, 4)
    cell = cell * sigmoid(forget) + sigmoid(ingate) * np.tanh(change)
    return sigmoid(outgate) * np.tanh(cell), cell


def lstm_predict(main, extra, state, x):
    """Next character's logits, and the next state."""
    after = np.zeros_like(state)
    x = x * extra[0]
    for i in range(0, len(state), 2):
        after[i], after[i + 1] = lstm_cell(main[i], main[i + 1], state[i], state[i + 1], x)
        x = after[i]
    return x * extra[1] + extra[2], after


def lstm(main, extra, state, text):
    """Mean loss of predicting each character of a text from those before it."""
    total = 0.0
    count = 0
    for now, then in itertools.pairwise(text):
        logits, state = lstm_predict(main, extra, state, now)
        total = total + np.sum(then * (logits - np.log(np.sum(np.exp(logits)) + 2)))
        count += len(then)
    return -total / count
