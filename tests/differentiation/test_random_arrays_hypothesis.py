"""Random array programs: compiled as NumPy, forward mode as reverse mode as the complex step.

A program is a list of steps, each an operation on earlier arrays with its axes, slices and indices
fixed. It is made by running NumPy beside, so that every shape fits, and is then replayed on traced
arrays. All operations are analytic and work on complex numbers, so that a step along the imaginary
axis gives derivatives to all digits (Squire & Trapp, SIAM Review 40, 1998); comparisons and maxima
of complex numbers go by their real parts first.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import symdiff as sd


def examples(n: int) -> Any:
    """Examples that are the same in every run."""
    return settings(
        max_examples=n,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


Array = Any
Step = Callable[..., Array]
LARGEST = 40


@dataclasses.dataclass
class Draw:
    """Numbers for one step: choices are made of them as of a deck of cards."""

    numbers: list[int]

    def below(self, n: int) -> int:
        number = self.numbers.pop() if self.numbers else 0
        return number % n

    def between(self, low: int, high: int) -> int:
        return low + self.below(high - low + 1)

    def one_of(self, things: Any) -> Any:
        return things[self.below(len(things))]

    def axis(self, ndim: int) -> int:
        return self.between(-ndim, ndim - 1)


# Makers of steps: a draw and the arrays at hand give a function of these arrays, or None where no
# array fits. Operands are picked here and bound as defaults.

UNARY: list[Callable[[Array], Array]] = [
    np.sin,
    np.tanh,
    np.negative,
    lambda a: np.exp(-a * a),
    lambda a: np.log(a * a + 1.5),
    lambda a: np.sqrt(a * a + 0.5),
    lambda a: 1 / (1 + a**2),
    lambda a: 0.3 * a**3 - a,
    lambda a: (a * a + 0.7) ** -0.4,
    lambda a: np.arctan(a) * 2,
]
BINARY: list[Callable[[Array, Array], Array]] = [
    lambda a, b: a + b,
    lambda a, b: a - 2 * b,
    lambda a, b: np.sin(a) * b,
    lambda a, b: a / (1 + b * b),
    lambda a, b: np.tanh(a * b),
    lambda a, b: (a * a + 0.5) ** np.sin(b),
    lambda a, b: np.maximum(a, 1.3 * b + 0.0713),
    lambda a, b: np.minimum(0.7 * a - 0.0371, b),
    lambda a, b: np.where(a > b + 0.0417, a * b, np.cos(b)),
]


def bounded(a: Array) -> Array:
    """Keep numbers moderate through products."""
    return np.tanh(a / 2)


def unary(draw: Draw, arrays: list[Array]) -> Step:
    i, f = draw.below(len(arrays)), draw.one_of(UNARY)
    return lambda v: f(v[i])


def fits(a: Array, b: Array) -> bool:
    try:
        return int(np.prod(np.broadcast_shapes(a.shape, b.shape))) <= LARGEST
    except ValueError:
        return False


def binary(draw: Draw, arrays: list[Array]) -> Step:
    i = draw.below(len(arrays))
    others = [k for k, b in enumerate(arrays) if fits(arrays[i], b)]
    j, f = draw.one_of(others), draw.one_of(BINARY)
    return lambda v: f(v[i], v[j])


def outer(draw: Draw, arrays: list[Array]) -> Step | None:
    i, j = draw.below(len(arrays)), draw.below(len(arrays))
    if arrays[i].ndim != 1 or arrays[j].ndim != 1 or arrays[i].size * arrays[j].size > LARGEST:
        return None
    f = draw.one_of(BINARY)
    return lambda v: f(v[i][:, None], v[j])


def with_constant(draw: Draw, arrays: list[Array]) -> Step:
    i = draw.below(len(arrays))
    shape = tuple(draw.one_of([1, n]) for n in arrays[i].shape[draw.below(2) :])
    constant = np.cos(1.0 + np.arange(np.prod(shape, dtype=int))).reshape(shape)
    f = draw.one_of(BINARY)
    if draw.below(2):
        return lambda v: f(constant, v[i])
    return lambda v: f(v[i], constant)


def picked(draw: Draw, n: int) -> Any:
    """An index of an axis: a number, or a slice that is not empty."""
    kind = draw.below(4)
    if kind == 0:
        return draw.between(-n, n - 1)
    if kind == 1:
        start = draw.below(n)
        return slice(start, draw.between(start + 1, n + 2), draw.between(1, 3))
    if kind == 2:
        start = draw.below(n)
        return slice(start - n, None, -draw.between(1, 2))
    return slice(None, None, draw.one_of([None, -1, 2]))


def index(draw: Draw, arrays: list[Array]) -> Step:
    i = draw.below(len(arrays))
    key = [picked(draw, n) for n in arrays[i].shape[: draw.between(0, arrays[i].ndim)]]
    where = draw.below(4)
    if where == 1:
        key.insert(draw.between(0, len(key)), None)
    elif where == 2:
        key.append(...)
    elif where == 3 and arrays[i].ndim:
        key = [..., picked(draw, arrays[i].shape[-1])]
    return lambda v: v[i][tuple(key)]


def numbers(draw: Draw, n: int) -> np.ndarray:
    """Constant positions, with repetitions, counted from either end."""
    shape = draw.one_of([(3,), (1,), (5,), (2, 2)])
    return np.array([draw.between(-n, n - 1) for _ in range(int(np.prod(shape)))]).reshape(shape)


def gather(draw: Draw, arrays: list[Array]) -> Step | None:
    i = draw.below(len(arrays))
    a = arrays[i]
    if a.ndim == 0 or a.size > 15:
        return None
    kind = draw.below(4)
    if kind == 0:
        at = numbers(draw, a.shape[0])
        return lambda v: v[i][at]
    if kind == 1:
        last = numbers(draw, a.shape[-1])
        return lambda v: v[i][..., last]
    if kind == 2 and a.ndim > 1:
        rows, columns = numbers(draw, a.shape[0]), draw.between(-a.shape[1], a.shape[1] - 1)
        return lambda v: v[i][rows, columns]
    mask = np.array([bool(draw.below(2)) for _ in range(a.shape[0] - 1)] + [True])
    return lambda v: v[i][mask]


def over(draw: Draw, ndim: int) -> dict[str, Any]:
    """Options of a reduction."""
    kind = draw.below(3)
    axis: Any = None
    if kind and ndim:
        axis = draw.axis(ndim)
    if kind == 2 and ndim > 1:
        axis = (axis % ndim, (axis + 1) % ndim)
    return {"axis": axis, "keepdims": bool(draw.below(2))}


REDUCTIONS: list[Callable[..., Array]] = [
    np.sum,
    np.mean,
    np.max,
    np.min,
    lambda a, **options: np.prod(1.2 + np.sin(a) / 3, **options),
    lambda a, **options: np.sum(a * a, **options) / (1 + np.mean(a, **options) ** 2),
]


def reduction(draw: Draw, arrays: list[Array]) -> Step:
    i, f = draw.below(len(arrays)), draw.one_of(REDUCTIONS)
    options = over(draw, arrays[i].ndim)
    return lambda v: f(v[i], **options)


def selection(draw: Draw, arrays: list[Array]) -> Step:
    i = draw.below(len(arrays))
    a = arrays[i]
    if draw.below(2):
        mask = np.array([bool(draw.below(2)) for _ in range(a.size)]).reshape(a.shape)
        return lambda v: np.where(mask, np.sin(v[i]), 0.5)
    return lambda v: np.where(v[i] > 0.0317, np.sqrt(v[i] * v[i] + 0.1), 3 * v[i])


def joined(draw: Draw, arrays: list[Array]) -> Step | None:
    i = draw.below(len(arrays))
    a = arrays[i]
    same = [k for k, b in enumerate(arrays) if b.shape == a.shape]
    j = draw.one_of(same)
    if 2 * a.size > LARGEST:
        return None
    if a.ndim == 0 or draw.below(2):
        axis = draw.axis(a.ndim + 1)
        return lambda v: np.stack([v[i], np.cos(v[j])], axis=axis)
    axis = draw.axis(a.ndim)
    part: list[slice] = [slice(None)] * a.ndim
    part[axis] = slice(0, draw.between(1, a.shape[axis]))
    cut = tuple(part)
    return lambda v: np.concatenate([2 * v[i], v[j][cut]], axis=axis)


def product(draw: Draw, arrays: list[Array]) -> Step | None:
    i, j = draw.below(len(arrays)), draw.below(len(arrays))
    a, b = arrays[i], arrays[j]
    kind = draw.below(5)
    if kind < 2 and a.ndim and b.ndim and a.ndim < 3 and b.ndim < 3 and a.shape[-1] == b.shape[0]:
        return lambda v: bounded(v[i]) @ v[j]
    if a.ndim == 2 and a.shape[0] <= 6:
        if kind == 2:
            return lambda v: np.einsum("ij,kj->ik", v[i], bounded(v[i]))
        if kind == 3:
            return lambda v: np.einsum("ij,kj->kij", v[i], bounded(v[i][:2]))
        return lambda v: v[i] @ bounded(v[i]).T
    if a.ndim == 1:
        return lambda v: np.dot(v[i], bounded(v[i]))
    if a.ndim == 3:
        return lambda v: bounded(v[i]) @ np.swapaxes(v[i], 1, 2)
    return None


def turned(draw: Draw, arrays: list[Array]) -> Step:
    i = draw.below(len(arrays))
    a = arrays[i]
    kind = draw.below(6)
    if kind == 0 or a.ndim == 0:
        axis = draw.axis(a.ndim + 1)
        return lambda v: np.expand_dims(v[i], axis)
    if kind == 1:
        return lambda v: v[i].T
    if kind == 2:
        first, second = draw.axis(a.ndim), draw.axis(a.ndim)
        return lambda v: np.swapaxes(v[i], first, second)
    if kind == 3:
        return lambda v: v[i].reshape(-1)
    if kind == 4:
        divisors = [d for d in range(1, a.size + 1) if a.size % d == 0]
        shape = (draw.one_of(divisors), -1)
        return lambda v: np.reshape(v[i], shape)
    order = tuple(int(k) for k in np.roll(np.arange(a.ndim), draw.below(a.ndim)))
    return lambda v: np.transpose(v[i], order)


def widened(draw: Draw, arrays: list[Array]) -> Step | None:
    i = draw.below(len(arrays))
    if arrays[i].size > 12:
        return None
    shape = (draw.between(1, 3), *arrays[i].shape)
    return lambda v: (
        np.broadcast_to(v[i], shape)
        * np.arange(1.0, 1 + shape[0]).reshape((-1,) + (1,) * (len(shape) - 1))
    )


PLAIN = [
    unary,
    unary,
    binary,
    binary,
    outer,
    with_constant,
    index,
    index,
    gather,
    reduction,
    reduction,
    selection,
    joined,
    product,
    turned,
    turned,
    widened,
]

# Further steps


def gather_where_told(draw: Draw, arrays: list[Array]) -> Step | None:
    """Take rows or columns at positions that are an argument; `v[0]` holds these."""
    i = draw.below(len(arrays))
    a = arrays[i]
    if a.ndim == 0 or a.size > 15:
        return None
    n = a.shape[0] if draw.below(2) else a.shape[-1]
    if n == a.shape[-1]:
        return lambda v, k: v[i][..., k % n]
    return lambda v, k: v[i][k % n]


def one_where_told(draw: Draw, arrays: list[Array]) -> Step | None:
    i = draw.below(len(arrays))
    if arrays[i].ndim == 0:
        return None
    n = arrays[i].shape[0]
    return lambda v, k: v[i][k[1] % n]


def assigned(draw: Draw, arrays: list[Array]) -> Step | None:
    """Change a copy in place."""
    i = draw.below(len(arrays))
    a = arrays[i]
    if a.ndim == 0:
        return None
    key = picked(draw, a.shape[0])
    kind = draw.below(3)

    def step(v):
        y = v[i] * 1
        if kind == 0:
            y[key] = np.sin(v[i][key]) * 2
        elif kind == 1:
            y[key] += v[i][0]
        else:
            y[key] *= 0.5
            y[-1] = y[0]
        return y

    return step


def accumulated(draw: Draw, arrays: list[Array]) -> Step:
    i = draw.below(len(arrays))
    if arrays[i].ndim == 0 or draw.below(3) == 0:
        return lambda v: np.cumsum(v[i])
    axis = draw.axis(arrays[i].ndim)
    return lambda v: np.cumsum(v[i], axis=axis)


def rolled(draw: Draw, arrays: list[Array]) -> Step | None:
    i, by = draw.below(len(arrays)), draw.between(-4, 4)
    if arrays[i].ndim == 0:
        return None
    axis = draw.axis(arrays[i].ndim)
    return lambda v: np.roll(v[i], by, axis=axis)


def padded(draw: Draw, arrays: list[Array]) -> Step | None:
    i = draw.below(len(arrays))
    if arrays[i].ndim == 0 or arrays[i].size > 12:
        return None
    widths = [(draw.below(2), draw.below(2)) for _ in arrays[i].shape]
    return lambda v: np.pad(v[i], widths)


def diagonal(draw: Draw, arrays: list[Array]) -> Step | None:
    i = draw.below(len(arrays))
    if arrays[i].ndim == 2:
        return draw.one_of([lambda v: np.diag(v[i]), lambda v: np.trace(v[i])])
    if arrays[i].ndim == 1 and arrays[i].size <= 6:
        return lambda v: np.diag(v[i])
    return None


def solved(draw: Draw, arrays: list[Array]) -> Step | None:
    i = draw.below(len(arrays))
    a = arrays[i]
    if a.ndim != 2 or a.shape[0] > 6 or a.shape[1] > 6:
        return None
    n = a.shape[1]
    return lambda v: np.linalg.solve(
        bounded(v[i]).T @ bounded(v[i]) + 2 * np.eye(n), np.sin(v[i]).T
    )


TOLD = [gather_where_told, one_where_told]
FURTHER = [assigned, accumulated, rolled, padded, diagonal, solved]

SHAPES = [(6,), (2, 3), (3, 4), (2, 2, 3), (1, 5), (4, 1), (3,)]
cards = st.lists(st.integers(0, 10_000), min_size=8, max_size=8)


@dataclasses.dataclass
class Program:
    """A program with arguments: an array of numbers, and one of positions."""

    steps: list[tuple[Step, bool]]
    x: np.ndarray
    k: np.ndarray
    last: int

    def __call__(self, x: Array, k: Array) -> Array:
        values = [x]
        for step, told in self.steps:
            values.append(step(values, k) if told else step(values))
        result = values[-1]
        for value in values[-self.last :]:
            result = result + 0.1 * np.sum(value)
        return result


@st.composite
def programs(draw: Any, makers: list[Any], least: int = 1) -> Program:
    """Programs of some steps out of `makers`."""
    shape = draw(st.sampled_from(SHAPES))
    phase = draw(st.integers(0, 100))
    x = np.sin(phase + 1.7 * np.arange(np.prod(shape))).reshape(shape) * 1.5
    k = np.array([draw(st.integers(0, 20)) for _ in range(3)])
    steps: list[tuple[Step, bool]] = []
    values = [x]
    for choice, numbers_ in draw(
        st.lists(st.tuples(st.integers(0, 10_000), cards), min_size=least, max_size=7)
    ):
        maker = makers[choice % len(makers)]
        step = maker(Draw(list(numbers_)), values)
        if step is None:
            continue
        told = maker in TOLD
        value = np.asarray(step(values, k) if told else step(values))
        if value.size <= LARGEST and value.ndim <= 4 and np.all(np.abs(value) < 50):
            steps.append((step, told))
            values.append(value)
    return Program(steps, x, k, min(2, len(values)))


def complex_step(f: Program) -> np.ndarray:
    """The Jacobian, to all digits."""
    columns = []
    for i in np.ndindex(f.x.shape):
        moved = f.x.astype(complex)
        moved[i] += 1e-30j
        columns.append(np.imag(f(moved, f.k)) / 1e-30)
    return np.stack(columns, axis=-1).reshape(np.shape(columns[0]) + f.x.shape)


def check(f: Program) -> None:
    """Compare values, the Jacobian, forward and reverse mode; positions stay an argument."""

    def close(got: Array, want: Array) -> None:
        assert np.shape(got) == np.shape(want)
        scale = 1 + np.max(np.abs(want), initial=0.0)
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-11 * scale)

    x, k = f.x.copy(), f.k.copy()
    value, J = np.asarray(f(x, k)), complex_step(f)
    close(sd.jit(f)(x, k), value)
    close(sd.jacobian(f)(x, k), J)
    v = np.cos(np.arange(x.size)).reshape(x.shape)
    w = np.cos(0.3 + np.arange(value.size)).reshape(value.shape)
    forward = sd.jit(lambda x, v, k: sd.jvp(lambda y: f(y, k), x, v))
    got, tangent = forward(x, v, k)
    close(got, value)
    close(tangent, np.tensordot(J, v, x.ndim))
    reverse = sd.jit(lambda x, w, k: sd.vjp(lambda y: f(y, k), x)[1](w)[0])
    close(reverse(x, w, k), np.tensordot(w, J, value.ndim))
    np.testing.assert_array_equal(x, f.x)


@examples(60)
@given(programs(PLAIN, least=3))
def test_programs(f):
    check(f)


@examples(30)
@given(programs([*PLAIN, *TOLD, *TOLD], least=3))
def test_programs_with_positions_as_arguments(f):
    check(f)
    # Other positions, same kernel.
    other = dataclasses.replace(f, k=f.k[::-1] + 1)
    np.testing.assert_allclose(sd.jit(f)(other.x, other.k), other(other.x, other.k), rtol=1e-10)


@pytest.mark.parametrize("maker", FURTHER, ids=[m.__name__ for m in FURTHER])
def test_programs_of_further_steps(maker):
    @examples(12)
    @given(programs([*PLAIN[:8], maker, maker, maker, maker], least=3))
    def run(f):
        check(f)

    run()


@examples(15)
@given(programs(PLAIN, least=3))
def test_second_derivatives(f):
    """Hessian-vector products as central differences of the complex step's gradient."""
    w = np.cos(0.3 + np.arange(np.size(f(f.x, f.k)))).reshape(np.shape(f(f.x, f.k)))

    def number(x):
        return np.sum(w * f(x, f.k))

    v = np.cos(np.arange(f.x.size)).reshape(f.x.shape)

    def gradient(x):
        J = complex_step(dataclasses.replace(f, x=x))
        return np.tensordot(w, J, w.ndim)

    step = 1e-4
    four = {c: gradient(f.x + c * step * v) for c in (-2, -1, 1, 2)}
    want = (8 * (four[1] - four[-1]) - (four[2] - four[-2])) / (12 * step)
    first, product_ = sd.hvp(number, f.x, v)
    here = gradient(f.x)
    np.testing.assert_allclose(first, here, rtol=1e-10, atol=1e-10 * (1 + np.max(np.abs(here))))
    np.testing.assert_allclose(product_, want, rtol=1e-6, atol=1e-7 * (1 + np.max(np.abs(want))))
