"""Random array programs: kernel against NumPy, forward against reverse mode, source against kernel.

A program is a sequence of operations on a pool of arrays; whatever fits the shapes at hand is done.
The schedule is what is mostly under test: fusion, storage in rows and registers, starts and stores.
"""

import numpy as np
import pytest

import symdiff as sd
from symdiff.compilation.cpu.kernel import compile_program
from symdiff.compilation.source import compile_source

SEEDS = range(60)


def fit_together(a, b):
    try:
        np.broadcast_shapes(tuple(map(int, a.shape)), tuple(map(int, b.shape)))
    except ValueError:
        return False
    return True


def elementwise(function):
    return lambda a, b, k: function(a, b) if fit_together(a, b) else None


def of_rank(least, function):
    return lambda a, b, k: function(a, k % max(a.ndim, 1)) if a.ndim >= least else None


def product(a, b, k):
    if not (1 <= a.ndim <= 2 and 1 <= b.ndim <= 2) or a.shape[-1] != b.shape[0]:
        return None
    return a @ b


OPERATIONS = [
    elementwise(lambda a, b: a + b),
    elementwise(lambda a, b: a * b),
    elementwise(lambda a, b: a - b),
    elementwise(np.maximum),
    elementwise(lambda a, b: np.where(a > 0, a, b)),
    product,
    of_rank(0, lambda a, k: np.sin(a)),
    of_rank(0, lambda a, k: 2 * np.tanh(a)),
    of_rank(0, lambda a, k: a**2),
    of_rank(0, lambda a, k: np.exp(-a * a)),
    of_rank(0, lambda a, k: np.stack([a, a + 1.0], axis=k)),
    of_rank(1, lambda a, k: a.sum(axis=k)),
    of_rank(1, lambda a, k: a.mean(axis=k, keepdims=True)),
    of_rank(1, lambda a, k: a.max(axis=k)),
    of_rank(1, lambda a, k: a[1:] * a[:-1] if a.shape[0] > 1 else None),
    of_rank(1, lambda a, k: a[::-1]),
    of_rank(1, lambda a, k: a[::2]),
    of_rank(1, lambda a, k: a[..., 0]),
    of_rank(1, lambda a, k: 1.5 * a[None]),
    of_rank(1, lambda a, k: a[np.array([0, 1, 0]) % int(a.shape[0])]),
    of_rank(1, lambda a, k: a.reshape(-1)),
    of_rank(1, lambda a, k: np.concatenate([a, 2 * a], axis=k)),
    of_rank(1, lambda a, k: np.linalg.norm(a + 3.0)),
    of_rank(1, lambda a, k: a[-1] * a.sum()),
    of_rank(2, lambda a, k: a.T),
    of_rank(2, lambda a, k: np.swapaxes(a, 0, k) + np.diagonal(a).sum()),
]


def make(seed):
    """Make a function of five arrays, and arrays for it."""
    rng = np.random.default_rng(seed)
    n, m = (int(k) for k in rng.integers(2, 6, size=2))
    inputs = [rng.standard_normal(shape) for shape in [(n, m), (n,), (m,), (), (m, n)]]
    steps = rng.integers(0, 1000, size=(int(rng.integers(3, 14)), 4))

    def f(*arrays):
        pool = list(arrays)
        for which, i, j, k in steps:
            a, b = pool[i % len(pool)], pool[j % len(pool)]
            made = OPERATIONS[which % len(OPERATIONS)](a, b, k)
            if made is not None and made.ndim <= 4 and int(made.size) <= 400:
                pool.append(made)
        made = pool[len(arrays) :] or [1.0 * arrays[0]]
        return made[-1], made[len(made) // 2], sum(np.sum(np.sin(x)) for x in made)

    return f, inputs, rng


@pytest.mark.parametrize("seed", SEEDS)
def test_kernel_gives_what_numpy_gives(seed):
    f, inputs, _ = make(seed)
    for got, expected in zip(sd.jit(f)(*inputs), f(*inputs), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
def test_forward_and_reverse_mode_agree(seed):
    f, inputs, rng = make(seed)

    def scalar(*arrays):
        return f(*arrays)[2]

    direction = [rng.standard_normal(x.shape) for x in inputs]
    gradient = sd.grad(scalar, tuple(range(5)))(*inputs)
    _, tangent = sd.jvp(scalar, tuple(inputs), tuple(direction))
    along = sum(np.sum(g * d) for g, d in zip(gradient, direction, strict=True))
    np.testing.assert_allclose(along, tangent, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seed", SEEDS[::3])
def test_jacobian_has_the_tangent(seed):
    f, inputs, rng = make(seed)

    def first(x):
        return f(x, *inputs[1:])[0]

    direction = rng.standard_normal(inputs[0].shape)
    _, tangent = sd.jvp(first, inputs[0], direction)
    jacobian = sd.jacobian(first)(inputs[0])
    np.testing.assert_allclose(np.tensordot(jacobian, direction, 2), tangent, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("seed", SEEDS[::3])
def test_hessian_product_is_the_difference_of_gradients(seed):
    f, inputs, rng = make(seed)

    def scalar(x):
        return f(x, *inputs[1:])[2]

    direction = rng.standard_normal(inputs[0].shape)
    _, product_ = sd.hvp(scalar, inputs[0], direction)
    gradient = sd.grad(scalar)
    h = 1e-5
    change = gradient(inputs[0] + h * direction) - gradient(inputs[0] - h * direction)
    scale = 1 + np.abs(product_).max()
    if scale < 1e6:  # beyond, differences of a function that is that curved say nothing
        np.testing.assert_allclose(change / (2 * h), product_, atol=1e-4 * scale)


@pytest.mark.parametrize("seed", SEEDS[::2])
def test_source_gives_what_the_kernel_gives(seed):
    f, inputs, _ = make(seed)
    for function in (sd.jit(f), sd.grad(lambda *x: f(*x)[2], (0, 1, 2, 3, 4))):
        program = function.program(*inputs)
        arguments = [x if x.ndim else np.float64(x) for x in inputs]
        results = compile_source(program)(*arguments)
        results = results if isinstance(results, tuple) else (results,)
        for got, expected in zip(results, compile_program(program)(inputs), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-11)


def test_diagonal_seed_is_not_read_before_it_is_finished():
    """Of ``d[i, i] += ...`` only the diagonal is finished in iteration i."""
    x = np.arange(12.0).reshape(4, 3)
    jacobian = sd.jacobian(lambda a: a - 1.0)(x)
    np.testing.assert_array_equal(jacobian.reshape(12, 12), np.eye(12))
