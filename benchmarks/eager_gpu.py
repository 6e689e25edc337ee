"""Whether eager mode works on a GPU: some cases, each a few lines, that tell at once.

    NUMBA_ENABLE_CUDASIM=0 python benchmarks/eager_gpu.py

`run("/gpu:0")` gives for each case None, or what went wrong; tests run the cases on a stand-in.
"""

import sys
import traceback

import numpy as np

import symdiff.eager as tfe


def close(got, want, rtol=1e-5):
    """Assert that a tensor, wherever it lies, holds what NumPy says."""
    np.testing.assert_allclose(got.numpy(), want, rtol=rtol, atol=rtol)
    assert got.dtype == np.asarray(want).dtype, (got.dtype, np.asarray(want).dtype)


def operations(device):
    """Operations one by one: dtypes, broadcasting, whole numbers, corners of float division."""
    x = np.array([[0.5, -1.5, 2.0], [3.0, -0.25, 1.0]], np.float32)
    n = np.array([7, -7, 7, -7, 0, -1], np.int32)
    d = np.array([3, 3, -3, -3, 5, 5], np.int32)
    with tfe.device(device):
        a, m, k = tfe.constant(x), tfe.constant(n), tfe.constant(d)
        before = tfe.copies()
        found = [a * 2 + 1.0, tfe.exp(a) @ tfe.transpose(a), tfe.reduce_sum(a, 1), a[:, 1:], m // k]
        found += [m % k, m / k, a > 0, tfe.softplus(a * 100), tfe.erf(a), tfe.softmax(a)]
        found += [tfe.sort(a), tfe.argmax(a, 1), tfe.gather(a, [1, 0, 1]), a[a > 0], tfe.zeros([0])]
        assert tfe.copies() == before + 2  # the places for gather, and the zeros
        close(found[4], np.array([2, -3, -3, 2, 0, -1], np.int32))
        close(found[5], np.array([1, 2, -2, -1, 0, 4], np.int32))
        for got, want in [
            (found[0], x * 2 + 1),
            (found[1], np.exp(x) @ x.T),
            (found[2], x.sum(1)),
            (found[3], x[:, 1:]),
            (found[6], n / d),
            (found[7], x > 0),
            (found[8], np.logaddexp(x * 100, np.float32(0))),
            (found[11], np.sort(x)),
            (found[12], x.argmax(1)),
            (found[13], x[[1, 0, 1]]),
            (found[14], x[x > 0]),
            (tfe.constant(1.0) // tfe.constant(0.1), np.float32(1) // np.float32(0.1)),
            (tfe.constant(5.0) % tfe.constant(np.float32(np.inf)), np.float32(5)),
        ]:
            assert got.device == device
            close(got, want)
        assert "0.3" in f"{tfe.constant(0.25) + 0.05:.1f}"


def gradients(device):
    """A function that is compiled, on arrays of the device, without copies; and a tape."""
    with tfe.device(device):
        x, y = tfe.constant([2.0, 3.0]), tfe.constant(1.0)
    slopes = tfe.gradients_function(lambda x, y: x**2 - 2.0 * x * y + 3.0 * y)
    before = tfe.copies()
    for _ in range(2):
        a, b = slopes(x, y)
        assert (a.device, b.device, tfe.copies()) == (device, device, before)
        close(a, np.array([2, 4], np.float32))
        close(b, np.float32(-4))
    with tfe.GradientTape() as tape:
        tape.watch(x)
        z = tfe.reduce_sum(tfe.sin(x) * x)
    made = tape.gradient(z, x)
    assert made.device == device
    close(made, np.sin([2, 3]).astype("f4") + np.array([2, 3], "f4") * np.cos([2, 3]).astype("f4"))


def article(device):
    """Linear regression as the article has it: variables, implicit gradients, an optimizer."""
    with tfe.device(device):
        x = tfe.constant([0.0, 1.0, 2.0, 3.0])
        y = x * 3.0 + 2.0
        w, b = tfe.Variable(5.0), tfe.Variable(10.0)

        def loss():
            return tfe.reduce_mean(tfe.square(w * x + b - y))

        optimizer = tfe.train.GradientDescentOptimizer(0.1)
        step = tfe.implicit_value_and_gradients(loss)
        losses = []
        for _ in range(3):
            value, pairs = step()
            optimizer.apply_gradients(pairs)
            losses.append(float(value))
        assert (w.device, value.device) == (device, device)
        np.testing.assert_allclose(losses, [126, 13.66, 9.5956], rtol=1e-5)


def network(device):
    """Layers, a loss, and Adam, whose slots lie where the variables do; as on the CPU."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 3)).astype("f4"), rng.integers(0, 2, 8)

    def weights(shape, dtype):
        return np.linspace(-1, 1, int(np.prod(shape)), dtype=dtype).reshape(shape)

    def trained(place):
        with tfe.device(place):
            model = tfe.layers.Sequential(
                [
                    tfe.layers.Dense(4, "tanh", kernel_initializer=weights),
                    tfe.layers.Dense(2, kernel_initializer=weights),
                ]
            )

            def loss(model, x, y):
                return tfe.losses.sparse_softmax_cross_entropy(y, model(x))

            step = tfe.implicit_gradients(loss)
            optimizer = tfe.train.AdamOptimizer(0.1)
            data = tfe.constant(x), tfe.constant(y)
            for _ in range(3):
                optimizer.apply_gradients(step(model, *data))
            assert all(v.device == place for v in model.variables)
            return [v.numpy() for v in model.variables]

    for got, want in zip(trained(device), trained("/cpu:0"), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def steps(device):
    """Steps in one kernel: `compile_step` and `fit`, without copies but of what comes from here."""
    with tfe.device(device):
        x = tfe.constant([0.0, 1.0, 2.0, 3.0])
        w, b = tfe.Variable(5.0), tfe.Variable(10.0)
    y = x * 3.0 + 2.0

    def loss(x, y):
        return tfe.reduce_mean(tfe.square(w * x + b - y))

    step = tfe.compile_step(loss, tfe.train.GradientDescentOptimizer(0.1))
    before = tfe.copies()
    found = [step(x, y), step(x, y)]
    run = step.run(x, y, steps=2)
    assert (tfe.copies(), found[0].device, w.device) == (before, device, device)
    np.testing.assert_allclose([float(v) for v in found], [126, 13.66], rtol=1e-5)
    np.testing.assert_allclose(run.losses[0], 9.5956, rtol=1e-5)
    result = tfe.fit(loss, tfe.train.AdamOptimizer(0.1), (x, y), batch_size=3, epochs=2, seed=1)
    assert (result.n_steps, result.success, w.device) == (4, True, device)


def random_numbers(device):
    """Numbers are drawn on the device, the same for the same seed and calls."""
    drawn = []
    for _ in range(2):
        tfe.set_random_seed(3)
        with tfe.device(device):
            before = tfe.copies()
            made = [tfe.random_normal([1000]), tfe.random_uniform([1000], 2.0, 3.0, "float64")]
            assert tfe.copies() == before
            drawn.append([x.numpy() for x in made])
    for a, b in zip(*drawn, strict=True):
        assert a.tolist() == b.tolist()
    normal, uniform = drawn[0]
    assert abs(normal.mean()) < 0.2
    assert abs(normal.std() - 1) < 0.2
    assert uniform.min() >= 2
    assert uniform.max() < 3


def memory(device):
    """What tensors hold is seen, and comes back to the pool."""
    with tfe.device(device):
        before = tfe.memory_info(device)
        x = tfe.zeros([1000])
        during = tfe.memory_info(device)
        del x
        after = tfe.memory_info(device)
    assert during.used - before.used >= 4000
    assert after.used == before.used
    assert after.pooled > 0
    assert after.total > 4000


def errors(device):
    """What NumPy refuses is refused here."""
    with tfe.device(device):
        x, n = tfe.constant([1.0, 2.0]), tfe.constant([1, 0])
        for call, error in [
            (lambda: x + tfe.constant([1.0, 2.0, 3.0]), ValueError),
            (lambda: n // n, ZeroDivisionError),
            (lambda: tfe.gather(x, [2]), IndexError),
            (lambda: x[n + 2], IndexError),
            (lambda: x + n, TypeError),
        ]:
            try:
                call()
            except error:
                continue
            raise AssertionError(f"{error.__name__} was expected")


def copies_between(device, other):
    """Copy from one GPU to another, and compute there."""
    x = tfe.constant([1.0, 2.0]).gpu(int(device[5:]))
    y = x.gpu(int(other[5:]))
    assert (x.device, y.device) == (device, other)
    close(y * y, np.array([1, 4], np.float32))
    slope = tfe.gradients_function(lambda v: tfe.reduce_sum(v * v * v))(y)[0]
    assert slope.device == other
    close(slope, np.array([3, 12], np.float32))


CASES = (operations, gradients, article, network, steps, random_numbers, memory, errors)


def run(device="/gpu:0"):
    """Run all cases; give for each the text of its error, or None."""
    found = {}
    cases = {case.__name__: (case, (device,)) for case in CASES}
    for other in tfe.list_devices():
        if other.startswith("/gpu") and other != device:
            cases[f"copies_to{other.replace('/', '_')}"] = copies_between, (device, other)
    for name, (case, arguments) in cases.items():
        try:
            case(*arguments)
        except Exception:  # noqa: BLE001 - which the next case is to outlive
            found[name] = traceback.format_exc()
        else:
            found[name] = None
    return found


if __name__ == "__main__":
    results = run()
    for name, error in results.items():
        print(f"{name:20} {error or 'right'}")
    sys.exit(any(results.values()))
