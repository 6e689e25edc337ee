"""Models of several fields in plain NumPy: values, gradients, second derivatives, in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symdiff as sd

rng = np.random.default_rng(2024)


def flat(tree: Any) -> np.ndarray:
    """Concatenate a tree's numbers: dictionaries in their order, tuples, arrays."""
    if isinstance(tree, dict):
        return flat(tuple(tree.values()))
    if isinstance(tree, (tuple, list)):
        return np.concatenate([flat(t) for t in tree])
    return np.ravel(tree)


def like(tree: Any, numbers: np.ndarray) -> Any:
    """Give `numbers` the structure of a tree."""
    if isinstance(tree, dict):
        return dict(zip(tree, like(tuple(tree.values()), numbers), strict=True))
    if isinstance(tree, tuple):
        ends = np.cumsum([flat(t).size for t in tree])[:-1]
        parts = np.split(numbers, ends)
        return tuple(like(t, p) for t, p in zip(tree, parts, strict=True))
    return numbers.reshape(np.shape(tree))


def differences(f: Callable[..., Any], p: Any, direction: np.ndarray, step: float) -> Any:
    """Fourth-order central differences of `f` along a direction in the space of a tree."""
    at = flat(p)
    moved = {k: np.asarray(f(like(p, at + k * step * direction))) for k in (-2, -1, 1, 2)}
    return (8 * (moved[1] - moved[-1]) - (moved[2] - moved[-2])) / (12 * step)


def check(f: Callable[[Any], Any], p: Any, step: float = 1e-4, directions: int = 6) -> None:
    """Value as NumPy's; gradient, forward mode and second order as differences."""
    value = f(p)
    assert np.shape(value) == ()
    np.testing.assert_allclose(sd.jit(f)(p), value, rtol=1e-12)
    got, gradient = sd.value_and_grad(f)(p)
    np.testing.assert_allclose(got, value, rtol=1e-12)
    g = flat(gradient)
    assert g.dtype == np.float64
    size = flat(p).size
    draw = np.random.default_rng(1)
    for k in range(directions):
        # A unit vector every other time, so that one wrong entry does not hide among many.
        v = draw.normal(size=size) if k % 2 else np.eye(size)[draw.integers(size)]
        v /= np.linalg.norm(v)
        slope = differences(f, p, v, step)
        np.testing.assert_allclose(g @ v, slope, rtol=1e-7, atol=1e-8 * np.max(np.abs(g)))
        value_there, tangent = sd.jvp(f, (p,), (like(p, v),))
        np.testing.assert_allclose(value_there, value, rtol=1e-12)
        np.testing.assert_allclose(tangent, g @ v, rtol=1e-10, atol=1e-12 * np.max(np.abs(g)))
        gradient_there, product = sd.hvp(f, (p,), (like(p, v),))
        np.testing.assert_allclose(flat(gradient_there), g, rtol=1e-10, atol=1e-12)
        curve = differences(lambda q: flat(sd.grad(f)(q)), p, v, step)
        np.testing.assert_allclose(
            flat(product), curve, rtol=1e-6, atol=1e-7 * np.max(np.abs(curve))
        )


def check_hessian(f: Callable[[np.ndarray], Any], x: np.ndarray, step: float = 1e-4) -> None:
    """Compare the whole Hessian by one array with differences of the gradient."""
    n = x.size
    gradient = sd.grad(f)
    want = [differences(lambda q: gradient(q).ravel(), x, e, step) for e in np.eye(n)]
    got = sd.hessian(f)(x)
    assert got.shape == x.shape * 2
    scale = np.max(np.abs(want))
    np.testing.assert_allclose(got.reshape(n, n), np.stack(want), rtol=1e-6, atol=1e-8 * scale)
    np.testing.assert_allclose(
        got.reshape(n, n), got.reshape(n, n).T, rtol=1e-9, atol=1e-12 * scale
    )


# A small convolutional network


def convolve(images, kernels, bias):
    """Correlate (n, h, w, c) with kernels (kh, kw, c, d), without padding, offset by offset."""
    kh, kw = kernels.shape[:2]
    n, h, w, _ = images.shape
    out = np.zeros((n, h - kh + 1, w - kw + 1, kernels.shape[3]))
    for i in range(kh):
        for j in range(kw):
            patch = images[:, i : i + h - kh + 1, j : j + w - kw + 1, :]
            out = out + patch @ kernels[i, j]
    return out + bias


def convolve_in_place(images, kernels, bias):
    """As `convolve`, adding to an array in place."""
    kh, kw = kernels.shape[:2]
    n, h, w, _ = images.shape
    out = np.zeros((n, h - kh + 1, w - kw + 1, kernels.shape[3]))
    for i in range(kh):
        for j in range(kw):
            patch = images[:, i : i + h - kh + 1, j : j + w - kw + 1, :]
            out += np.einsum("nhwc,cd->nhwd", patch, kernels[i, j])
    out += bias
    return out


def convolve_by_gather(images, kernels, bias):
    """As `convolve`, with all patches taken at once by integer arrays."""
    kh, kw = kernels.shape[:2]
    _, h, w, _ = images.shape
    rows = np.arange(h - kh + 1)[:, None] + np.arange(kh)
    columns = np.arange(w - kw + 1)[:, None] + np.arange(kw)
    patches = images[:, rows[:, None, :, None], columns[None, :, None, :]]
    return np.tensordot(patches, kernels, axes=((3, 4, 5), (0, 1, 2))) + bias


def pool(x):
    """Take the largest of every 2 by 2 block."""
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))


def pool_by_slices(x):
    """As `pool`."""
    top = np.maximum(x[:, ::2, ::2], x[:, 1::2, ::2])
    return np.maximum(top, np.maximum(x[:, ::2, 1::2], x[:, 1::2, 1::2]))


def relu(x):
    return np.maximum(x, 0.0)


def cross_entropy(logits, labels):
    """Mean of -log softmax at the labels, one-hot."""
    shifted = logits - np.max(logits, axis=1, keepdims=True)
    log_probability = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    return -np.mean(np.sum(labels * log_probability, axis=1))


def network(p, images, labels, convolution, pooling):
    """Two convolutions, pooling, one dense layer."""
    x = relu(convolution(images, p["k1"], p["b1"]))
    x = pooling(relu(convolution(x, p["k2"], p["b2"])))
    logits = x.reshape(x.shape[0], -1) @ p["w"] + p["b"]
    return cross_entropy(logits, labels)


IMAGES = rng.normal(size=(3, 8, 8, 2))
LABELS = np.eye(4)[[1, 3, 0]]
NETWORK = {
    "k1": 0.4 * rng.normal(size=(3, 3, 2, 3)),
    "b1": 0.1 * rng.normal(size=3),
    "k2": 0.4 * rng.normal(size=(3, 3, 3, 2)),
    "b2": 0.1 * rng.normal(size=2),
    "w": 0.5 * rng.normal(size=(8, 4)),
    "b": 0.1 * rng.normal(size=4),
}
CONVOLUTIONS = [
    (convolve, pool),
    (convolve_in_place, pool),
    (convolve_by_gather, pool),
    (convolve, pool_by_slices),
]


@pytest.mark.parametrize(
    ("convolution", "pooling"), CONVOLUTIONS, ids=["offsets", "in place", "gather", "slices"]
)
def test_convolutional_network(convolution, pooling):
    def loss(p):
        return network(p, IMAGES, LABELS, convolution, pooling)

    # Small steps, so that no maximum changes its element; the differences show it when one does.
    want = network(NETWORK, IMAGES, LABELS, convolve, pool)
    assert loss(NETWORK) == pytest.approx(want, rel=1e-13)
    check(loss, NETWORK, step=2e-5, directions=4)


def test_convolutional_network_with_data_as_arguments():
    def loss(p, images, labels):
        return network(p, images, labels, convolve, pool)

    step = sd.value_and_grad(loss)
    for n in (3, 1, 2):
        value, gradient = step(NETWORK, IMAGES[:n], LABELS[:n])
        assert value == pytest.approx(loss(NETWORK, IMAGES[:n], LABELS[:n]), rel=1e-12)
        v = flat(NETWORK) / np.linalg.norm(flat(NETWORK))
        slope = differences(lambda p, n=n: loss(p, IMAGES[:n], LABELS[:n]), NETWORK, v, 1e-6)
        assert flat(gradient) @ v == pytest.approx(float(slope), rel=1e-6)


# Gaussian process

INPUTS = np.sort(rng.uniform(-2, 2, 7))
TARGETS = np.sin(2 * INPUTS) + 0.1 * rng.normal(size=7)
HYPER = np.array([0.3, -0.2, -1.5])


def covariance(theta):
    """Squared exponentials plus noise; logarithms of scale, length and noise."""
    scale, length, noise = np.exp(theta)
    distance = INPUTS[:, None] - INPUTS[None, :]
    return scale**2 * np.exp(-0.5 * (distance / length) ** 2) + noise**2 * np.eye(len(INPUTS))


def evidence_by_slogdet(theta):
    K = covariance(theta)
    _, logdet = np.linalg.slogdet(K)
    fit = TARGETS @ np.linalg.solve(K, TARGETS)
    return -0.5 * (fit + logdet + len(TARGETS) * np.log(2 * np.pi))


def evidence_by_cholesky(theta):
    L = np.linalg.cholesky(covariance(theta))
    white = np.linalg.solve(L, TARGETS)
    logdet = 2 * np.sum(np.log(np.diag(L)))
    return -0.5 * (white @ white + logdet + len(TARGETS) * np.log(2 * np.pi))


def evidence_by_two_solves(theta):
    L = np.linalg.cholesky(covariance(theta))
    alpha = np.linalg.solve(L.T, np.linalg.solve(L, TARGETS))
    logdet = 2 * np.log(np.diagonal(L)).sum()
    return -0.5 * (TARGETS @ alpha + logdet + len(TARGETS) * np.log(2 * np.pi))


def evidence_by_inverse(theta):
    K = covariance(theta)
    logdet = np.log(np.linalg.det(K))
    return -0.5 * (TARGETS @ np.linalg.inv(K) @ TARGETS + logdet + len(TARGETS) * np.log(2 * np.pi))


EVIDENCES = [evidence_by_slogdet, evidence_by_cholesky, evidence_by_two_solves, evidence_by_inverse]


@pytest.mark.parametrize("f", EVIDENCES, ids=[f.__name__ for f in EVIDENCES])
def test_evidence_of_a_gaussian_process(f):
    assert f(HYPER) == pytest.approx(evidence_by_slogdet(HYPER), rel=1e-10)
    check(f, HYPER)
    check_hessian(f, HYPER)
    # The textbook's gradient: Rasmussen & Williams, Gaussian Processes (2006), equation 5.9.
    K = covariance(HYPER)
    inverse = np.linalg.inv(K)
    alpha = inverse @ TARGETS
    scale, length, noise = np.exp(HYPER)
    distance = INPUTS[:, None] - INPUTS[None, :]
    signal = scale**2 * np.exp(-0.5 * (distance / length) ** 2)
    by = [2 * signal, signal * (distance / length) ** 2, 2 * noise**2 * np.eye(7)]
    want = [0.5 * np.trace((np.outer(alpha, alpha) - inverse) @ d) for d in by]
    np.testing.assert_allclose(sd.grad(f)(HYPER), want, rtol=1e-9)


def test_prediction_of_a_gaussian_process():
    at = np.array([-1.0, 0.25, 1.5])

    def mean(theta):
        scale, length, _ = np.exp(theta)
        cross = scale**2 * np.exp(-0.5 * ((at[:, None] - INPUTS) / length) ** 2)
        return cross @ np.linalg.solve(covariance(theta), TARGETS)

    np.testing.assert_allclose(sd.jit(mean)(HYPER), mean(HYPER), rtol=1e-11)
    want = np.stack([differences(mean, HYPER, e, 1e-4) for e in np.eye(3)], axis=1)
    np.testing.assert_allclose(sd.jacobian(mean)(HYPER), want, rtol=1e-8, atol=1e-9)


# Softmax regression

FEATURES = rng.normal(size=(20, 4))
CLASSES = rng.integers(0, 3, 20)
REGRESSION = {"w": 0.3 * rng.normal(size=(4, 3)), "b": 0.1 * rng.normal(size=3)}


def by_one_hot(p):
    logits = FEATURES @ p["w"] + p["b"]
    return cross_entropy(logits, np.eye(3)[CLASSES]) + 0.01 * np.sum(p["w"] ** 2)


def by_gather(p):
    logits = FEATURES @ p["w"] + p["b"]
    shifted = logits - logits.max(axis=1)[:, None]
    normaliser = np.log(np.exp(shifted).sum(axis=1))
    chosen = shifted[np.arange(len(CLASSES)), CLASSES]
    return np.mean(normaliser - chosen) + 0.01 * np.sum(p["w"] ** 2)


@pytest.mark.parametrize("f", [by_one_hot, by_gather], ids=["one-hot", "gather"])
def test_softmax_regression(f):
    check(f, REGRESSION)
    check_hessian(lambda w: f({"w": w, "b": REGRESSION["b"]}), REGRESSION["w"])
    logits = FEATURES @ REGRESSION["w"] + REGRESSION["b"]
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    error = (probability - np.eye(3)[CLASSES]) / 20
    gradient = sd.grad(f)(REGRESSION)
    np.testing.assert_allclose(gradient["b"], error.sum(axis=0), rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(
        gradient["w"], FEATURES.T @ error + 0.02 * REGRESSION["w"], rtol=1e-11, atol=1e-14
    )


def test_softmax_regression_with_classes_as_an_argument():
    """Where to read is then a traced array of integers."""

    def loss(w, x, classes):
        logits = x @ w
        chosen = logits[np.arange(classes.shape[0]), classes]
        return np.mean(np.log(np.sum(np.exp(logits), axis=1)) - chosen)

    w = REGRESSION["w"]
    gradient = sd.grad(loss)
    for n in (20, 7):
        x, classes = FEATURES[:n], CLASSES[:n]
        np.testing.assert_allclose(sd.jit(loss)(w, x, classes), loss(w, x, classes), rtol=1e-13)
        probability = np.exp(x @ w) / np.exp(x @ w).sum(axis=1, keepdims=True)
        want = x.T @ (probability - np.eye(3)[classes]) / n
        np.testing.assert_allclose(gradient(w, x, classes), want, rtol=1e-11, atol=1e-14)


# Lennard-Jones


def energy_by_broadcasting(r):
    """Sum over all pairs, each once, with the diagonal guarded."""
    d = r[:, None, :] - r[None, :, :]
    square = np.sum(d**2, axis=-1)
    other = ~np.eye(len(r), dtype=bool)
    s6 = np.where(other, 1 / square**3, 0.0)
    return 2 * np.sum(s6**2 - s6)


def energy_by_filling(r):
    """As above; the diagonal's distances are set to one and its energies to zero."""
    square = np.sum((r[:, None] - r[None]) ** 2, axis=2) + np.eye(len(r))
    s6 = square**-3
    return 2 * np.sum((s6**2 - s6) * (1 - np.eye(len(r))))


def energy_by_pairs(r):
    """Sum over pairs of indices."""
    i, j = np.triu_indices(len(r), k=1)
    s6 = np.sum((r[i] - r[j]) ** 2, axis=1) ** -3
    return 4 * np.sum(s6**2 - s6)


def energy_by_norms(r):
    """Sum over pairs, by distances."""
    i, j = np.triu_indices(len(r), k=1)
    distance = np.linalg.norm(r[i] - r[j], axis=-1)
    return np.sum(4 * ((1 / distance) ** 12 - (1 / distance) ** 6))


def energy_by_loops(r):
    """Sum over pairs, one by one."""
    total = 0.0
    for i in range(len(r)):
        for j in range(i):
            s6 = 1 / np.sum((r[i] - r[j]) ** 2) ** 3
            total += 4 * (s6**2 - s6)
    return total


ENERGIES = [
    energy_by_broadcasting,
    energy_by_filling,
    energy_by_pairs,
    energy_by_norms,
    energy_by_loops,
]
GRID = np.stack(np.meshgrid([0, 1.1], [0, 1.15], [0, 1.2], indexing="ij"), axis=-1).reshape(-1, 3)
PARTICLES = GRID[:6] + 0.05 * rng.normal(size=(6, 3))


def forces(r):
    """Minus the gradient, by hand."""
    out = np.zeros_like(r)
    for i in range(len(r)):
        for j in range(len(r)):
            if i != j:
                d = r[i] - r[j]
                s = d @ d
                out[i] += (48 / s**7 - 24 / s**4) * d
    return out


@pytest.mark.parametrize("f", ENERGIES, ids=[f.__name__ for f in ENERGIES])
def test_energy_of_particles(f):
    with np.errstate(divide="ignore", invalid="ignore"):
        assert f(PARTICLES) == pytest.approx(energy_by_loops(PARTICLES), rel=1e-13)
        check(f, PARTICLES, step=1e-4, directions=4)
        check_hessian(f, PARTICLES, step=5e-5)
    got = sd.grad(f)(PARTICLES)
    np.testing.assert_allclose(got, -forces(PARTICLES), rtol=1e-10, atol=1e-11)
    # Nothing outside acts on the particles: the forces add up to nothing, also to first order.
    np.testing.assert_allclose(got.sum(axis=0), 0, atol=1e-10)
    H = sd.hessian(f)(PARTICLES)
    np.testing.assert_allclose(H.sum(axis=2), 0, atol=1e-8)


def test_any_number_of_particles():
    gradient = sd.grad(energy_by_broadcasting)
    for n in (6, 2, 4, 6):
        np.testing.assert_allclose(
            gradient(PARTICLES[:n]), -forces(PARTICLES[:n]), rtol=1e-10, atol=1e-11
        )
    pairs = sd.grad(energy_by_pairs)
    for n in (3, 5):
        np.testing.assert_allclose(
            pairs(PARTICLES[:n]), -forces(PARTICLES[:n]), rtol=1e-10, atol=1e-11
        )
