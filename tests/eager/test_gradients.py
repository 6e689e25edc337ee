import threading

import numpy as np
import pytest

import symdiff.eager as tfe
from symdiff.eager import devices
from symdiff.eager.differentiated import Call, Differentiated
from symdiff.eager.gradients import Tree
from symdiff.eager.listeners import LISTENERS

T = tfe.constant


def plain(found):
    return [None if g is None else g.numpy().tolist() for g in found]


def polynomial(x, y):
    return x**2 - 2 * x * y + 3 * y


def cubic(x, y):
    return x**3 * y - x * y**2


def test_first_example():
    assert plain(tfe.gradients_function(polynomial)(2.0, 1.0)) == [2, -1]


def test_value_and_second_order():
    value, gradients = tfe.value_and_gradients_function(cubic)(2.0, 3.0)
    assert value.numpy() == 6
    assert plain(gradients) == [27, -4]
    first = tfe.gradients_function(cubic)
    second = tfe.gradients_function(lambda x, y: first(x, y)[0])
    assert plain(second(2.0, 3.0)) == [36, 6]


def test_orders_of_a_square():
    def square(x):
        return x * x

    value, first = tfe.value_and_gradients_function(square)(3.0)
    g1 = tfe.gradients_function(square)
    g2 = tfe.gradients_function(lambda x: g1(x)[0])
    g3 = tfe.gradients_function(lambda x: g2(x)[0])
    assert (float(value), plain(first), plain(g2(3.0)), plain(g3(3.0))) == (9, [6], [2], [None])


def test_nested_outputs_and_the_same_tensor_twice():
    assert plain(tfe.gradients_function(lambda x: (x + 2, x * x))(T([0.0, 1.0, 2.0]))) == [
        [1, 3, 5]
    ]
    one = T(1.0)
    assert plain(tfe.gradients_function(lambda x, y: x * y)(one, one)) == [1, 1]


@pytest.mark.parametrize(
    ("f", "at", "expected"),
    [
        (lambda x: tfe.where(x < 10, x, x * x), (5.0,), [1]),
        (lambda x: tfe.where(x < 10, x, x * x), (50.0,), [100]),
        (lambda x: tfe.where(x > 0, tfe.log(x), 0.0), (0.0,), [0]),
        (lambda a, b: a % b, (7.5, 2.0), [1, -3]),
        (lambda x, y: x**y, (-2.0, 3.0), [12, 0]),
        (lambda x, y: x**y, (0.0, 0.0), [0, 0]),
        (tfe.abs, (0.0,), [0]),
        (tfe.relu, ([0.0, 1.0],), [[0, 1]]),
        (tfe.sqrt, (0.0,), [np.inf]),
        (tfe.maximum, (1.0, 1.0), [0.5, 0.5]),
        (tfe.reduce_max, ([1.0, 2.0, 2.0],), [[0, 0.5, 0.5]]),
        (tfe.reduce_prod, ([0.0, 2.0, 3.0],), [[6, 0, 0]]),
        (lambda x: tfe.log(1 + tfe.exp(x)), (100.0,), [1]),
        (tfe.softplus, (100.0,), [1]),
        (lambda a, b: a // b, (7.5, 2.0), [None, None]),
        (lambda x: tfe.floor(x) + tfe.round(x), (1.5,), [None]),
        (lambda x: tfe.cast(x > 1, "float32"), (1.5,), [None]),
        (lambda x: x * tfe.stop_gradient(x), (3.0,), [3]),
        (lambda x, y: x * 2.0, (1.0, 1.0), [2, None]),
        (lambda x, n: x**n, (3.0, 2), [None, None]),
        (lambda x: tfe.softmax(x)[0], ([1.0, 1.0],), [[0.25, -0.25]]),
    ],
)
def test_corners(f, at, expected):
    if expected == [None, None] and isinstance(at[1], int):
        with pytest.raises(TypeError, match="int32"):
            tfe.gradients_function(f)(*at)
        return
    assert plain(tfe.gradients_function(f)(*at)) == expected


def test_stable_softplus_value():
    value, _ = tfe.value_and_gradients_function(lambda x: tfe.log(1 + tfe.exp(x)))(100.0)
    assert value.numpy() == 100


def test_branches_follow_values_and_are_compiled_once():
    absolute = tfe.gradients_function(lambda x: x if x > 0.0 else -x)
    assert plain([*absolute(3.0), *absolute(-3.0), *absolute(5.0)]) == [1, -1, 1]

    def doubled(x):
        while x < 5:
            x = x * 2
        return x

    assert plain(tfe.gradients_function(doubled)(2.0)) == [4]
    assert plain(tfe.gradients_function(doubled)(1.0)) == [8]


def _by_first(f, *tensors):
    tree = Tree(tuple, (), (Tree(tuple, (), (Tree(None),) * len(tensors)), Tree(dict)))
    path, _, gradients = f(Call(tree, list(tensors), (0,)))
    return path, gradients


def test_paths_and_sizes_share_kernels():
    f = Differentiated(lambda x: tfe.reduce_sum(x * x) if x[0] > 0 else tfe.reduce_sum(x))
    for n in (2, 5, 9):
        assert plain(_by_first(f, tfe.ones([n]))[1]) == [[2.0] * n]
        assert plain(_by_first(f, -tfe.ones([n]))[1]) == [[1.0] * n]
    assert f.n_paths == 2


def test_too_many_paths_are_refused():
    def staircase(x):
        n = 0
        while x > n:
            n += 1
        return x * n

    f = tfe.gradients_function(staircase)
    for n in range(64):
        assert plain(f(n + 0.5)) == [n + 1]
    with pytest.raises(TypeError, match="64 paths"):
        f(64.5)


def test_params_by_number_and_by_name():
    assert plain(tfe.gradients_function(polynomial, [1])(2.0, 1.0)) == [-1]
    assert plain(tfe.gradients_function(polynomial, ["y", "x"])(2.0, 1.0)) == [-1, 2]
    for params in ([0, "y"], ["z"]):
        with pytest.raises(ValueError, match="param"):
            tfe.gradients_function(polynomial, params)
    with pytest.raises(ValueError, match="argument 5"):
        tfe.gradients_function(polynomial, [5])(1.0, 2.0)


def test_other_arguments_pass_through():
    seen = []

    def f(x, mode, options):
        seen.append((mode, options))
        return x * 2 if mode == "twice" else x

    options = object()
    assert plain(tfe.gradients_function(f, [0])(1.0, "twice", options)) == [2]
    assert plain(tfe.gradients_function(f, [0])(1.0, "once", options)) == [1]
    assert seen == [("twice", options), ("once", options)]


def test_weights_and_structures():
    f = tfe.gradients_function(lambda x: x * x)
    assert plain(f([1.0, 2.0], dy=T([10.0, 100.0]))) == [[20, 400]]
    assert plain(f([1.0, 2.0], dy=[10.0, 100.0])) == [[20, 400]]
    with pytest.raises(ValueError, match="1 weights were given for 2"):
        tfe.gradients_function(lambda x: (x, x))(1.0, dy=1.0)
    (made,) = tfe.gradients_function(lambda p: p["a"] * p["b"][0])({"a": 2.0, "b": [3.0]})
    assert float(made["a"]) == 3
    assert float(made["b"][0]) == 2


def test_vjp_can_be_called_often():
    value, vjp = tfe.make_vjp(lambda x, y: x * y)(2.0, 3.0)
    assert value.numpy() == 6
    assert plain(vjp(1.0)) == [3, 2]
    assert plain(vjp(10.0)) == [30, 20]


def test_unconnected_zeros():
    f = tfe.gradients_function(lambda x, y: x, unconnected_gradients="zero")
    assert plain(f(1.0, [1.0, 2.0])) == [1, [0, 0]]
    with pytest.raises(ValueError, match="'none' and 'zero'"):
        tfe.gradients_function(polynomial, unconnected_gradients="nil")


def test_none_and_exceptions_leave_nothing_behind():
    def nothing(x):
        return None

    with pytest.raises(ValueError, match="nothing"):
        tfe.gradients_function(nothing)(1.0)

    def failing(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        tfe.gradients_function(failing)(1.0)
    assert not LISTENERS.recordings
    assert not devices.BUSY
    assert plain(tfe.gradients_function(polynomial)(2.0, 1.0)) == [2, -1]


def test_what_a_function_refers_to_may_change():
    scale = T(2.0)

    def f(x):
        return scale * x

    g = tfe.gradients_function(f)
    assert plain(g(1.0)) == [2]
    scale = T(5.0)
    assert plain(g(1.0)) == [5]


def test_inner_gradients_see_outer_tensors_and_decide():
    five = T(5.0)

    def outer(x):
        inner = tfe.gradients_function(lambda z: z * x * five)(2.0)[0]
        return x * inner if inner > 10 else inner

    f = tfe.gradients_function(outer)
    assert plain(f(3.0)) == [30]
    assert plain(f(1.0)) == [5]


def test_values_cannot_be_taken_away_inside():
    with pytest.raises(TypeError, match="compiled"):
        tfe.gradients_function(lambda x: x * float(x))(1.0)


def test_gradients_lie_where_the_source_lies(gpu):
    (slope,) = tfe.gradients_function(lambda x: x * x)(T(3.0).gpu(0))
    assert (slope.device, float(slope)) == ("/gpu:0", 6)
    slopes = tfe.gradients_function(lambda x, y: x * y)(T(3.0), T(2.0).gpu(0))
    assert [g.device for g in slopes] == ["/cpu:0", "/gpu:0"]
    with tfe.device("/gpu:0"):
        v = tfe.Variable(3.0)
    f = tfe.implicit_value_and_gradients(lambda: v * v)
    for _ in range(2):
        value, [(slope, _)] = f()
        assert (value.device, slope.device, float(slope)) == ("/gpu:0", "/gpu:0", 6)


def test_threads():
    f = tfe.gradients_function(lambda x: x**3 if x > 0 else x**2)
    found = {}

    def work(x):
        found[x] = float(f(x)[0])

    threads = [threading.Thread(target=work, args=(x,)) for x in (1.0, -1.0, 2.0, -2.0)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert found == {1.0: 3, -1.0: -2, 2.0: 12, -2.0: -4}


def test_against_differences():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(5, 3)), rng.normal(size=(3, 2))

    def loss(x, w):
        return tfe.reduce_mean(tfe.square(tfe.tanh(tfe.matmul(x, w)) - tfe.sigmoid(x[:, :2])))

    _, gradients = tfe.value_and_gradients_function(loss)(x, w)
    direction = [rng.normal(size=a.shape) for a in (x, w)]
    h = 1e-6
    up = loss(*[T(a + h * d) for a, d in zip((x, w), direction, strict=True)])
    down = loss(*[T(a - h * d) for a, d in zip((x, w), direction, strict=True)])
    expected = (float(up) - float(down)) / (2 * h)
    found = sum(np.sum(g.numpy() * d) for g, d in zip(gradients, direction, strict=True))
    assert found == pytest.approx(expected, rel=1e-8)


def test_python_loops_that_break():
    def f(x):
        n = 0
        for _ in range(100):
            x = x * 1.5
            if x > 10:
                break
            n += 1
        return x * n

    g = tfe.gradients_function(f)
    assert plain(g(2.0)) == [1.5**4 * 3]
    assert plain(g(1.0)) == [1.5**6 * 5]


def test_sizes_are_numbers():
    mean = tfe.gradients_function(lambda x: tfe.reduce_sum(x) / x.shape[0])
    scaled = tfe.gradients_function(lambda x: tfe.reduce_sum(x) * tfe.cast(len(x), "float32"))
    for n in (2, 4, 8):
        assert plain(mean(tfe.ones([n]))) == [[1 / n] * n]
        assert plain(scaled(tfe.ones([n]))) == [[float(n)] * n]


def test_indices_that_are_tensors():
    x = T([1.0, 5.0, 3.0])
    assert plain(tfe.gradients_function(lambda x: x[tfe.argmax(x)])(x)) == [[0, 1, 0]]
    assert plain(tfe.gradients_function(lambda x: tfe.reduce_sum(x[T([0, 0, 1])]))(x)) == [
        [2, 1, 0]
    ]
    with pytest.raises(NotImplementedError, match="where"):
        tfe.gradients_function(lambda x: tfe.reduce_sum(x[x > 1]))(x)


def test_numpy_reductions():
    x = T([1.0, 2.0])
    assert np.sum(x).numpy() == 3
    assert plain(tfe.gradients_function(lambda x: np.sum(x * x))(x)) == [[2, 4]]


@pytest.mark.parametrize(
    ("f", "at", "expected"),
    [
        (tfe.minimum, (1.0, 1.0), [0.5, 0.5]),
        (tfe.reduce_min, ([1.0, 1.0, 2.0, 1.0, 1.0],), [[0.25, 0.25, 0, 0.25, 0.25]]),
        (tfe.reduce_prod, ([0.0, 0.0, 3.0],), [[0, 0, 0]]),
        (lambda x, y: x**y, (0.0, 2.0), [0, 0]),
        (lambda x: tfe.where(x > 0, tfe.sqrt(x), x), ([0.0, 4.0],), [[1, 0.25]]),
        (tfe.argmax, ([1.0, 2.0],), [None]),
        (lambda x: (x > 1) & ~(x > 2), ([1.0, 2.0],), [None]),
        (tfe.stop_gradient, (3.0,), [None]),
        (lambda n: n * n, (3,), [None]),
    ],
)
def test_more_corners(f, at, expected):
    assert plain(tfe.gradients_function(f)(*at)) == expected


def test_the_branch_not_taken_adds_nothing_at_second_order():
    def f(x):
        return tfe.where(x > 0, tfe.log(x) * x, x * x)

    first = tfe.gradients_function(f)
    assert plain(tfe.gradients_function(lambda x: first(x)[0])(0.0)) == [2]


def test_arguments_that_were_not_passed_are_not_differentiated_by():
    two = T(2.0)
    f = tfe.gradients_function(lambda x, y=two: x * y)
    assert plain(f(3.0)) == [2]
    assert plain(f(3.0, 5.0)) == [5, 3]


def test_other_arguments_pass_through_untouched():
    seen = []

    def f(x, options):
        seen.append(options)
        return x * options.scale

    class Options:
        scale = 2.0

    given = Options()
    assert plain(tfe.gradients_function(f, [0])(3.0, given)) == [2]
    assert seen == [given]


def test_the_gradient_is_of_the_sum_of_all_outputs_however_nested():
    f = tfe.gradients_function(lambda x: {"a": [x * x, (x,)], "b": x[0]})
    assert plain(f([1.0, 2.0])) == [[4, 5]]
    weights = {"a": [T([1.0, 1.0]), (T([0.0, 10.0]),)], "b": 100.0}
    assert plain(f([1.0, 2.0], dy=weights)) == [[102, 14]]


def test_stop_gradient_is_the_identity_forward():
    value, _ = tfe.value_and_gradients_function(tfe.stop_gradient)([1.0, 2.0])
    assert value.numpy().tolist() == [1, 2]
    assert tfe.stop_gradient(T(3)).numpy() == 3
