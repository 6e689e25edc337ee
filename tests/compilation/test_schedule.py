"""Which loops a step of training gets."""

import numpy as np

import symdiff as sd
from symdiff.compilation.cpu.planning import planned
from symdiff.compilation.nests import Loop, walk
from symdiff.program.nested import nested_of


def steps(w, v, x, order):
    def loss(w, v, x):
        return np.mean((np.tanh(x @ w) @ v) ** 2)

    gradient = sd.grad(loss, argnums=(0, 1))

    def one(params, k):
        w, v = params
        rows = x[(k * 128 + np.arange(128)) * 7 % 1000 % order]
        by_w, by_v = gradient(w, v, rows)
        w = w - 0.1 * by_w / (np.sqrt(by_w * by_w) + 1e-8)
        return (w, v - 0.1 * by_v), 0.0

    return sd.scan(one, (w, v), np.arange(20))[0]


def step_program():
    shapes = [(300, 256), (256, 10), (999, 300)]
    arrays = [np.ones(s, np.float32) for s in shapes]
    program = sd.trace(steps, *arrays, 900)
    (step,) = {
        id(nested.step): nested.step
        for e in program.equations
        if (nested := nested_of(e.pattern)) is not None
    }.values()
    return step


def test_rows_of_a_step_are_its_batch_not_the_rows_of_a_weight():
    schedule = planned(step_program())
    tiled = [n.extent for n in walk(schedule.body) if isinstance(n, Loop) and n.tile is not None]
    assert tiled
    assert set(tiled) == {128}


def test_indices_are_computed_in_a_loop_of_their_own():
    schedule = planned(step_program())
    gathers = [e for e in schedule.program.equations if e.array.endswith("_rows")]
    assert len(gathers) == 1
    (index,) = [r.array for r in gathers[0].reads if r.array != gathers[0].operands[0].array]
    makers = [
        node
        for node in schedule.body
        if isinstance(node, Loop)
        and any(getattr(getattr(n, "equation", None), "array", None) == index for n in node.body)
    ]
    assert len(makers) == 1
    assert not any(isinstance(n, Loop) for n in makers[0].body)


def test_sums_of_neighbors_leave_their_loop_to_lanes():
    """Of one loop with ``dx[i] +=`` and ``dx[i+1] +=`` each step would wait for the one before."""
    gradient = sd.grad(lambda x: np.sum((x[1:] - x[:-1] ** 2) ** 2))
    x = np.linspace(-1.0, 2.0, 40)
    for body in gradient.source(x).split("for ")[1:]:
        targets = [line.split("=")[0] for line in body.splitlines() if line.strip()[:4] == "dx[i"]
        assert not any("+1" in t for t in targets) or all("+1" in t for t in targets)
    t = x[1:] - x[:-1] ** 2
    expected = np.zeros(40)
    expected[1:] += 2 * t
    expected[:-1] -= 4 * t * x[:-1]
    np.testing.assert_allclose(gradient(x), expected, rtol=1e-13)
