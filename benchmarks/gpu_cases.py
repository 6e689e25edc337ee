"""What is checked and timed on a GPU: a function for each case, the most important first."""

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import eager_gpu
import gpu_rivals as rivals
import numpy as np
import w02_map
import w10_fits
import w11_loops
import w12_finance_particles as w12
from gpu_timing import close, ratio
from gpu_training import training
from scipy import special

import symdiff as sd
import symdiff.eager as tfe
from symdiff.compilation.cuda import composite
from symdiff.compilation.cuda.backend import cuda
from symdiff.compilation.cuda.composite import CutKernel, kernel_of
from symdiff.compilation.cuda.kernel import CudaKernel
from symdiff.compilation.cuda.memory import put

__all__ = ["CASES"]


TOGETHER = 16
"""Operations in a kernel: each kernel is compiled for a second."""


def traceable():
    """Give every ufunc that can be traced, by name, with the number of its arguments."""
    from symdiff.tracing.operations import UFUNCS, scipy_ufuncs

    theirs = scipy_ufuncs()
    found = {u.__name__: (u, u.nin) for u in [*UFUNCS, *theirs.patterns]}
    for u in theirs.of_orders:
        found[f"{u.__name__} of order 3"] = (lambda *x, u=u: u(3, *x), u.nin - 1)
    for u in theirs.with_two_results:
        for k in range(2):
            found[f"{u.__name__}[{k}]"] = (lambda x, u=u, k=k: u(x)[k], 1)
    return found


def operations(check):
    """Every ufunc that can be traced, against the CPU."""
    rng = np.random.default_rng(0)
    n = check.size(10_000, 8)
    failed, missing, passed, late = {}, [], 0, []
    for dtype in ("float64", "float32"):
        args = [rng.uniform(0.1, 0.9, n).astype(dtype) for _ in range(4)]
        there = {}
        for name, (function, n_arguments) in traceable().items():
            try:
                sd.jit(function).source(*args[:n_arguments], target="cuda")
            except (sd.UnsupportedOperationError, sd.DTypeError):
                missing.append(f"{name} {dtype}")
            else:
                there[name] = function, n_arguments
        names = list(there)
        for start in range(0, len(names), TOGETHER):
            some = names[start : start + TOGETHER]
            if check.is_late():
                late += [f"{name} {dtype}" for name in some]
                continue
            try:
                found = differences({name: there[name] for name in some}, args)
            except Exception:  # noqa: BLE001 - one by one it is seen which of them it is
                found = {}
                for name in some:
                    try:
                        found |= differences({name: there[name]}, args)
                    except Exception as error:  # noqa: BLE001 - the others go on
                        failed[f"{name} {dtype}"] = f"{type(error).__name__}: {error}"
            failed |= {f"{name} {dtype}": d for name, d in found.items() if d is not None}
            passed += sum(d is None for d in found.values())
            check.note("passed", passed)
    check.note("missing", missing)
    if late:
        check.note("not reached", late)
    if failed:
        check.note("wrong", failed)
        raise AssertionError(f"{passed} are right; wrong are {failed}")


def differences(some, args):
    """Compute operations in one kernel; give how far each is off, None for those that are right."""
    f = sd.jit(lambda *x: {name: g(*x[:m]) for name, (g, m) in some.items()})
    want, got = f(*args), f.with_target("cuda")(*args)
    rtol = 1e-12 if args[0].dtype == np.float64 else 1e-5
    found = {}
    for name in some:
        is_right = np.allclose(got[name], want[name], rtol=rtol, atol=rtol, equal_nan=True)
        difference = np.abs(np.asarray(got[name], float) - want[name])
        found[name] = None if is_right else float(np.nanmax(difference))
    return found


def ceilings(check):
    """What the card can do at best: copies on it, and to and from it."""
    n = check.size(1 << 27, 1 << 8)
    x = np.ones(n, np.float32)
    d, other = put(x), put(x)
    copy = sd.jit(lambda x: x * np.float32(1.0), target="cuda")
    by_kernel = check.part("copy by a kernel", lambda: check.ours(lambda: copy(d)))
    by_driver = check.part(
        "copy by the driver", lambda: check.ours(lambda: other.copy_to_device(d))
    )
    times = [made["device_us"] for made in (by_kernel, by_driver) if made is not None]
    check.copy_GB_s = 8e-3 * n / min(times)
    check.note("copy_GB_s", check.copy_GB_s)
    transfers(check, x, d)


def transfers(check, x, d):
    """Time copies to the card and back: of memory as it is, of pinned memory, and in chunks."""
    pinned = cuda().pinned_array(x.shape, x.dtype)
    pinned[:] = x
    streams = [cuda().stream() for _ in range(2)]
    chunks = np.array_split(np.arange(len(x)), check.size(16, 2))
    bounds = [slice(int(c[0]), int(c[-1]) + 1) for c in chunks]

    def chunked():
        for k, part in enumerate(bounds):
            d[part].copy_to_device(pinned[part], stream=streams[k % 2])

    ways = {
        "to card": lambda: d.copy_to_device(x),
        "to card, pinned": lambda: d.copy_to_device(pinned),
        "to card, pinned, chunks": chunked,
        "from card": lambda: d.copy_to_host(x),
        "from card, pinned": lambda: d.copy_to_host(pinned),
    }
    for name, way in ways.items():

        def work(way=way):
            made = check.timed(lambda: way(), lambda _: cuda().synchronize())  # noqa: PLW0108
            return {**made, "GB_s": 1e-3 * x.nbytes / made["us"]}

        check.part(name, work)


def elementwise(check):
    """W2: the gradient of a map, device-resident."""
    for dtype, large in (("float32", 1 << 26), ("float64", 1 << 25)):
        n = check.size(large, 64)
        x = np.linspace(0.1, 3.0, n).astype(dtype)
        f = sd.grad(lambda x: np.sum(w02_map.f(np, x)), target="cuda")
        d = put(x)

        def work(f=f, d=d, x=x):
            close(f(d), w02_map.derivative(np, x), 1e-10 if x.itemsize == 8 else 1e-4)
            made = check.ours(lambda: f(d))
            return {**made, "GB_s": 2e-3 * x.nbytes / made["device_us"]}

        made = check.part(dtype, work)
        limit = getattr(check, "copy_GB_s", None)
        part = None if made is None or limit is None else made["GB_s"] / limit
        check.asked(f"W2 {dtype}: part of the bandwidth of a copy", part, at_least=0.8)
        for name in ("torch", "jax", "cupy"):
            check.rival(f"{name} {dtype}", partial(getattr(rivals, f"{name}_map"), x))


FIRST = """
import sys, time
sys.path.insert(0, sys.argv[1])
import symdiff as sd
import w10_fits
from symdiff.compilation.cuda.backend import cuda

data = w10_fits.load(int(sys.argv[2]), "float32")
cuda().synchronize()
began = time.perf_counter()
sd.fit_many(w10_fits.gaussian, data.x, data.y, data.p0, tol=1e-4, max_steps=10, target="cuda")
print(time.perf_counter() - began)
"""


def starts(check):
    """W10's first result in a process: with all compilation, and with kernels found on disk."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "SYMDIFF_CACHE_DIR": folder}
        command = [sys.executable, "-c", FIRST, str(Path(__file__).parent)]
        command.append(str(check.size(100_000, 4)))

        def work():
            done = subprocess.run(  # noqa: S603 - our own script
                command, env=env, capture_output=True, text=True, check=False, timeout=60
            )
            assert done.returncode == 0, done.stderr[-2000:]
            return {"first_s": float(done.stdout.split()[-1])}

        first = check.part("compiled", work)
        check.part("from the cache", work)
    seconds = None if first is None else first["first_s"]
    check.asked("W10: seconds to the first result, with compilation", seconds, at_most=2.0)


def fits(check):
    """W10: Gpufit's workload, with transfers and without."""
    options = {"tol": w10_fits.TOL, "max_steps": w10_fits.MAX_STEPS}
    for dtype, n in (("float32", 1 << 20), ("float64", 1 << 19)):
        data = w10_fits.load(check.size(n, 8), dtype)
        fit = partial(sd.fit_many, w10_fits.gaussian, **options)

        def counted(work, data=data):
            made = work()
            return {**made, "fits_s": 1e6 * len(data.y) / made["us"]}

        def right(fit=fit, data=data, dtype=dtype):
            few = data.x, data.y[:1000], data.p0[:1000]
            got, want = fit(*few, target="cuda"), fit(*few)
            both = got.converged & want.converged
            assert np.mean(both) >= np.mean(want.converged) - 0.01
            close(got.params[both], want.params[both], 1e-6 if dtype == "float64" else 1e-2)
            return check.ours(partial(fit, *data, target="cuda"))

        whole = check.part(f"{dtype}, with transfers", partial(counted, right))
        on_card = partial(resident_fits, check, fit, data)
        resident = check.part(f"{dtype}, on the card", partial(counted, on_card))
        if dtype == "float32":
            for what, made, least in (
                ("with transfers", whole, 30e6),
                ("on the card", resident, 100e6),
            ):
                rate = None if made is None else made["fits_s"]
                check.asked(f"W10 {dtype}: fits a second, {what}", rate, at_least=least)
        rival_data = w10_fits.load(check.size(200_000, 8), dtype)
        made = check.rival(f"jax {dtype}, on the card", partial(rivals.jax_fits, rival_data))
        if made is not None:
            check.note(f"jax {dtype}, fits_s", 1e6 * len(rival_data.y) / made["us"])


def resident_fits(check, fit, data):
    """Time `fit_many` on data that lie on the card, where its results stay."""
    y, starts = put(data.y), put(data.p0)
    return check.ours(lambda: fit(data.x, y, starts))


def loops(check):
    """W11: gradients through 1000 steps of RK4, for one and for many parameters at once."""
    f = sd.vmap(sd.value_and_grad(w11_loops.populations))
    g = f.with_target("cuda")
    for n in (check.size(1, 1), check.size(16_384, 2)):
        p = w11_loops.RATES * np.random.default_rng(0).uniform(0.9, 1.1, (n, 4))

        def work(p=p):
            close(g(p[:2]), f(p[:2]), 1e-8)
            d = put(p)
            return check.ours(lambda: g(d))

        ours = check.part(f"{n} loops", work)
        scan = check.rival(f"jax, {n} loops", partial(rivals.jax_loops, p))
        check.asked(f"W11: {n} loops, over JAX's scan", ratio(scan, ours), at_least=50)


def finance(check):
    """W12: prices with all Greeks of a million options; Lennard-Jones forces."""
    market, gas = w12.load_market(), w12.load_gas()
    n = check.size(len(market.spot), 16)
    market = w12.Market(*(c[:n] for c in market))
    gas = w12.Gas(gas.x[: check.size(len(gas.x), 6)])
    one = partial(w12.price, np, special.ndtr)
    first, second = sd.value_and_grad(one, argnums=(0, 2, 3, 4)), sd.grad(sd.grad(one))

    def greeks(*args):
        return *first(*args), second(*args)

    forces = sd.value_and_grad(partial(w12.energy, np, np.eye(len(gas.x))))
    for name, f, data in (
        ("Black-Scholes", sd.vmap(greeks), market),
        ("Lennard-Jones", forces, gas),
    ):

        def work(f=f, data=data):
            g = f.with_target("cuda")
            given = [put(a) for a in data]
            close(g(*given), f(*data), 1e-9)
            return check.ours(lambda: g(*given))

        ours = check.part(name, work)
        eager = check.rival(f"torch {name}", partial(rivals.torch_w12, data))
        jitted = check.rival(f"jax {name}", partial(rivals.jax_w12, data))
        check.asked(f"W12 {name}: over torch eager", ratio(eager, ours), at_least=10)
        check.asked(f"W12 {name}: over JAX", ratio(jitted, ours), at_least=1)


def launches(check):
    """What a call costs at least; a loop of steps in one launch, by one block and by all."""
    x = np.ones(check.size(1000, 8), np.float32)
    small = put(x)
    f = sd.jit(lambda x: x + np.float32(1.0), target="cuda")

    def steps(x, n):
        for _ in range(n):
            x = np.cos(x) + np.roll(x, 1) * np.float32(0.5)
        return x

    g = sd.jit(steps, target="cuda")
    n_steps = check.size(1000, 3)
    check.part("call", lambda: check.ours(lambda: f(small)))
    check.rival("torch, call", partial(rivals.torch_add, x))
    check.rival("cupy, call", partial(rivals.cupy_add, x))
    for name, n in (("block", 1000), ("grid", 1 << 18)):
        d = put(np.ones(check.size(n, 8), np.float32))
        check.part(f"step in a {name}", lambda d=d: check.ours(lambda: g(d, n_steps), n_steps))


def products(check):
    """Products of matrices: in one kernel, by the library between kernels, and by CuPy itself.

    They tell from which size on the library is worth its launches: `composite.LARGE`. The largest
    says what the card can do at best.
    """
    for side in (128, 256, 512, 2048):
        n = check.size(side, 9)
        a = np.random.default_rng(0).standard_normal((n, n)).astype(np.float32) / np.float32(n)
        program = sd.jit(lambda a: np.tanh(a @ a) @ a).program(a)
        ways = {"one kernel": CudaKernel(program), "cut": kernel_of(program)}
        check.note(f"{side}, has a library", isinstance(ways["cut"], CutKernel))
        for way, kernel in ways.items():
            check.part(f"{side}, {way}", partial(own_product, check, kernel, a))
        check.rival(f"{side}, cupy", partial(rivals.cupy_products, a))
    for dtype in ("float32", "float64"):
        n = check.size(8192, 9)
        a = np.random.default_rng(0).standard_normal((n, n)).astype(dtype)
        for name in ("cupy", "torch"):
            make = partial(getattr(rivals, f"{name}_product"), a)
            made = check.rival(f"{name} {dtype}, {n}", make)
            if made is not None:
                check.note(f"{name} {dtype}, {n}, TFLOP/s", 2e-6 * n**3 / made["us"])


def own_product(check, kernel, a):
    """Time a kernel of products, however small they are by the library where it has one."""
    before, composite.LARGE = composite.LARGE, 1
    try:
        d = put(a)
        close(kernel([d])[0], np.tanh(a @ a) @ a, 1e-3)
        return check.ours(partial(kernel, [d]))
    finally:
        composite.LARGE = before


def eager(check):
    """Eager mode on the GPU, which takes CuPy; tests run the same on a stand-in for it."""
    if check.dry and not tfe.num_gpus():
        check.note("not run", "there is no GPU with CuPy")
        return
    found = eager_gpu.run()
    check.note("right", [name for name, error in found.items() if error is None])
    wrong = {name: error for name, error in found.items() if error is not None}
    if wrong:
        check.note("wrong", wrong)
        raise AssertionError(f"eager mode is wrong in {', '.join(wrong)}")


CASES = [
    (operations, 90),
    (starts, 40),
    (fits, 75),
    (ceilings, 25),
    (elementwise, 45),
    (training, 110),
    (loops, 50),
    (finance, 50),
    (launches, 25),
    (products, 30),
    (eager, 20),
]
"""Each with the seconds after which no further part of it begins."""
