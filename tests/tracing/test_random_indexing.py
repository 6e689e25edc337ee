"""Random indices, constant and traced ones mixed, against NumPy: values and gradients."""

import numpy as np
import pytest

import symdiff as sd


def random_index(rng, shape):
    """A key for an array of this shape: constants, and numbers of the arrays that are traced."""
    block = tuple(rng.integers(1, 4, size=rng.integers(0, 3)))
    key, arrays = [], []
    for length in shape:
        kind = rng.integers(0, 8)
        if kind == 0:
            key.append(int(rng.integers(-length, length)))
        elif kind == 1:
            key.append(slice(None, None, int(rng.choice([-2, -1, 1, 2]))))
        elif kind == 2:
            key.append(slice(int(rng.integers(0, length)), None))
        elif kind in (3, 4):
            part = block[int(rng.integers(0, len(block) + 1)) :] if rng.integers(0, 2) else block
            places = np.asarray(rng.integers(-length, length, size=part))
            arrays.append(places.astype(rng.choice(["int64", "int32", "int8"])))
            key.append(("traced", len(arrays) - 1))
        elif kind == 5:
            key.append(np.asarray(rng.integers(-length, length, size=block)))
        else:
            key += [None, slice(None)] if kind == 6 else [slice(None)]
    return key, arrays


def with_arrays(key, arrays):
    return tuple(arrays[k[1]] if isinstance(k, tuple) else k for k in key)


@pytest.mark.parametrize("seed", range(100))
def test_values_and_gradients(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=tuple(rng.integers(1, 5, size=rng.integers(1, 4))))
    key, arrays = random_index(rng, x.shape)

    def f(x, *arrays):
        return 2 * x[with_arrays(key, arrays)]

    want = f(x, *arrays)
    got = sd.jit(f)(x, *arrays)
    np.testing.assert_array_equal(got, want, strict=bool(np.ndim(want)))
    gradient = np.zeros_like(x)
    np.add.at(gradient, with_arrays(key, arrays), 4 * want)
    np.testing.assert_allclose(
        sd.grad(lambda x, *rest: np.sum(f(x, *rest) ** 2))(x, *arrays), gradient, rtol=1e-14
    )
    if seed % 4 == 0:
        rows = sd.jacobian(f)(x, *arrays)
        product = np.tensordot(2 * np.asarray(want), rows, np.ndim(want))
        np.testing.assert_allclose(product, gradient, rtol=1e-14)
