"""Assignment into arrays that a function made for itself: the numbers are NumPy's.

Each function is run by NumPy itself for its value, and its derivatives are compared with central
differences of that. Where NumPy gives a view, writing to one array changes another: a traced
function does the same or refuses, but is never wrong.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symdiff as sd

rng = np.random.default_rng(11)
X = rng.uniform(0.5, 2.0, 5)
Z = np.array([0.5, -1.5, 0.25, -0.75, 2.0])
M = rng.uniform(0.5, 2.0, (3, 4))
S = rng.uniform(0.5, 2.0, (3, 3))
MASK = np.array([True, False, True, True, False])
ROWS = np.array([2, 0, 2])


def differences(f: Callable[..., Any], x: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """Central differences of plain NumPy, of shape ``f(x).shape + x.shape``."""
    columns = []
    for i in np.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[i] += step
        below[i] -= step
        columns.append((np.array(f(above)) - np.array(f(below))) / (2 * step))
    return np.stack(columns, axis=-1).reshape(np.shape(columns[0]) + x.shape)


def check(f: Callable[..., Any], x: np.ndarray) -> None:
    """Value as NumPy's; Jacobian, gradient, forward mode as differences; second order too."""
    given = x.copy()
    want = np.array(f(x.copy()))
    np.testing.assert_allclose(sd.jit(f)(x), want, rtol=1e-13, atol=1e-14)
    slopes = differences(f, x)
    np.testing.assert_allclose(sd.jacobian(f)(x), slopes, rtol=1e-7, atol=1e-7)
    weights = np.cos(np.arange(want.size)).reshape(want.shape)
    gradient = np.tensordot(weights, slopes, want.ndim)
    got = sd.grad(lambda v: np.sum(weights * f(v)))(x)
    np.testing.assert_allclose(got, gradient, rtol=1e-7, atol=1e-7)
    direction = np.sin(1 + np.arange(x.size)).reshape(x.shape)
    value, tangent = sd.jvp(f, x, direction)
    np.testing.assert_allclose(value, want, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(
        tangent, np.tensordot(slopes, direction, x.ndim), rtol=1e-6, atol=1e-6
    )
    sd.check_derivatives(lambda v: np.sum(weights * f(v) ** 2), x)
    np.testing.assert_array_equal(x, given)


def elements(x):
    y = np.zeros(3)
    y[0] = x[0]
    y[1] = x[1] * x[2]
    y[-1] += np.sin(x[3])
    return y


def overwritten(x):
    y = np.zeros(3)
    y[0] = x[0] ** 2
    y[0] = x[1]
    y[1] = y[0] * 3
    y[0] = 7.0
    return y * x[:3]


def slices(x):
    y = np.zeros(6)
    y[1:] = x
    y[1:] += x**2
    y[::2] *= 3
    y[::-1] -= np.arange(6.0)
    y[-2:] /= x[0]
    return y


def steps(x):
    y = np.ones(10)
    y[::2] = x
    y[1::2] = x[::-1]
    y[8:2:-3] = 0.5
    y[7:7] = 100.0
    return y


def reversed_target(x):
    y = np.empty(5)
    y[::-1] = x**2
    return y


def constant_mask(x):
    y = x * 2
    y[MASK] = x[:3]
    y[~MASK] += x[0]
    return y


def constant_mask_by_a_number(x):
    y = x * 2
    y[MASK] = 0.0
    return y


def index_array(x):
    y = np.zeros(4)
    y[ROWS[:2]] = x[:2]
    return y


def index_list(x):
    y = np.zeros(4)
    y[[3, 1]] = x[:2] ** 2
    return y


def repeated_indices_last_wins(x):
    y = np.zeros(4)
    y[ROWS] = x[:3] ** 2
    return y


def repeated_indices_do_not_add(x):
    y = np.ones(4)
    y[ROWS] += x[:3] ** 2
    return y


def add_at(x):
    y = np.ones(4)
    np.add.at(y, ROWS, x[:3] ** 2)
    return y


def add_at_a_number(x):
    y = np.zeros(4)
    np.add.at(y, [1, 1, 3], x[0])
    return y


def add_at_rows(x):
    y = np.zeros((3, 4))
    np.add.at(y, ROWS, x * x)
    return y


def subtract_at(x):
    y = np.ones(4)
    np.subtract.at(y, ROWS, x[:3])
    return y


def traced_mask_a_number(x):
    y = x * 2
    y[y < 0] = 0.0
    return y


def traced_mask_by_another(x):
    y = x**2
    y[x > 0] = -1.5
    return y * x


def traced_mask_two_parts(x):
    y = np.zeros(5)
    y[x > 0] = 1.0
    y[x <= 0] = x[0]
    return y + x


def traced_mask_in_place_arithmetic(x):
    y = x**2
    y[x < 0] *= -1
    return y


def traced_mask_of_a_matrix(x):
    y = np.outer(x, x)
    y[y < 0] = 0.25
    return y


def traced_mask_by_the_same_mask(x):
    y = np.zeros_like(x)
    negative = x < 0
    y[negative] = x[negative] ** 2
    y[~negative] = np.sqrt(x[~negative])
    return y


def rows_and_columns(x):
    y = np.zeros((3, 4))
    y[0] = x[1]
    y[1, :] = x[0] * 2
    y[:, 3] = x[:, 0]
    y[2, 1:3] = x[2, :2] ** 2
    y[..., 0] += 1.0
    return y


def block(x):
    y = np.zeros((5, 5))
    y[1:4, :4] = x
    y[1:4, 1:] += x**2
    y[::2, ::2] *= 0.5
    return y


def row_by_a_number(x):
    y = x * x
    y[1] = x[0, 0]
    y[:, -1] = 3.0
    return y


def broadcast_rows(x):
    y = np.zeros((2, 3, 4))
    y[:] = x
    y[1] *= x[:, :1]
    y[:, 0, :] += x[2]
    return y


def new_axes(x):
    y = np.zeros((4, 3))
    y[:, None, :2] = x[:2].T[:, None]
    y[np.newaxis, :, 2] = x[2]
    return y


def swap_rows(x):
    a = x * 2
    a[[0, 1]] = a[[1, 0]]
    return a * x


def swap_elements(x):
    y = x.copy()
    y[0], y[1] = y[1], y[0]
    return y * x


def swap_columns(x):
    a = x**2
    a[:, [0, 2]] = a[:, [2, 0]]
    return a * x


def shift_along_itself(x):
    y = x * 1.0
    y[1:] = y[:-1]
    return y


def add_shifted_itself(x):
    y = x * 1.0
    y[1:] += y[:-1]
    y[:-1] *= y[1:]
    return y


def reverse_itself(x):
    y = x * 2
    y[:] = y[::-1]
    return y * x


def pairs_of_index_arrays(x):
    y = np.zeros((3, 4))
    y[np.array([0, 1, 2]), np.array([3, 0, 1])] = x[:, 0]
    y[[0, 2], [0, 0]] += x[0, :2]
    return y


def triangle(x):
    y = np.zeros((4, 4))
    y[np.tril_indices(4, -1)] = x.ravel()[:6]
    y[np.diag_indices(4)] = np.exp(x[0])
    return y @ y.T


def mixed_index(x):
    y = np.zeros((3, 4))
    y[[2, 0], 1:3] = x[:2, :2]
    y[1, [0, 3]] = x[0, :2]
    return y


def two_dimensions_in_a_loop(x):
    y = np.zeros((3, 3))
    for i in range(3):
        for j in range(3):
            y[i, j] += x[i, j] * x[j, i]
            y[j][i] += 0.5 * x[i, j]
    return y


def accumulate_an_element(x):
    y = np.zeros(2)
    for i in range(len(x)):
        y[i % 2] += x[i] ** 2
        y[0] *= 0.5
    return y


def euler(x):
    n, h = 6, 0.1
    y = np.zeros(n)
    y[0] = x[0]
    for i in range(n - 1):
        y[i + 1] = y[i] + h * (x[1] * y[i] - x[2] * y[i] ** 2)
    return y


def euler_of_a_system(x):
    y = np.empty((5, 2))
    y[0] = x[:2]
    for i in range(4):
        y[i + 1, 0] = y[i, 0] + 0.1 * y[i, 1]
        y[i + 1, 1] = y[i, 1] - 0.1 * x[2] * np.sin(y[i, 0])
    return y


def fibonacci(x):
    y = np.ones(6)
    y[:2] = x[:2]
    for i in range(2, 6):
        y[i] = y[i - 1] + np.sin(y[i - 2])
    return y


def back_substitution(x):
    n = 3
    y = np.zeros(n)
    for i in range(n - 1, -1, -1):
        y[i] = (1.0 - x[i, i + 1 :] @ y[i + 1 :]) / x[i, i]
    return y


def cholesky(x):
    a = x @ x.T + 2 * np.eye(3)
    L = np.zeros((3, 3))
    for j in range(3):
        L[j, j] = np.sqrt(a[j, j] - L[j, :j] @ L[j, :j])
        for i in range(j + 1, 3):
            L[i, j] = (a[i, j] - L[i, :j] @ L[j, :j]) / L[j, j]
    return L


def gauss_elimination(x):
    a = x + 3 * np.eye(3)
    for k in range(2):
        a[k + 1 :, k:] -= a[k + 1 :, k : k + 1] / a[k, k] * a[k, k:]
    return a


def heat(x):
    u = x.copy()
    for _ in range(3):
        u[1:-1] += 0.2 * (u[2:] - 2 * u[1:-1] + u[:-2])
        u[0] = u[1]
        u[-1] = 0.0
    return u


def gauss_seidel(x):
    u = x.copy()
    for i in range(1, 4):
        u[i] = 0.5 * (u[i - 1] + u[i + 1] ** 2)
    return u


def zeros_like(x):
    y = np.zeros_like(x)
    y[0] = x[-1]
    return y


def others_like(x):
    y, z, w = np.ones_like(x), np.full_like(x, 2.5), np.empty_like(x)
    y[1:] *= x[1:]
    z[0] = x[0] ** 2
    w[:] = x[1]
    return y + z * w


def filled(x):
    y = np.full(5, x[0])
    y[1:3] = 2.0
    z = np.full((2, 5), x)
    z[1] *= y
    return z


def eye(x):
    y = np.eye(3)
    y[0, 1:] = x[:2]
    y += np.identity(3) * x[3]
    return y @ y


def arange(x):
    y = np.arange(5.0)
    y *= x
    y[2] = x[0]
    return y


def array_of_numbers(x):
    y = np.array([[x[0], x[1]], [1.0, x[2] ** 2]])
    y[0, 1] += x[3]
    return y @ y


def rotation(x):
    c, s = np.cos(x[0]), np.sin(x[0])
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return turn @ x[1:4]


def array_of_rows(x):
    y = np.array([x, 2 * x, np.ones(5)])
    y[2] = x**2
    return y


def array_of_a_list(x):
    return np.array([v**2 for v in x]) * np.asarray([x[0]] * 5)


def array_copies(x):
    y = np.array(x)
    y[0] = 0.0
    return x + y


def asarray(x):
    y = np.asarray(x) * 1.0
    y[0] += np.asarray(3.0) * x[1]
    return np.asarray(y, dtype=float)


def linspace(x):
    y = np.linspace(x[0], x[1], 4)
    y[1] = x[2]
    return y**2


def linspace_without_its_end(x):
    return np.linspace(0.0, x[0], 4, endpoint=False) * np.linspace(x[1], 1.0, 4)


def copy(x):
    y = x.copy()
    y[0] = 0.0
    return y * x


def copy_by_numpy(x):
    y = np.copy(x)
    y[1:3] = 1.0
    return y + x


def a_copy_keeps_the_old(x):
    y = x * 2
    old = y.copy()
    y[:] = 0.0
    y[1] = old[0]
    return y + old


def an_alias_sees_the_new(x):
    y = np.zeros(5)
    alias = y
    y[0] = x[0]
    alias[1] = x[1]
    return y + 2 * alias


def an_alias_is_updated_by_operators(x):
    y = x * 1.0
    alias = y
    y += x**2
    y *= 2
    return y + alias


def what_was_computed_before_stays(x):
    y = x * 1.0
    total = np.sum(y)
    double = 2 * y
    picked = y[[0, 1, 2, 3, 4]]
    y[:] = 0.0
    y[0] = x[1]
    return y + total + double * picked


def reductions_after(x):
    y = np.zeros((2, 5))
    y[0] = x
    y[1] = np.cumsum(x)
    y[0, 2:] = 1.0
    return np.sum(y, axis=0) * np.max(y) + np.mean(y)


def fill(x):
    y = np.zeros(3)
    y.fill(2.0)
    y[1] = x[0]
    z = np.zeros(3)
    z.fill(x[1])
    return y * z


def out_argument(x):
    y = np.empty(5)
    np.multiply(x, x, out=y)
    np.add(y, 1.0, out=y)
    np.sin(x[:2], out=y[:2])
    return y


def number_in_place(x):
    s = x[0]
    s += x[1]
    s *= 2
    t = s
    t -= x[2]
    return s * t


def integers_become_positions(x):
    y = np.zeros(3)
    for i, k in enumerate(np.array([2, 0, 1])):
        y[k] = x[i]
    return y


def rank_zero(x):
    y = np.zeros(())
    y[()] = x[0]
    y[...] += x[1] ** 2
    return y * x


def helper(target, values, at):
    target[at] = values
    target[-1] += 1.0


def by_a_helper(x):
    y = np.zeros(5)
    helper(y, x[:2] ** 2, slice(1, 3))
    helper(y, x[4], 0)
    return y


def normalise(a):
    a /= np.sum(a)
    return a


def by_a_helper_in_place(x):
    y = x * x
    z = normalise(y)
    return y + 2 * z


def nested_helper(x):
    def push(value):
        nonlocal k
        y[k] = value
        k += 1

    y, k = np.zeros(3), 0
    push(x[0])
    push(x[1] ** 2)
    push(y[0] * y[1])
    return y


def stored_in_a_list(x):
    parts = [np.zeros(2) for _ in range(3)]
    for i, part in enumerate(parts):
        part[i % 2] = x[i]
    parts[0][1] += parts[2][0]
    return np.concatenate(parts)


def stored_in_an_object_array_of_rows(x):
    y = np.zeros((3, 5))
    for row in range(3):
        y[row] = x ** (row + 1)
    y[1] -= y[2]
    return y[[0, 1]]


def several_results(x):
    y, z = np.zeros(2), np.zeros(2)
    y[0], z[1] = x[0], x[1]
    y, z = z, y
    y[0] = 5 * x[2]
    return np.stack([y, z])


def number_from_a_length_one_array(x):
    y = np.zeros(3)
    y[0] = np.sum(x)
    y[1:2] = x[0]
    y[2:] = x[1:2]
    return y


OF_VECTORS = [
    elements,
    overwritten,
    slices,
    steps,
    reversed_target,
    constant_mask,
    constant_mask_by_a_number,
    index_array,
    index_list,
    repeated_indices_last_wins,
    repeated_indices_do_not_add,
    add_at,
    add_at_a_number,
    subtract_at,
    swap_elements,
    shift_along_itself,
    add_shifted_itself,
    reverse_itself,
    accumulate_an_element,
    euler,
    euler_of_a_system,
    fibonacci,
    heat,
    gauss_seidel,
    zeros_like,
    others_like,
    filled,
    eye,
    arange,
    array_of_numbers,
    rotation,
    array_of_rows,
    array_of_a_list,
    array_copies,
    asarray,
    linspace,
    linspace_without_its_end,
    copy,
    copy_by_numpy,
    a_copy_keeps_the_old,
    an_alias_sees_the_new,
    an_alias_is_updated_by_operators,
    what_was_computed_before_stays,
    reductions_after,
    fill,
    out_argument,
    number_in_place,
    integers_become_positions,
    rank_zero,
    by_a_helper,
    by_a_helper_in_place,
    nested_helper,
    stored_in_a_list,
    stored_in_an_object_array_of_rows,
    several_results,
    number_from_a_length_one_array,
]
OF_SIGNS = [
    traced_mask_a_number,
    traced_mask_by_another,
    traced_mask_two_parts,
    traced_mask_in_place_arithmetic,
    traced_mask_of_a_matrix,
]
OF_MATRICES = [
    add_at_rows,
    rows_and_columns,
    block,
    row_by_a_number,
    broadcast_rows,
    new_axes,
    swap_rows,
    swap_columns,
    pairs_of_index_arrays,
    triangle,
    mixed_index,
]
OF_SQUARES = [two_dimensions_in_a_loop, back_substitution, cholesky, gauss_elimination]
CASES = [
    *((f, X) for f in OF_VECTORS),
    *((f, Z) for f in OF_SIGNS),
    *((f, M) for f in OF_MATRICES),
    *((f, S) for f in OF_SQUARES),
]


@pytest.mark.parametrize(("f", "x"), CASES, ids=[f.__name__ for f, _ in CASES])
def test_updates(f, x):
    check(f, x)


# Views: as NumPy, or an error that says so


def view_of_a_slice(x):
    a = x * 2
    b = a[1:3]
    b[0] = 5.0
    return a


def view_of_a_slice_with_traced_values(x):
    a = np.zeros(5)
    b = a[::2]
    b[:] = x[:3] ** 2
    b += 1.0
    return a


def view_sees_its_base_change(x):
    a = x * 1.0
    b = a[1:3]
    a[1] = x[0] ** 2
    a[2] *= 3
    return b * 2


def view_of_a_view(x):
    a = x * 1.0
    b = a[1:]
    c = b[::2]
    c[0] = x[4] ** 2
    return a + b[0]


def view_of_a_row(x):
    a = np.outer(x, x)
    row = a[2]
    row[1] = x[0]
    return a


def view_by_iteration(x):
    a = np.outer(x, x)
    for row in a:
        row[0] = 0.0
        row[1:] *= 2
    return a


def view_by_reshape(x):
    a = np.zeros((2, 2))
    flat = a.reshape(4)
    flat[1] = x[0]
    flat[3] = x[1] ** 2
    return a


def view_by_ravel(x):
    a = np.zeros((2, 2))
    a.ravel()[2] = x[0]
    return a + x[1]


def view_by_transpose(x):
    a = np.outer(x, x)
    a.T[0] = x
    return a


def view_by_new_axis(x):
    a = x * 1.0
    a[:, None][1] = x[0] ** 2
    return a


def view_by_diagonal_assignment(x):
    a = np.zeros((3, 3))
    a.flat[:: 3 + 1] = x[:3]
    return a


def view_before_an_operator(x):
    a = x * 1.0
    b = a[:2]
    a += 1
    return b * x[:2]


def view_as_an_operator_target(x):
    a = x * 1.0
    b = a[:2]
    b *= x[2]
    return a


def view_unpacked(x):
    a = np.zeros((2, 3))
    top, bottom = a
    top[0] = x[0]
    bottom[:] = x[1:4]
    return a


def asarray_of_an_array_is_it(x):
    a = x * 1.0
    b = np.asarray(a)
    b[0] = 7.0 * x[1]
    return a


def integer_arrays_make_copies(x):
    a = x * 1.0
    b = a[[0, 1]]
    b[0] = 7.0
    return a * np.sum(b)


def masks_make_copies(x):
    a = x * 1.0
    b = a[MASK]
    b[:] = 7.0
    return a * np.sum(b)


def matrices_by_view(x):
    a = np.zeros((2, 4, 4))
    upper = a[0, :2, :2]
    upper[...] = np.outer(x[:2], x[:2])
    upper[0, 0] += 1.0
    a[1] = a[0].T * x[2]
    return a


VIEWS = [
    view_of_a_slice,
    view_of_a_slice_with_traced_values,
    view_sees_its_base_change,
    view_of_a_view,
    view_of_a_row,
    view_by_iteration,
    view_by_reshape,
    view_by_ravel,
    view_by_transpose,
    view_by_new_axis,
    view_by_diagonal_assignment,
    view_before_an_operator,
    view_as_an_operator_target,
    view_unpacked,
    asarray_of_an_array_is_it,
    integer_arrays_make_copies,
    masks_make_copies,
    matrices_by_view,
]


@pytest.mark.parametrize("f", VIEWS, ids=[f.__name__ for f in VIEWS])
def test_views(f):
    """Right, or refused with the user's line; nothing else, and never wrong."""
    refusal = refused(f, X)
    if refusal is None:
        check(f, X)
    else:
        assert __file__ in str(refusal)


def refused(f, x):
    """Give the error that says that `f` cannot be traced, if there is one."""
    try:
        sd.jit(f)(x)
    except sd.SymdiffError as error:
        return error
    return None


# What NumPy refuses is refused


def too_long(x):
    y = np.zeros(3)
    y[:] = x
    return y


def outside(x):
    y = np.zeros(3)
    y[3] = x[0]
    return y


def too_many_indices(x):
    y = np.zeros(3)
    y[0, 0] = x[0]
    return y


def array_into_an_element(x):
    y = np.zeros(3)
    y[0] = x
    return y


def operator_that_would_grow(x):
    y = np.zeros(5)
    y += np.outer(x, x)
    return y


def mask_of_another_length(x):
    y = np.zeros(5)
    y[np.array([True, False])] = x[0]
    return y


def list_item_of_a_traced_number(x):
    x[0][0] = 1.0
    return x


WRONG = [
    too_long,
    outside,
    too_many_indices,
    array_into_an_element,
    operator_that_would_grow,
    mask_of_another_length,
    list_item_of_a_traced_number,
]


@pytest.mark.parametrize("f", WRONG, ids=[f.__name__ for f in WRONG])
def test_what_numpy_refuses(f):
    with pytest.raises((ValueError, IndexError, TypeError)):
        f(X.copy())
    with pytest.raises((ValueError, IndexError, TypeError, sd.SymdiffError)):
        sd.jit(f)(X)


def test_selections_by_a_traced_mask():
    """NumPy's shapes would depend on values here, although the result's does not."""
    refusal = refused(traced_mask_by_the_same_mask, Z)
    if refusal is None:
        check(traced_mask_by_the_same_mask, Z)
    else:
        assert __file__ in str(refusal)


def test_dtypes_stay_as_numpy_has_them():
    def into_float32(x):
        y = np.zeros(5, dtype=np.float32)
        y[:] = x
        return y

    got = sd.jit(into_float32)(X)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, X.astype(np.float32))

    def float32_throughout(x):
        y = np.zeros_like(x)
        y[1:] = x[1:] * 2
        return y

    assert sd.jit(float32_throughout)(X.astype(np.float32)).dtype == np.float32

    def into_integers(x):
        y = np.zeros(5, dtype=int)
        y[:] = x
        return y + x

    if refused(into_integers, X + 1) is None:
        got = sd.jit(into_integers)(X + 1)
        np.testing.assert_allclose(got, into_integers(X + 1), rtol=1e-15)

    def integers_in_place(x):
        y = np.arange(5)
        y += x
        return y

    with pytest.raises(TypeError):
        integers_in_place(X)
    with pytest.raises((TypeError, sd.SymdiffError)):
        sd.jit(integers_in_place)(X)


def test_each_call_starts_with_a_fresh_array():
    f = sd.jit(euler)
    first = f(X)
    f(2 * X)
    np.testing.assert_array_equal(f(X), first)
    first[:] = 0.0
    np.testing.assert_allclose(f(X), euler(X), rtol=1e-14)


def test_constants_from_outside_stay_as_they_were():
    """A function that changes an array of its surroundings would change it once, while traced."""
    log = np.zeros(5)

    def f(x):
        log[0] += 1.0
        return x * 2

    def g(x):
        log[:] = x
        return x * 2

    np.testing.assert_array_equal(sd.jit(f)(X), 2 * X)
    log[:] = 0.0
    with pytest.raises((sd.SymdiffError, ValueError, TypeError)):
        sd.jit(g)(X)
    np.testing.assert_array_equal(log, np.zeros(5))


def test_lengths_of_another_call():
    """One compilation may serve several lengths, or not; the numbers are right."""

    def f(x):
        y = np.zeros_like(x)
        y[1:] = x[:-1] ** 2
        y[0] += x[-1]
        y[::2] *= 2
        return y

    jitted, jacobian = sd.jit(f), sd.jacobian(f)
    for n in (5, 4, 1, 7, 2, 5):
        x = np.linspace(0.5, 1.5, n)
        np.testing.assert_allclose(jitted(x), f(x), rtol=1e-14)
        np.testing.assert_allclose(jacobian(x), differences(f, x), rtol=1e-7, atol=1e-8)


def views_by_functions():
    """Views that NumPy's functions give of an array that is still plain."""
    return {
        "flip": np.flip,
        "squeeze": np.squeeze,
        "transpose": np.transpose,
        "ravel": np.ravel,
        "reshape": lambda a: np.reshape(a, (3, 1))[:, 0],
        "expand_dims": lambda a: np.expand_dims(a, 0)[0],
        "split": lambda a: np.split(a, 3)[0],
        "swapaxes": lambda a: np.swapaxes(a[None], 0, 1)[:, 0],
    }


@pytest.mark.parametrize("name", views_by_functions())
def test_views_by_functions_are_views(name):
    def f(x):
        a = np.zeros(3)
        b = views_by_functions()[name](a)
        b[0] = x[0]
        a[2] += x[1]
        b *= 2
        return a + 0

    np.testing.assert_allclose(sd.jit(f)(X[:3]), f(X[:3]))


def in_fortran_order(x):
    c = np.zeros((2, 3), order="F")
    d = c[0]
    d[1] = x[0]
    return c


def view_of_a_view(x):
    a = np.zeros((2, 2))
    b = a.T
    a[0, 1] = x[0]
    c = b[1]
    c[1] = x[1]
    return a


def methods_of_a_view(x):
    a = np.zeros(3)
    b = a[::-1]
    a[0] = x[0]
    b.fill(x[1])
    a[1] = x[2]
    b.sort()
    return a


def out_of_a_view(x):
    a = np.zeros(3) + 2
    p = a[1:]
    a[0] = x[0]
    np.multiply(p, 2, out=p)
    return a


def ravel_of_a_column(x):
    a = np.outer(x, x)
    b = a[:, 0].ravel()
    b -= 1
    return a


def reshape_of_a_column(x):
    a = np.outer(x, x)
    b = a[:, 0].reshape(-1, 1)
    b -= 1
    return a


def an_element_stays(x):
    y = np.zeros(3)
    y[0] = x[0]
    s = y[0]
    y[0] = x[1]
    return y + s


def add_at_after_a_write(x):
    a = np.zeros(4)
    a += x[0]
    np.add.at(a, [0, 0], x[1])
    return a


REVIEWED = [in_fortran_order, view_of_a_view, methods_of_a_view, out_of_a_view, ravel_of_a_column]
REVIEWED += [reshape_of_a_column, an_element_stays, add_at_after_a_write]


@pytest.mark.parametrize("f", REVIEWED)
def test_memory_is_shared_as_in_numpy(f):
    np.testing.assert_allclose(sd.jit(f)(X[:3]), f(X[:3].copy()))
    sd.check_derivatives(lambda x: np.sum(f(x) ** 2), X[:3])


def no_views(x):
    def element(a):
        a[3, ...].fill(7.0)

    def named(a):
        b = a[3, ...]
        b[...] = 7.0

    def squeezed(a):
        np.squeeze(a[:1])[...] = 7.0

    def accumulated(a):
        np.add.at(a[::-1], [0, 0], x[0])

    return [element, named, squeezed, accumulated]


@pytest.mark.parametrize("n", range(4))
def test_what_would_lose_a_write_is_refused(n):
    def f(x):
        a = x * 1
        no_views(x)[n](a)
        return a

    with pytest.raises(sd.UnsupportedOperationError, match=r"test_in_place\.py"):
        sd.jit(f)(np.arange(5.0))


def test_a_traced_place_out_of_bounds():
    def f(x, i):
        a = x * 1
        a[i] = 7.0
        return a

    x = np.arange(3.0)
    np.testing.assert_array_equal(sd.jit(f)(x, -1), f(x.copy(), -1))
    with pytest.raises(IndexError):
        sd.jit(f)(x, 3)
    with pytest.raises(IndexError):
        sd.jit(f)(x, -4)
