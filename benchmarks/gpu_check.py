"""Correctness, then speed, on a GPU: ``python benchmarks/gpu_check.py OUT.json``.

It takes some minutes. Results are written after each case, so that none is lost if the time is up.
A case that fails is noted with its error, and the others go on; the exit status tells. With
``--dry`` everything runs once with small sizes, in numba's simulator where there is no GPU::

    NUMBA_ENABLE_CUDASIM=1 python benchmarks/gpu_check.py --dry OUT.json

Rivals (torch, jax, cupy) run where they are installed. Times are medians, in microseconds, of calls
whose results are waited for; first calls, with compilation, in seconds.
"""

import argparse
import importlib
import json
import platform
import statistics
import sys
import time
import traceback
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import w02_map
import w09_training
import w10_fits
import w11_loops
import w12_finance_particles as w12
from scipy import special

import symdiff as sd
from symdiff.compilation.cuda import composite
from symdiff.compilation.cuda.backend import cuda, is_simulated
from symdiff.compilation.cuda.composite import CutKernel, kernel_of
from symdiff.compilation.cuda.kernel import CudaKernel
from symdiff.compilation.cuda.memory import get, put

BUDGET = 500.0
"""Seconds after which no further case begins."""
SECONDS = 0.4
"""How long a call is repeated."""
PACKAGES = ("symdiff-jit", "numba", "numba-cuda", "cupy-cuda13x", "numpy", "torch", "jax")


class Check:
    """What cases need: sizes, timing, and rivals."""

    def __init__(self, dry):
        self.dry = dry

    def size(self, n, small):
        """Give a size, or the one of a dry run."""
        return small if self.dry else n

    def timed(self, call, wait):
        """Time a call whose result `wait` waits for."""
        began = time.perf_counter()
        wait(call())
        first = time.perf_counter() - began
        found = []
        began = time.perf_counter()
        while len(found) < (1 if self.dry else 5) or (
            not self.dry and time.perf_counter() - began < SECONDS and len(found) < 2000
        ):
            start = time.perf_counter()
            wait(call())
            found.append(1e6 * (time.perf_counter() - start))
        return {"us": statistics.median(found), "first_s": first, "calls": len(found)}

    def ours(self, call):
        """Time a call of symdiff's."""
        return self.timed(call, lambda _: cuda().synchronize())


def rival(name):
    """Import a rival that can use the GPU; None where it is not there."""
    try:
        module = importlib.import_module(name)
    except ImportError:
        return None
    if name == "torch":
        return module if module.cuda.is_available() else None
    if name == "jax":
        return module if any(d.platform == "gpu" for d in module.devices()) else None
    return module if not is_simulated() else None


def close(got, want, rtol):
    """Compare trees of arrays of either side."""
    from symdiff.trees import flatten

    for a, b in zip(flatten(got)[0], flatten(want)[0], strict=True):
        on_host = a if isinstance(a, (np.ndarray, np.generic, float, int)) else get(a)
        scale = np.max(np.abs(b), initial=0.0)
        np.testing.assert_allclose(on_host, b, rtol=rtol, atol=rtol * scale)


def operations(check):
    """Every ufunc that can be traced, against the CPU."""
    from symdiff.tracing.operations import UFUNCS, scipy_ufuncs

    rng = np.random.default_rng(0)
    n = check.size(10_000, 8)
    failed, missing, passed = {}, [], 0
    for ufunc in [*UFUNCS, *scipy_ufuncs().patterns]:
        for dtype in ("float64", "float32"):
            args = [rng.uniform(0.1, 0.9, n).astype(dtype) for _ in range(ufunc.nin)]
            name = f"{ufunc.__name__} {dtype}"
            try:
                f = sd.jit(ufunc)
                want = f(*args)
                got = f.with_target("cuda")(*args)
            except (sd.UnsupportedOperationError, sd.DTypeError):
                missing.append(name)
                continue
            rtol = 1e-12 if dtype == "float64" else 1e-5
            if np.allclose(got, want, rtol=rtol, atol=rtol, equal_nan=True):
                passed += 1
            else:
                failed[name] = float(np.nanmax(np.abs(np.asarray(got, float) - want)))
    if failed:
        raise AssertionError(f"{passed} are right; wrong are {failed}")
    return {"passed": passed, "missing": missing}


def ceilings(check):
    """What the card can do at best: copies on it, and to and from it."""
    n = check.size(1 << 27, 1 << 8)
    x = np.ones(n, np.float32)
    d = put(x)
    copy = sd.jit(lambda x: x * np.float32(1.0), target="cuda")
    on_card = check.ours(lambda: copy(d))
    up = check.ours(lambda: put(x))
    down = check.ours(lambda: get(d))
    return {
        "copy_GB_s": 8e-3 * n / on_card["us"],
        "to_card_GB_s": 4e-3 * n / up["us"],
        "from_card_GB_s": 4e-3 * n / down["us"],
    }


def launches(check):
    """What a call costs at least; a loop of steps in one launch, by one block and by all."""
    small = put(np.ones(check.size(1000, 8), np.float32))
    f = sd.jit(lambda x: x + np.float32(1.0), target="cuda")

    def steps(x, n):
        for _ in range(n):
            x = np.cos(x) + np.roll(x, 1) * np.float32(0.5)
        return x

    g = sd.jit(steps, target="cuda")
    n_steps = check.size(1000, 3)
    figures = {"call": check.ours(lambda: f(small))}
    for name, n in (("block", 1000), ("grid", 1 << 18)):
        x = put(np.ones(check.size(n, 8), np.float32))
        made = check.ours(partial(g, x, n_steps))
        figures[f"step in a {name}"] = {**made, "us": made["us"] / n_steps}
    return figures


def elementwise(check):
    """W2: the gradient of a map, device-resident."""
    figures = {}
    for dtype, large in (("float32", 1 << 26), ("float64", 1 << 25)):
        n = check.size(large, 64)
        x = np.linspace(0.1, 3.0, n).astype(dtype)
        f = sd.grad(lambda x: np.sum(w02_map.f(np, x)), target="cuda")
        d = put(x)
        close(f(d), w02_map.derivative(np, x), 1e-10 if dtype == "float64" else 1e-4)
        made = check.ours(partial(f, d))
        made["GB_s"] = 2e-3 * n * x.itemsize / made["us"]
        figures[dtype] = made
        figures |= rivals_of_map(check, x, dtype)
    return figures


def rivals_of_map(check, x, dtype):
    """Time the gradient of the map by others."""
    figures = {}
    torch, jax = rival("torch"), rival("jax")
    if torch is not None:
        t = torch.as_tensor(x, device="cuda").requires_grad_()
        call = lambda: torch.autograd.grad(w02_map.f(torch, t).sum(), t)[0]  # noqa: E731
        figures[f"torch {dtype}"] = check.timed(call, lambda _: torch.cuda.synchronize())
    if jax is not None and dtype == "float32":
        j = jax.device_put(x)
        g = jax.jit(jax.grad(lambda x: jax.numpy.sum(w02_map.f(jax.numpy, x))))
        figures["jax float32"] = check.timed(partial(g, j), lambda r: r.block_until_ready())
    return figures


def training(check):
    """W9: a step of training, in a loop of the kernel."""
    figures = {}
    for n_in, n_hidden in ((64, 32), (784, 256)):
        data = w09_training.load(n_in, n_hidden)
        if check.dry:
            data = data._replace(x=data.x[:16, :8], y=data.y[:16])
            data = data._replace(params=(data.params[0][:8], *data.params[1:]))
        batch = check.size(w09_training.BATCH, 8)
        epochs = check.size(200, 1)
        optimizer = sd.optim.Adam(w09_training.RATE)
        fit = partial(
            sd.train,
            partial(w09_training.loss, np),
            data.params,
            (data.x, data.y),
            optimizer,
            batch_size=batch,
            epochs=epochs,
            progress=False,
        )
        result = fit(target="cuda")
        few = fit(epochs=1, target="cuda")
        close(few.history["loss"], fit(epochs=1).history["loss"], 1e-4)
        steps = epochs * -(-len(data.x) // batch)
        figures[f"{n_in}-{n_hidden}-10"] = {
            "us": 1e6 * result.seconds / steps,
            "first_s": result.compile_seconds,
        }
        if check.dry:
            break
    return figures


def fits(check):
    """W10: Gpufit's workload, everything counted."""
    figures = {}
    for dtype, n in (("float32", 1_000_000), ("float64", 500_000)):
        data = w10_fits.load(check.size(n, 8), dtype)
        options = {"tol": w10_fits.TOL, "max_steps": w10_fits.MAX_STEPS}
        fit = partial(sd.fit_many, w10_fits.gaussian, data.x, data.y, data.p0, **options)
        made = check.ours(partial(fit, target="cuda"))
        few = partial(sd.fit_many, w10_fits.gaussian, data.x, data.y[:1000], data.p0[:1000])
        got, want = few(target="cuda", **options), few(**options)
        both = got.converged & want.converged
        assert np.mean(both) >= np.mean(want.converged) - 0.01
        close(got.params[both], want.params[both], 1e-6 if dtype == "float64" else 1e-2)
        made["fits_s"] = 1e6 * len(data.y) / made["us"]
        figures[dtype] = made
    return figures


def loops(check):
    """W11: gradients through 1000 steps of RK4, for many parameters at once."""
    n = check.size(16_384, 4)
    p = w11_loops.RATES * np.random.default_rng(0).uniform(0.9, 1.1, (n, 4))
    if check.dry:
        p = p[:2]
    f = sd.vmap(sd.value_and_grad(w11_loops.populations))
    g = f.with_target("cuda")
    d = put(p)
    few = p[:2]
    close(g(few), f(few), 1e-8)
    return {"float64": check.ours(lambda: g(d))}


def finance(check):
    """W12: prices with all Greeks of a million options; Lennard-Jones forces."""
    market = w12.load_market()
    n = check.size(len(market.spot), 16)
    columns = [c[:n] for c in market]
    one = partial(w12.price, np, special.ndtr)
    first, second = sd.value_and_grad(one, argnums=(0, 2, 3, 4)), sd.grad(sd.grad(one))

    def greeks(*args):
        return *first(*args), second(*args)

    f = sd.vmap(greeks)
    g = f.with_target("cuda")
    given = [put(c) for c in columns]
    close(g(*given), f(*columns), 1e-9)
    figures = {"Black-Scholes": check.ours(lambda: g(*given))}
    gas = w12.load_gas()
    x = gas.x[: check.size(len(gas.x), 6)]
    forces = sd.value_and_grad(partial(w12.energy, np, np.eye(len(x))))
    on_card = forces.with_target("cuda")
    d = put(x)
    close(on_card(d), forces(x), 1e-9)
    figures["Lennard-Jones"] = check.ours(lambda: on_card(d))
    return figures


def products(check):
    """Products of matrices: in one kernel, by the library between kernels, and by CuPy itself.

    They tell from which size on the library is worth its launches: `composite.LARGE`.
    """
    figures = {}
    cupy = rival("cupy")
    for side in (128, 256, 512, 2048):
        n = check.size(side, 9)
        a = np.random.default_rng(0).standard_normal((n, n)).astype(np.float32) / np.float32(n)
        program = sd.jit(lambda a: np.tanh(a @ a) @ a).program(a)
        d = put(a)
        want = np.tanh(a @ a) @ a
        ways = {"one kernel": CudaKernel(program), "cut": kernel_of(program)}
        before, composite.LARGE = composite.LARGE, 1
        try:
            for way, kernel in ways.items():
                close(kernel([d])[0], want, 1e-3)
                name = f"{side}, {way}"
                figures[name] = check.ours(partial(kernel, [d]))
            figures["has a library"] = isinstance(ways["cut"], CutKernel)
        finally:
            composite.LARGE = before
        if cupy is not None:
            c = cupy.asarray(a)
            wait = lambda _: cupy.cuda.Device().synchronize()  # noqa: E731
            call = lambda c=c: cupy.tanh(c @ c) @ c  # noqa: E731
            figures[f"{side}, cupy"] = check.timed(call, wait)
    return figures


CASES = [
    operations,
    ceilings,
    launches,
    elementwise,
    fits,
    training,
    loops,
    finance,
    products,
]


def about():
    """Say what this machine and its packages are."""
    found = {"python": platform.python_version(), "simulated": is_simulated()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    if not is_simulated():
        device = cuda().get_current_device()
        found["device"] = str(device.name)
        found["capability"] = list(device.compute_capability)
    return found


def main():
    """Run all cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--dry", action="store_true", help="once, with small sizes")
    parser.add_argument("--only", nargs="*", default=[], help="names of cases")
    given = parser.parse_args()
    results = {"about": about(), "cases": {}}
    print(json.dumps(results["about"], indent=2), flush=True)
    began, check, is_right = time.perf_counter(), Check(given.dry), True
    for case in CASES:
        name = case.__name__
        if given.only and name not in given.only:
            continue
        start = time.perf_counter()
        if start - began > BUDGET:
            results["cases"][name] = {"skipped": "the time was up"}
        else:
            try:
                figures = case(check)
            except Exception as error:  # noqa: BLE001 - the other cases go on
                traceback.print_exc()
                figures = {"error": f"{type(error).__name__}: {error}"}
                is_right = False
            results["cases"][name] = {**figures, "seconds": time.perf_counter() - start}
        print(name, json.dumps(results["cases"][name]), flush=True)
        given.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
