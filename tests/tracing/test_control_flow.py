"""Loops and branches on traced values: the numbers are those of Python running the function.

Every function is run plainly for what it is to give; derivatives are differences of that. Where
`sd.cond` and its kin stand in a function, the plain run is theirs outside of a trace.
"""

# ruff: noqa: B007, PLR1730, SIM108 - statements, as users write them, are what is tested

import contextlib
import itertools
import math

import numpy as np
import pytest
from against_numpy import (
    check,
    check_jacobian,
    check_sizes,
    check_vmap,
    close,
    flat,
    same,
)

import symdiff as sd

X = np.array([0.5, -1.5, 0.25, 2.0, -0.75])
LONG = np.sin(1.3 * np.arange(1.0, 31.0))
M = np.cos(np.arange(60.0)).reshape(20, 3)
DATA = np.array([3.0, 5.0, 1.0, 4.0, 2.0])


def named(cases):
    """Parameters `f` and `args` that bear their functions' names."""
    return pytest.mark.parametrize(
        ("f", "args"),
        [pytest.param(f, args, id=f"{f.__name__}-{k}") for k, (f, *args) in enumerate(cases)],
    )


# The four functions


def cond_of_one(x):
    return sd.cond(x > 0, np.sin, lambda x: x**2, x)


def cond_of_a_tree(x, y):
    out = sd.cond(
        x > y,
        lambda p: {"a": p[0] * p[1], "b": (p[0],)},
        lambda p: {"a": p[0] - p[1], "b": (p[1] ** 2,)},
        (x, y),
    )
    return out["a"] ** 2 + 3 * out["b"][0]


def cond_of_arrays(x, at):
    return sd.cond(np.sum(x) > at, lambda x, s: np.cumsum(x) * s, lambda x, s: x[::-1] + s, x, at)


def cond_in_cond(x, y):
    return sd.cond(
        x > 0,
        lambda x, y: sd.cond(y > 0, lambda x, y: x * y, lambda x, y: x - y**2, x, y),
        lambda x, y: sd.cond(y > x, lambda x, y: np.exp(x) * y, lambda x, y: x / y, x, y),
        x,
        y,
    )


def cond_that_closes_over(x, y):
    z = np.sin(x * y)
    return sd.cond(z > 0.5, lambda: z * x, lambda: z - y)


def cond_without_arguments_used(x):
    return sd.cond(x > 0, lambda x: 1.0, lambda x: 2.0, x) * x


def while_doubles(x):
    return sd.while_loop(lambda s: s < 100.0, lambda s: s * s + x, x)


def while_of_a_tree(x, y):
    out = sd.while_loop(
        lambda s: s["n"] < 7,
        lambda s: {"n": s["n"] + 1, "p": (s["p"][1], np.sin(s["p"][0]) * x + y)},
        {"n": 0, "p": (x, y)},
    )
    return out["p"][0] * out["p"][1]


def while_of_an_array(x):
    return sd.while_loop(lambda s: np.sum(s**2) > 0.1, lambda s: 0.7 * np.sin(s) * np.cos(x), x)


def while_in_while(x):
    def outer(state):
        total, k = state
        inner, _ = sd.while_loop(
            lambda s: s[1] < k, lambda s: (np.cos(s[0]) * x, s[1] + 1), (total, 0)
        )
        return total + inner, k + 1

    return sd.while_loop(lambda s: s[1] < 4, outer, (x, 0))[0]


def fori_powers(x, n):
    return sd.fori_loop(0, n, lambda i, s: s * x + i, 1.0)


def fori_between(x, lo, hi):
    return sd.fori_loop(lo, hi, lambda i, s: s + np.sin(i * x), 0.5 * x)


def fori_of_a_tree(x, n):
    def body(i, s):
        return {"u": s["u"] + s["v"][0] * x, "v": [np.cos(s["u"]), s["v"][0]]}

    out = sd.fori_loop(0, n, body, {"u": x, "v": [x, x**2]})
    return out["u"] + out["v"][0] * out["v"][1]


def fori_that_indexes(x, n):
    return sd.fori_loop(0, n, lambda i, s: s * x[i] + x[i - 1], 1.0)


def fori_of_cond(x, n):
    def body(i, s):
        return sd.cond(i % 2 == 0, lambda s: s + 0.1, lambda s: s * x, s)

    return sd.fori_loop(0, n, body, x)


def scan_sums(x):
    carry, sums = sd.scan(lambda c, v: (c + v, c * v), 0.0, x)
    return carry**2 + np.sum(np.sin(sums))


def scan_outputs(x):
    return sd.scan(lambda c, v: (np.tanh(c + v), c**2), 0.5, x)


def scan_of_trees(x, y):
    def step(carry, given):
        a, (b,) = carry["a"], carry["b"]
        new = {"a": a * given["y"] + b, "b": (np.sin(b + given["x"]),)}
        return new, {"first": a * b, "second": (given["x"] * a,)}

    return sd.scan(step, {"a": 0.3, "b": (0.7,)}, {"x": x, "y": y})


def scan_of_rows(A):
    return sd.scan(lambda c, row: (np.cross(c, row) + row, c @ row), np.ones(3), A)


def scan_of_scan(A):
    def outer(c, row):
        return sd.scan(lambda c, v: (np.cos(c) * v, c + v), c, row)

    return sd.scan(outer, 0.1, A)


FUNCTIONS = [
    (cond_of_one, 0.7),
    (cond_of_one, -0.7),
    (cond_of_a_tree, 1.0, 0.5),
    (cond_of_a_tree, 0.5, 1.0),
    (cond_of_arrays, X, 0.2),
    (cond_of_arrays, X, 0.9),
    (cond_in_cond, 0.5, 0.7),
    (cond_in_cond, 0.5, -0.7),
    (cond_in_cond, -0.5, 0.7),
    (cond_in_cond, -0.5, -0.7),
    (cond_that_closes_over, 1.2, 1.1),
    (cond_that_closes_over, 0.2, 0.1),
    (cond_without_arguments_used, 0.4),
    (while_doubles, 1.3),
    (while_doubles, 200.0),
    (while_of_a_tree, 0.4, 0.9),
    (while_of_an_array, X),
    (while_in_while, 0.8),
    (fori_powers, 0.9, 0),
    (fori_powers, 0.9, 1),
    (fori_powers, 0.9, 23),
    (fori_between, 0.9, 3, 3),
    (fori_between, 0.9, 5, 2),
    (fori_between, 0.9, -2, 4),
    (fori_of_a_tree, 0.8, 6),
    (fori_that_indexes, X, 5),
    (fori_that_indexes, X, 2),
    (fori_of_cond, 1.01, 130),
    (scan_sums, LONG),
    (scan_sums, LONG[:1]),
    (scan_outputs, LONG),
    (scan_of_trees, X, LONG[:5]),
    (scan_of_rows, M),
    (scan_of_scan, M),
]


@named(FUNCTIONS)
def test_the_four_functions(f, args):
    check(f, *args)


def test_the_four_functions_outside_of_a_trace():
    assert sd.cond(True, lambda x: x + 1, lambda x: x - 1, 3) == 4
    assert sd.cond(np.bool_(False), lambda x: x + 1, lambda x: x - 1, 3) == 2
    assert sd.cond(np.float64(0.5) > 1, lambda: "a", lambda: "b") == "b"
    assert sd.while_loop(lambda s: s < 100, lambda s: 2 * s, 3) == 192
    assert sd.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, s[1] * 2), (0, 1)) == (3, 8)
    assert sd.fori_loop(2, 5, lambda i, s: [*s, i], []) == [2, 3, 4]
    assert sd.fori_loop(5, 2, lambda i, s: s + 1, 0) == 0
    carry, ys = sd.scan(lambda c, x: (c + x, c * x), 0.0, np.arange(4.0))
    same((carry, ys), (np.float64(6.0), np.array([0.0, 0.0, 2.0, 9.0])))
    carry, ys = sd.scan(
        lambda c, x: ({"s": c["s"] + x[0]}, (c["s"], x[1])), {"s": 1}, (np.arange(3), np.eye(3))
    )
    assert carry == {"s": 4}
    same(ys, (np.array([1, 1, 2]), np.eye(3)))


def test_only_the_taken_side_runs_outside_of_a_trace():
    def never(x):
        pytest.fail("this side is not taken")

    assert sd.cond(True, lambda x: x, never, 1.0) == 1.0
    assert sd.cond(False, never, lambda x: x, 1.0) == 1.0
    assert sd.while_loop(lambda s: False, never, 1.0) == 1.0
    assert sd.fori_loop(0, 0, never, 1.0) == 1.0


@pytest.mark.parametrize(("n", "trips"), [(0, 0), (1, 1), (2, 2), (16, 16), (17, 17), (500, 500)])
def test_any_number_of_trips(n, trips):
    assert fori_powers(0.5, n) == sum(0.5 ** (n - 1 - i) * i for i in range(trips)) + 0.5**n
    kernel = sd.jit(fori_powers)
    same(kernel(0.5, n), float(fori_powers(0.5, n)))


def test_scan_of_nothing():
    empty = np.zeros(0)
    carry, ys = sd.jit(lambda x: sd.scan(lambda c, v: (c + v, c * v), 1.5, x))(empty)
    assert carry == 1.5
    assert np.shape(ys) == (0,)
    gradient = sd.grad(lambda a, x: sd.scan(lambda c, v: (c * v, c), a, x)[0], argnums=(0, 1))
    by_start, by_x = gradient(1.5, empty)
    assert by_start == 1.0
    assert np.shape(by_x) == (0,)


@named(
    [
        (cond_of_one, np.array([0.7, -0.7, 0.0])),
        (cond_in_cond, np.array([0.5, 0.5, -0.5, -0.5]), np.array([0.7, -0.7, 0.7, -0.7])),
        (while_doubles, np.array([1.3, 200.0, 5.0, 0.9])),
        (while_in_while, np.array([0.8, -0.3])),
        (while_of_an_array, np.stack([X, 3 * X, 0.01 * X])),
        (fori_powers, np.array([0.9, 1.1, 1.2, 0.0]), np.array([0, 1, 23, 4])),
        (fori_between, np.array([0.9, 0.3]), np.array([0, 4]), np.array([7, 4])),
        (scan_outputs, np.stack([X, X[::-1], X**2])),
        (scan_of_scan, M.reshape(4, 5, 3)),
    ]
)
def test_the_four_functions_in_a_map(f, args):
    """Every element takes its own branch and its own number of trips."""
    check_vmap(f, *args)


def test_whole_and_truth_valued_states():
    def f(n):
        def body(i, s):
            return {"odd": ~s["odd"], "sum": s["sum"] + i, "any": s["any"] | (i == 3)}

        return sd.fori_loop(0, n, body, {"odd": False, "sum": 0, "any": False})

    kernel = sd.jit(f)
    for n in range(6):
        got = kernel(n)
        assert bool(got["odd"]) == (n % 2 == 1)
        assert got["sum"] == sum(range(n))
        assert bool(got["any"]) == (n > 3)
        assert np.asarray(got["odd"]).dtype.kind == "b"
        assert np.asarray(got["sum"]).dtype.kind == "i"


def test_states_of_whole_and_floating_numbers_together():
    def f(x, n):
        return sd.fori_loop(
            0, n, lambda i, s: (s[0] * x + s[1], s[1] + 2, ~s[2]), (x, 0, np.array(True))
        )[0]  # fmt: skip

    for n in (0, 1, 8):
        check(f, 0.7, n)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: sd.cond(x > 0, lambda x: x, lambda x: (x, x), x),
        lambda x: sd.cond(x > 0, lambda x: x, lambda x: np.stack([x, x]), x),
        lambda x: sd.while_loop(lambda s: s[0] < 3, lambda s: s[0] + 1, (x, x)),
        lambda x: sd.fori_loop(0, 30, lambda i, s: np.stack([s, s]), x),
        lambda x: sd.scan(lambda c, v: (np.stack([c, c]), v), x, np.ones(30)),
        lambda x: sd.scan(lambda c, v: (c, v), x, (np.ones(30), np.ones(29))),
    ],
    ids=["structure", "shape", "while", "fori", "scan", "lengths"],
)
def test_states_that_change_their_kind_are_refused(call):
    with pytest.raises(sd.SymdiffError):
        sd.jit(call)(1.0)


# Python's statements


def if_else(x):
    if x > 0:
        y = np.sin(x)
    else:
        y = x**2
    return y * x


def if_alone(x):
    y = x
    if x < 0:
        y = y * 3
    return y**2


def if_elif(x):
    if x < -1:
        y = -x
    elif x < 0:
        y = x**3
    elif x < 1:
        y = np.exp(x)
    else:
        y = np.log(x)
    return y


def conditional_expression(x, y):
    return (x * y if x > y else x - y**2) + (1.0 if x > 0 else 2.0) * y


def and_or_not(x, y):
    if (x > 0 and y > 0) or not (x < 1 or y < 1):
        z = x * y
    else:
        z = x - y
    return z * (2.0 if not x > y else 3.0)


def chained_comparison(x):
    if -1 < x <= 0.5:
        return x**3
    return 2 * x


def branch_of_several(x, y):
    a, b, c = x, y, 0.0
    if x * y > 0:
        a, b = b, a
        c = np.sin(a)
    else:
        b = a * b
    return a**2 + 3 * b + c


def branch_of_an_array(x):
    if np.sum(x) > 0:
        y = np.cumsum(x)
    else:
        y = x[::-1] ** 2
    return y * x


def branch_writes(x, at):
    y = np.zeros(5)
    y[1:] = x[1:]
    if x[0] > at:
        y[0] = x[0] ** 2
        y[2:4] *= x[1]
    else:
        y[-1] += at
    return y


def branch_of_a_tree(x, y):
    p = {"a": x, "b": [y, x * y]}
    if x > y:
        p = {"a": p["b"][1], "b": [p["a"], p["b"][0] ** 2]}
    return p["a"] * p["b"][0] + p["b"][1]


def branch_in_branch(x, y):
    z = x
    if x > 0:
        z = z * 2
        if y > 0:
            z = z * y
        elif y < -1:
            z = z - y
        z = z + 1
    else:
        w = y**2
        z = w if w > 0.1 else z
    return z**2


def for_static_short(x):
    y = x
    for i in range(5):
        y = np.sin(y) + i * x
    return y


def for_static_long(x):
    y = x
    for i in range(200):
        y = np.sin(y) + 0.01 * i * x
    return y


def for_range_with_step(x):
    y = 0.0
    for i in range(40, 3, -2):
        y = 0.9 * y + np.cos(i * x)
    return y


def for_length(x):
    y = 1.0
    for i in range(len(x)):
        y = y * 0.9 + np.sin(x[i]) * y
    return y


def for_shape(A):
    y = 0.0
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            y = y * 0.9 + A[i, j] ** 2
    return y


def for_number(x, n):
    y = x
    for i in range(n):
        y = y * x + i
    return y


def for_rows(A):
    c = np.ones(3)
    for row in A:
        c = np.cross(c, row) + row
    return c


def for_rows_and_columns(A):
    total = 0.0
    for row in A:
        for v in row:
            total = total * 0.9 + np.sin(v)
    return total


def for_enumerate(x):
    y = 0.0
    for i, v in enumerate(x):
        y = y + v**2 * i
    return y


def for_enumerate_from(x):
    y = 0.0
    for i, v in enumerate(x, start=3):
        y = y * 0.5 + v * i
    return y


def for_zip(x, A):
    y = 0.0
    for v, row in zip(x, A, strict=True):
        y = np.sin(y * v) + row @ row
    return y


def for_zip_shortest(x, y):
    s = 0.0
    for a, b in zip(x, y, strict=False):
        s = s * a + b
    return s


def for_enumerate_zip(x, y):
    s = 0.0
    for i, (a, b) in enumerate(zip(x, y, strict=True)):
        s = s * a + b * i
    return s


def for_writes(x):
    y = np.zeros(len(x))
    y[0] = x[0]
    for i in range(1, len(x)):
        y[i] = y[i - 1] * 0.5 + x[i] ** 2
    return y


def for_writes_rows(A):
    B = np.zeros(A.shape)
    for i in range(A.shape[0]):
        B[i] = A[i] * np.sum(A[:5]) + B[i - 1]
    return B


def for_adds_in_place(x):
    y = np.ones(4)
    for i in range(len(x)):
        y[i % 4] += x[i] ** 2
        y *= 0.9
    return y


def for_table(x):
    """Differences of differences, in a table that is read where it was written."""
    n = len(x)
    T = np.zeros((n, n))
    T[0] = x
    for k in range(1, n):
        for i in range(n - k):
            T[k, i] = (T[k - 1, i + 1] - T[k - 1, i]) * 0.5
    return T[:, 0]


def for_last_value(x):
    """The variable of a loop, and what its body made, live on after it."""
    for i in range(len(x)):
        last = x[i] ** 2
    return last * i


def for_several(x):
    a, b, c = 0.0, 1.0, np.zeros(2)
    for v in x:
        a, b = b, a * v + 0.3
        c = np.stack([c[1] + a, c[0] * b])
    return a + b * c


def for_swaps(x):
    a, b = x[0], x[1]
    for _ in range(33):
        a, b = b, a
    return a**2 + 3 * b


def for_unchanged(x):
    k = x * 2
    y = 0.0
    for _ in range(20):
        y = y + k * y * 0.01 + k
    return y * k


def for_counts(x):
    n = 0
    for v in x:
        if v > 0:
            n += 1
    return n


def for_truth(x):
    found = False
    for v in x:
        found = found or v > 0.9
    return found


def while_counts(x):
    y, n = x, 0
    while y < 100.0:
        y = y * y + x
        n += 1
    return y * n


def while_compound(x):
    y, n = x, 0
    while y < 100.0 and n < 5:
        y = y * 1.7 + x
        n += 1
    return y


def while_or_not(x):
    y, n = x, 0
    while n < 3 or not y > 10.0:
        y = y * 1.7 + x
        n += 1
    return y


def while_not_entered(x):
    while x < 0:
        x = x * 0.5 + 1
    return x**2


def while_over_an_array(x):
    while np.sum(x**2) > 0.1:
        x = 0.7 * np.sin(x)
    return x


def while_true(x):
    n = 0
    while True:
        x = np.sin(x) + 0.1
        n += 1
        if x < 0.75 or n > 30:
            break
    return x * n


def for_break(x, level):
    s = 0.0
    for v in x:
        if s > level:
            break
        s = s + v**2 * level
    return s


def for_continue(x):
    s = 0.1
    for v in x:
        if v < 0:
            continue
        s = s * v + np.sin(v)
    return s


def for_break_and_continue(x, level):
    s = 0.1
    for i, v in enumerate(x):
        if v < -0.8:
            continue
        s = s + v**2 * i
        if s > level:
            break
        s = s * 1.1
    return s


def for_else(x, level):
    s = 0.0
    for v in x:
        if v > level:
            s = s + v**3
            break
        s = s + v**2
    else:
        s = s * 10 * level
    return s


def while_else(x):
    n = 0
    while n < 20:
        x = x * 1.1
        n += 1
        if x > 5.0:
            break
    else:
        x = -(x**2)
    return x


def for_return(x, level):
    s = 0.0
    for v in x:
        s = s + v**2
        if s > level:
            return s * level
    return -s


def while_return(x):
    while x < 50.0:
        x = x * x
        if 8.0 < x < 9.0:
            return np.log(x)
    return x * 2


def branch_in_loop(x, w):
    s = w
    for v in x:
        if v > 0:
            s = s * v
        elif v < -0.7:
            s = s + v * w
        else:
            s = np.sin(s) - v
    return s


def loop_in_branch(x, n):
    if x > 0:
        y = x
        for _ in range(n):
            y = y * x + 1
    else:
        y = 1.0
        while y < 10.0:
            y = y - x
    return y * x


def loop_in_loop_of_other_lengths(x):
    total = 0.0
    for i in range(len(x)):
        inner = 1.0
        for j in range(i):
            inner = inner * x[j] + 0.5
        total = total + inner * x[i]
    return total


def break_of_the_inner(A, level):
    s = 0.0
    for row in A:
        for v in row:
            if v < level:
                break
            s = s + v**2
        s = s * 0.9
    return s


def while_in_for(x):
    s = 0.0
    for v in x:
        w = abs(v)
        while w > 0.205:  # which no |v| comes to, times a power of 0.6
            w = w * 0.6
        s = s + w * v
    return s


def closure(x, y):
    z = x * y

    def step(s, v):
        if v > z:
            return s * v + z
        return s - y

    s = 0.3
    for i in range(20):
        s = step(s, i * 0.1)
    return s


def outer_helper(x):
    """Call a helper of this module that has statements of its own."""
    total = 0.0
    for i in range(3):
        total = total + if_else(x - i) * for_length(np.stack([x, x * 2, x - 1]))
    return total


def recursive(x, n):
    """The depth is a plain number here."""
    return x if n == 0 else np.sin(recursive(x, n - 1)) + x


def default_argument(x, scale=2.0, *, shift=0.5):
    if x > shift:
        return x * scale
    return x + scale


def calls_with_defaults(x):
    return default_argument(x) + default_argument(x, 3.0) + default_argument(x, shift=9.0)


def augmented(x):
    s, p = 0.0, 1.0
    for v in x:
        s += v
        p *= 1 + v / 10
        s -= 0.1 * p
        s /= 1.1
    return s * p


def walrus(x):
    n = 0
    while (y := np.sin(x) * 2) > 1.0 and n < 4:
        x = x + 0.4
        n += 1
    return y * x


def in_comprehension(x):
    return sum([v**2 if v > 0 else -v for v in (x[0], x[1], x[2])])


def built_in_max_and_min(x, y):
    return max(x, y) * 2 + min(x, y, 0.3) ** 2 + abs(x)


def index_by_traced(x, i):
    return DATA[i] * x[i] + x[i - 1] ** 2


def search_sorted(x, at):
    """Linear interpolation by bisecting for the place of `at` among whole numbers."""
    lo, hi = 0, len(x) - 1
    while hi - lo > 1:
        mid = (lo + hi) // 2
        if at < mid:
            hi = mid
        else:
            lo = mid
    return x[lo] + (x[hi] - x[lo]) * (at - lo)


STATEMENTS = [
    (if_else, 0.7),
    (if_else, -0.7),
    (if_alone, 0.7),
    (if_alone, -0.7),
    (if_elif, -1.5),
    (if_elif, -0.5),
    (if_elif, 0.5),
    (if_elif, 1.5),
    (conditional_expression, 0.5, 0.2),
    (conditional_expression, -0.5, 0.2),
    (and_or_not, 0.5, 0.4),
    (and_or_not, 0.5, -0.4),
    (and_or_not, -0.5, 1.4),
    (chained_comparison, 0.3),
    (chained_comparison, 0.8),
    (chained_comparison, -1.2),
    (branch_of_several, 0.5, 0.7),
    (branch_of_several, 0.5, -0.7),
    (branch_of_an_array, X),
    (branch_of_an_array, -X),
    (branch_writes, X, 0.1),
    (branch_writes, X, 0.9),
    (branch_of_a_tree, 0.5, 0.2),
    (branch_of_a_tree, 0.2, 0.5),
    (branch_in_branch, 0.5, 0.3),
    (branch_in_branch, 0.5, -0.3),
    (branch_in_branch, 0.5, -1.3),
    (branch_in_branch, -0.5, 0.7),
    (branch_in_branch, -0.5, 0.1),
    (for_static_short, 0.3),
    (for_static_long, 0.3),
    (for_range_with_step, 0.3),
    (for_length, X),
    (for_length, LONG),
    (for_length, LONG[:1]),
    (for_shape, M),
    (for_number, 0.9, 0),
    (for_number, 0.9, 1),
    (for_number, 0.9, 23),
    (for_rows, M),
    (for_rows_and_columns, M),
    (for_enumerate, LONG),
    (for_enumerate_from, LONG),
    (for_zip, LONG[:20], M),
    (for_zip_shortest, LONG[:20], X),
    (for_enumerate_zip, LONG, LONG[::-1]),
    (for_writes, LONG),
    (for_writes_rows, M),
    (for_adds_in_place, LONG),
    (for_table, LONG[:6]),
    (for_table, LONG[:20]),
    (for_last_value, LONG),
    (for_several, LONG),
    (for_swaps, X[:2]),
    (for_unchanged, 0.3),
    (while_counts, 1.3),
    (while_counts, 200.0),
    (while_compound, 1.3),
    (while_compound, 30.0),
    (while_or_not, 1.3),
    (while_or_not, 30.0),
    (while_not_entered, 0.5),
    (while_not_entered, -3.0),
    (while_over_an_array, X),
    (while_true, 2.0),
    (for_break, LONG, 0.5),
    (for_break, LONG, 100.0),
    (for_continue, LONG),
    (for_break_and_continue, LONG, 0.5),
    (for_break_and_continue, LONG, 1e9),
    (for_else, LONG, 0.99),
    (for_else, LONG, 2.0),
    (while_else, 2.0),
    (while_else, 0.1),
    (for_return, LONG, 0.9),
    (for_return, LONG, 1e3),
    (while_return, 1.3),
    (while_return, 1.7),
    (branch_in_loop, LONG, 0.6),
    (loop_in_branch, 0.8, 20),
    (loop_in_branch, -0.8, 20),
    (loop_in_loop_of_other_lengths, LONG[:20]),
    (break_of_the_inner, M, -0.5),
    (while_in_for, LONG),
    (closure, 0.9, 0.7),
    (outer_helper, 0.7),
    (recursive, 0.7, 4),
    (calls_with_defaults, 0.7),
    (calls_with_defaults, 0.3),
    (augmented, LONG),
    (walrus, 0.8),
    (walrus, 2.5),
    (in_comprehension, X),
    (built_in_max_and_min, 0.7, 0.2),
    (built_in_max_and_min, -0.7, 0.2),
    (index_by_traced, X, 3),
    (index_by_traced, X, 0),
    (search_sorted, LONG, 7.3),
]


@named([case for case in STATEMENTS if case[0] is not recursive])
def test_statements(f, args):
    check(f, *args)


def test_recursion_of_a_plain_depth():
    check(lambda x: recursive(x, 4), 0.7)


@named([(for_counts, LONG), (for_counts, LONG[:1]), (for_truth, LONG), (for_truth, LONG / 2)])
def test_statements_that_give_no_floating_numbers(f, args):
    want = f(*args)
    got = sd.jit(f)(*args)
    assert np.asarray(got).dtype.kind == np.asarray(want).dtype.kind
    assert got == want


@named(
    [
        (if_elif, np.array([-1.5, -0.5, 0.5, 1.5, 0.0])),
        (and_or_not, np.array([0.5, 0.5, -0.5, 2.0]), np.array([0.4, -0.4, 1.4, 3.0])),
        (branch_of_an_array, np.stack([X, -X])),
        (branch_writes, np.stack([X, X, -X]), np.array([0.1, 0.9, 0.0])),
        (branch_in_branch, np.array([0.5, 0.5, -0.5]), np.array([0.3, -1.3, 0.1])),
        (for_static_long, np.array([0.3, -0.3])),
        (for_number, np.array([0.9, 1.1, 1.2, 0.0]), np.array([0, 1, 23, 4])),
        (for_writes, np.stack([LONG, LONG[::-1]])),
        (for_rows, M.reshape(4, 5, 3)),
        (while_counts, np.array([1.3, 200.0, 5.0])),
        (while_over_an_array, np.stack([X, 3 * X, 0.01 * X])),
        (while_true, np.array([2.0, 0.1])),
        (for_break, np.stack([LONG] * 3), np.array([0.5, 100.0, 0.01])),
        (for_else, np.stack([LONG] * 2), np.array([0.99, 2.0])),
        (for_return, np.stack([LONG] * 3), np.array([0.9, 1e3, 0.0])),
        (while_return, np.array([1.3, 1.7, 60.0])),
        (branch_in_loop, np.stack([LONG, -LONG]), np.array([0.6, 0.3])),
        (loop_in_branch, np.array([0.8, -0.8, 1.1]), np.array([20, 5, 0])),
        (index_by_traced, np.stack([X, X, X]), np.array([3, 0, 1])),
        (search_sorted, np.stack([LONG] * 3), np.array([7.3, 0.2, 28.9])),
    ]
)
def test_statements_in_a_map(f, args):
    """Every element takes its own branch and its own number of trips."""
    check_vmap(f, *args)


@named(
    [
        (branch_of_an_array, X),
        (branch_of_an_array, -X),
        (for_rows, M[:4]),
        (for_writes, LONG[:5]),
        (for_adds_in_place, LONG[:6]),
        (for_table, LONG[:5]),
        (while_over_an_array, X),
        (for_several, LONG[:5]),
        (while_of_an_array, X),
        (lambda A: scan_of_rows(A)[1], M[:3]),
        (lambda x: branch_writes(x, 0.1), X),
    ]
)
def test_jacobians_by_columns_and_by_rows(f, args):
    check_jacobian(f, *args)


@named(
    [
        (while_counts, 1.3),
        (while_compound, 1.3),
        (while_over_an_array, X),
        (for_length, X),
        (for_return, X, 0.9),
        (branch_in_loop, X, 0.6),
        (fori_that_indexes, X, 5),
    ]
)
def test_hessians_and_checks(f, args):
    """Whole, symmetric, and as `sd.check_derivatives` finds them."""
    rest = args[1:]

    def loss(x):
        return np.sum(f(x, *rest) ** 2)

    x = args[0]
    n = np.size(x)
    gradient = sd.grad(loss)
    hessian = np.reshape(sd.hessian(loss)(x), (n, n))
    h = 1e-5
    unit = [np.reshape(e, np.shape(x)) * h for e in np.eye(n)]
    want = [(flat(gradient(x + e)) - flat(gradient(x - e))) / (2 * h) for e in unit]
    close(hessian, np.stack(want), 1e-6)
    close(hessian, hessian.T, 1e-11)
    sd.check_derivatives(loss, x)


def test_third_derivative_through_a_while():
    def f(x):
        y = x
        while y < 100.0:
            y = y * y * x
        return y

    # From 3 the states are x, x**3, x**7, ...: the first that is not below 100 is x**7.
    x = 3.0
    assert f(x) == x**7
    assert sd.grad(sd.grad(sd.grad(f)))(x) == pytest.approx(7 * 6 * 5 * x**4, rel=1e-12)


def test_gradients_of_gradients_in_loops():
    def f(x):
        s = 0.0
        slope = sd.grad(for_return)
        for i in range(20):
            s = s + np.sum(slope(x, 0.05 * i + 0.5) ** 2)
        return s

    check(f, X)


# What other projects got wrong without a word


def used_after_the_loop(x, n):
    """As warp#1694: a value made before a loop of traced length, used in it and after it."""
    area = x[0] * x[1]
    acc = 0.0
    for k in range(n):
        acc = acc + area * x[2] * (k + 1)
    return acc * area + np.sin(area)


def squared_accumulator(x, n, start):
    """As warp#1694 goes on: the stale number would be the accumulator's first."""
    acc = start
    for _ in range(n):
        acc = acc + x[0] * 2
    return acc * acc * x[1]


def reciprocal_of_a_sum(x, n, start):
    """As warp#1740: what comes out of a loop in a helper goes through a function there."""
    return 1.0 / sum_of_first(x, n, start)


def sum_of_first(x, n, start):
    total = start
    for i in range(n):
        total += x[i]
    return total


def square_in_the_helper(x, n, start):
    def squared(x):
        total = sum_of_first(x, n, start)
        return total * total

    return squared(x)


def overwritten_in_the_loop(x, n):
    """As warp#174: a variable that is overwritten while its old value is needed."""
    y = x[0]
    z = 1.0
    for i in range(n):
        y = y * y * 0.9
        z = z + y * x[1]
        y = y + z * 0.01
    return y * z


def nested_dynamic_loops(x, n, m):
    """As warp#1293: two loops of traced lengths, one in the other."""
    q = x[0]
    for i in range(n):
        r = q
        for j in range(m):
            r = r * np.cos(x[1] * j) + i
        q = q + 0.1 * r
    return q


def largest_with_continue(x, c):
    """As warp#1552: the largest of products, by a loop that leaves out zeros."""
    largest = -1e20
    for v in c:
        if v == 0.0:
            continue
        d = v * x
        if d > largest:
            largest = d
    return largest


def component_by_component(x, n):
    """As warp#1697: v[i] = v[i] + ... over and over."""
    v = np.zeros(2)
    for i in range(n):
        v[0] = v[0] + x[0] * (i + 1)
        v[1] = v[1] + v[0] * x[1]
    return v


def branch_on_equality(x):
    """As jax#24740: at equality another branch is taken, which has its own slope."""
    if x == 0.0:
        return 3.0 * x + 1.0
    return np.sin(x) / x


def branch_on_a_traced_value(x, y):
    """As jax#24740: the branch of a first call is not that of the second."""
    if x[0] > y:
        return np.sum(x) * y
    return np.prod(x) - y


def newton_by_while(a):
    """As jax#2469: reverse mode through a loop whose end nobody knows."""
    x = a
    while x * x - a > 1e-13 * a:
        x = 0.5 * (x + a / x)
    return x


def data_at_a_traced_place(x, i):
    """As casadi#2785: plain data are looked up where a traced whole number says."""
    return DATA[i] * x + DATA[(i + 2) % 5] * x**2


def data_at_a_counted_place(x, n):
    s = 0.0
    for k in range(n):
        s = s * x + DATA[k % 5]
    return s


X3 = np.array([0.6, 0.8, 0.7])
REPORTED = [
    *[(used_after_the_loop, X3, n) for n in (0, 1, 4, 40)],
    *[(squared_accumulator, X3, n, start) for n in (1, 3, 20) for start in (0.0, 5.0)],
    *[(reciprocal_of_a_sum, X3, n, start) for n in (1, 3) for start in (0.0, 1.0)],
    *[(square_in_the_helper, X3, n, start) for n in (1, 3) for start in (0.0, 1.0)],
    *[(overwritten_in_the_loop, X3, n) for n in (1, 3, 20)],
    *[(nested_dynamic_loops, X3, n, m) for n, m in ((3, 4), (0, 4), (4, 0), (20, 18))],
    *[(component_by_component, X3, n) for n in (1, 4, 20)],
    (largest_with_continue, 0.7, LONG),
    (largest_with_continue, -0.7, np.where(LONG > 0.5, 0.0, LONG)),
    *[(data_at_a_traced_place, 0.7, i) for i in range(5)],
    *[(data_at_a_counted_place, 0.7, n) for n in (0, 1, 5, 23)],
    (newton_by_while, 2.0),
    (branch_on_equality, 0.4),
    (branch_on_a_traced_value, X3, 0.5),
    (branch_on_a_traced_value, X3, 0.9),
]


@named(REPORTED)
def test_reported_elsewhere(f, args):
    check(f, *args)


def test_reported_numbers():
    """The numbers that the reports give as right."""
    x = np.array([1.0, 1.0])
    for start, want in ((0.0, 8.0), (5.0, 28.0)):
        # (start + 2 n x)**2, n = 1 and x = 1: its slope is 4 (start + 2).
        assert sd.grad(squared_accumulator)(x, 1, start)[0] == want
    assert sd.grad(reciprocal_of_a_sum)(np.ones(1), 1, 0.0)[0] == -1.0
    assert sd.grad(square_in_the_helper)(np.ones(1), 1, 0.0)[0] == 2.0
    # tillahoffmann/jax-mps#195: 65 of 130 steps multiply by 1.001.

    def steps(x):
        for i in range(130):
            x = x + 0.01 if i % 2 == 0 else x * 1.001
        return x

    for f in (steps, lambda x: loop_of_cond(x, 130)):
        assert sd.grad(f)(1.0) == pytest.approx(1.001**65, rel=1e-13)
    # jax#5900: the power by a loop that goes on with no effect.
    assert sd.grad(power_that_idles)(3.0) == pytest.approx(108.0, rel=1e-14)


def loop_of_cond(x, n):
    def body(i, s):
        return sd.cond(i % 2 == 0, lambda s: s + 0.01, lambda s: s * 1.001, s)

    return sd.fori_loop(0, n, body, x)


def power_that_idles(x):
    def step(carry, k):
        return sd.cond(k < 4, lambda c: c * x, lambda c: c, carry), None

    return sd.scan(step, 1.0, np.arange(10))[0]


def test_the_branch_is_chosen_at_every_call():
    f, df = sd.jit(branch_on_a_traced_value), sd.grad(branch_on_a_traced_value, argnums=(0, 1))
    for y in (0.5, 0.9, 0.5, 0.6, -1.0):
        same(f(X3, y), np.float64(branch_on_a_traced_value(X3, y)))
        by_x, by_y = df(X3, y)
        if X3[0] > y:
            close((by_x, by_y), (np.full(3, y), np.sum(X3)), 1e-14)
        else:
            close((by_x, by_y), (np.prod(X3) / X3, -1.0), 1e-14)
    assert f.n_compiled == df.n_compiled == 1


def test_equality_has_its_own_branch():
    f = sd.value_and_grad(branch_on_equality)
    assert f(0.0) == (1.0, 3.0)
    assert sd.jvp(branch_on_equality, (0.0,), (1.0,)) == (1.0, 3.0)
    assert sd.hessian(branch_on_equality)(0.0) == 0.0
    value, slope = f(0.4)
    close(
        (value, slope), (math.sin(0.4) / 0.4, (0.4 * math.cos(0.4) - math.sin(0.4)) / 0.16), 1e-13
    )


# No NaN from what does not run


def safe_root(x):
    if x > 0:
        return np.sqrt(x)
    return 0.0 * x


def safe_quotient(x):
    return x / x if x != 0 else x + 1.0


def safe_norm(x):
    s = np.sum(x**2)
    if s == 0:
        return s
    return np.sqrt(s)


def safe_log_in_a_loop(x):
    s = 0.0
    for v in x:
        if v > 0:
            s = s + np.log(v)
    return s


def safe_after_break(x):
    s = 0.0
    for v in x:
        if v <= 0:
            break
        s = s + np.sqrt(v)
    return s


def safe_root_by_cond(x):
    return sd.cond(x > 0, np.sqrt, lambda x: 0.0 * x, x)


def safe_while(x):
    """No trip for x = 0, where a trip's derivative would be infinite."""
    y = x
    n = 0
    while y > 1e-3 and n < 3:
        y = np.sqrt(y) * 0.9
        n += 1
    return y


@pytest.mark.parametrize(
    ("f", "x", "slope"),
    [
        (safe_root, 0.0, 0.0),
        (safe_root, -1.0, 0.0),
        (safe_root_by_cond, 0.0, 0.0),
        (safe_quotient, 0.0, 1.0),
        (safe_norm, np.zeros(3), np.zeros(3)),
        (safe_log_in_a_loop, np.array([0.0, 2.0, -1.0, 0.5]), np.array([0.0, 0.5, 0.0, 2.0])),
        (safe_after_break, np.array([4.0, 0.0, 1.0]), np.array([0.25, 0.0, 0.0])),
        (safe_while, 0.0, 1.0),
    ],
)
def test_branches_not_taken_leave_no_trace(f, x, slope):
    value, gradient = sd.value_and_grad(f)(x)
    assert value == f(x)
    np.testing.assert_array_equal(gradient, slope)
    _, tangent = sd.jvp(f, (x,), (np.ones(np.shape(x)),))
    assert tangent == np.sum(slope)
    _, product = sd.hvp(f, (x,), (np.ones(np.shape(x)),))
    assert np.all(np.isfinite(product[0]))
    batch = np.stack([x, np.ones(np.shape(x))])
    np.testing.assert_array_equal(sd.vmap(sd.grad(f))(batch)[0], slope)
    outside = sd.grad(lambda b: np.sum(sd.vmap(f)(b)))(batch)
    np.testing.assert_array_equal(outside[0], slope)


def test_what_is_not_there_is_not_read():
    """A place past the end, in a branch or a trip that does not come."""

    def f(x, i):
        return x[i] if i < len(x) else 0.0 * x[0]

    kernel, slope = sd.jit(f), sd.grad(f)
    for i in (0, 4, 5, 1000):
        assert kernel(X, i) == (X[i] if i < 5 else 0.0)
        np.testing.assert_array_equal(slope(X, i), np.arange(5) == i)


# Sizes


def harmonic(x):
    return np.sum(x) / len(x) + x.shape[0] * x[0]


def counted(x):
    n = len(x)
    s = 0.0
    for i in range(n):
        s += x[i] * (n - i) / n
    return s


def by_int_of_shape(x):
    n = int(x.shape[0])
    return np.sum(x**2) / n + math.pi * n * x[-1]


def compared_sizes(x):
    if len(x) > 16:
        return np.sum(x) * 2
    return np.sum(x**2)


def compared_sizes_in_steps(x):
    n = x.shape[0]
    if n == 2:
        return x[0] * x[1]
    if n % 2 == 0 and n > 50:
        return np.sum(np.sin(x)) * n
    return x[n - 1] ** 2 * n if n < 10 else x[n // 2] ** 3


def while_below_size(x):
    i, s = 0, 0.0
    while i < len(x):
        s = s * 0.9 + x[i] ** 2
        i += 2
    return s


def triangle(x):
    s = 0.0
    n = len(x)
    if n > 8:
        n = 8
    for i in range(n):
        for j in range(i):
            s = s + x[i] * x[j] / (n + i - j)
    return s


def halved(x):
    """The number of trips is the logarithm of the size."""
    n = len(x)
    s = 0.0
    while n > 1:
        n = n // 2
        s = s + x[n] ** 2
    return s


def reversed_loop(x):
    s = 0.0
    for i in range(len(x) - 1, -1, -1):
        s = np.sin(s) + x[i] * 0.5
    return s


def every_other(x):
    s = 0.0
    for i in range(0, len(x), 2):
        s = s * 0.5 + x[i]
    for v in x[1::2]:
        s = s * 0.5 - v**2
    return s


def every_other_place(x):
    s = 0.0
    for i in range(0, len(x), 2):
        s = s * 0.5 + x[i]
    for i in range(len(x) - 1, 0, -3):
        s = s * 0.7 - x[i] ** 2
    return s


def pairs(x):
    s = 0.0
    for a, b in zip(x[:-1], x[1:], strict=True):  # noqa: RUF007
        s = s + (b - a) ** 2 if b > a else s - a
    return s


def written(x):
    y = np.zeros(len(x))
    for i, v in enumerate(x):
        y[len(x) - 1 - i] = v**2 * i
    return np.sum(y * np.arange(len(x))) / len(x) ** 2


def found_first(x):
    for i in range(len(x)):
        if x[i] < -0.95:
            return x[i] * (i + 1)
    return x[0] * len(x)


SIZED = [
    (harmonic, 1),
    (counted, 1),
    (by_int_of_shape, 7),  # each size that becomes a number is another function
    (compared_sizes, 2),  # a kernel for each answer
    (compared_sizes_in_steps, 7),  # a remainder is a number
    (while_below_size, 1),
    (triangle, 2),
    (halved, 1),
    (reversed_loop, 1),
    (every_other, 7),  # as is the length of a slice with a step
    (every_other_place, 1),
    (pairs, 1),
    (written, 1),
    (found_first, 1),
    (for_length, 1),
    (for_enumerate, 1),
    (for_enumerate_from, 1),
    (augmented, 1),
    (scan_sums, 1),
]


@pytest.mark.parametrize(("f", "n_kernels"), SIZED, ids=[f.__name__ for f, _ in SIZED])
def test_one_kernel_for_all_sizes(f, n_kernels):
    """No size ever gets another's numbers, in whatever order they come."""
    step = 1e-5 if f is scan_sums else 1e-3
    inputs = lambda n: (0.5 * np.sin(1.3 * np.arange(1.0, n + 1)) - 0.48,)  # noqa: E731
    check_sizes(f, inputs, n_kernels=n_kernels, step=step)


@pytest.mark.parametrize("f", [for_rows_and_columns, for_shape])
def test_one_kernel_for_all_numbers_of_rows(f):
    check_sizes(f, lambda n: (np.cos(np.arange(3.0 * n)).reshape(n, 3),), sizes=(5, 2, 100, 17))


def test_one_kernel_for_a_batch_of_loops():
    f = sd.vmap(for_number)
    df = sd.vmap(sd.grad(for_number))
    for n in (5, 2, 1000, 17):
        x, count = np.linspace(0.1, 1.0, n), np.arange(n) % 9
        want = [for_number(*a) for a in zip(x.tolist(), count.tolist(), strict=True)]
        np.testing.assert_allclose(f(x, count), want, rtol=1e-12)
        h = 1e-6
        slopes = [
            (for_number(v + h, k) - for_number(v - h, k)) / (2 * h)
            for v, k in zip(x.tolist(), count.tolist(), strict=True)
        ]
        np.testing.assert_allclose(df(x, count), slopes, rtol=1e-7)
    assert f.n_compiled == df.n_compiled == 1


def test_one_kernel_for_all_trips():
    f, df = sd.jit(for_number), sd.value_and_grad(for_number)
    for n in (3, 0, 1, 100, 16, 17, 3):
        want = for_number(0.9, n)
        assert f(0.9, n) == pytest.approx(want, rel=1e-13)
        value, slope = df(0.9, n)
        assert value == pytest.approx(want, rel=1e-13)
        h = 1e-5
        assert slope == pytest.approx(
            (for_number(0.9 + h, n) - for_number(0.9 - h, n)) / (2 * h), rel=1e-7
        )
    assert f.n_compiled == df.n_compiled == 1


def test_float32_stays():
    for f in (if_else, while_compound, for_static_long):
        x = np.float32(0.7)
        for value in (sd.jit(f)(x), sd.grad(f)(x)):
            assert np.asarray(value).dtype == np.float32
        assert sd.grad(f)(x) == pytest.approx(sd.grad(f)(0.7), rel=1e-4)


def test_a_function_without_its_source():
    """Made from text: there is nothing to read. An error may say so, a wrong number not come."""
    scope = {"np": np}
    exec("def f(x):\n    return x if x > 0 else -x\n", scope)  # noqa: S102 - what is tested
    with contextlib.suppress(sd.SymdiffError):
        assert sd.value_and_grad(scope["f"])(-2.0) == (2.0, -1.0)


def test_arguments_are_not_changed():
    given = LONG.copy()
    for f in (for_writes, for_adds_in_place, cumulative_in_place):
        sd.jit(f)(given)
        sd.jacobian(f)(given)
        np.testing.assert_array_equal(given, LONG)


def cumulative_in_place(x):
    y = np.array(x)
    for i in range(1, len(y)):
        y[i] += y[i - 1]
    return y


def test_methods_with_statements():
    class Model:
        def __init__(self, level):
            self.level = level

        def clipped(self, x):
            return x if x < self.level else self.level + 0.1 * (x - self.level)

        def __call__(self, x):
            s = 0.0
            for v in x:
                s += self.clipped(v) ** 2
            return s

    model = Model(0.5)
    check(model.clipped, 0.3)
    check(model.clipped, 0.7)
    check(model, LONG)


def test_loops_over_neighbors_stay_loops():
    def f(x):
        total = 0.0
        for now, then in itertools.pairwise(x):
            total += now * then**2
        return total

    x = np.linspace(0.5, 1.5, 40)
    compiled = sd.value_and_grad(f)
    for n in (40, 25, 17):
        value, gradient = compiled(x[:n])
        assert value == pytest.approx(f(x[:n]))
        expected = np.zeros(n)
        expected[:-1] += x[1:n] ** 2
        expected[1:] += 2 * x[: n - 1] * x[1:n]
        np.testing.assert_allclose(gradient, expected)
    assert compiled.n_compiled == 1
    assert sd.jit(f)(np.ones(1)) == 0.0
