"""Rivals on a GPU: each function gives a call, or None where the package or the GPU is absent.

In a dry run they use the CPU, so that their code runs in places without a GPU; CuPy's is run with
NumPy there.
"""

import importlib
import os
from functools import partial
from typing import NamedTuple

import numpy as np
import w02_map
import w09_training
import w10_fits
import w11_loops
import w12_finance_particles as w12

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # the card is shared


class Rival(NamedTuple):
    """What is timed, what waits for its result, and how many of the thing a call makes."""

    call: object
    wait: object
    count: int = 1


def torch_on(dry):
    """Give torch and its device."""
    torch = _imported("torch")
    if torch is None or not (dry or torch.cuda.is_available()):
        return None, None
    torch.set_float32_matmul_precision("highest")
    return torch, "cpu" if dry else "cuda"


def jax_on(dry):
    """Give jax, whose default device is a GPU where there is one."""
    jax = _imported("jax")
    if jax is None or not (dry or any(d.platform == "gpu" for d in jax.devices())):
        return None
    jax.config.update("jax_enable_x64", True)
    return jax


def cupy_on(dry):
    """Give cupy."""
    return np if dry else _imported("cupy")


def _imported(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _by_torch(dry, make, count=1):
    """Make a contestant of another file on torch's device."""
    torch, device = torch_on(dry)
    if torch is None:
        return None
    with torch.device(device):
        call = make(torch, device)
    return Rival(call, _torch_wait(torch, device), count)


def _torch_wait(torch, device):
    return lambda _: torch.cuda.synchronize() if device == "cuda" else None


def _by_jax(dry, make):
    jax = jax_on(dry)
    if jax is None:
        return None
    call = make(jax)
    return Rival(call, jax.block_until_ready, getattr(call, "calls", 1))


def _by_cupy(dry, make):
    cupy = cupy_on(dry)
    if cupy is None:
        return None
    wait = (lambda _: None) if dry else (lambda _: cupy.cuda.Device().synchronize())
    return Rival(make(cupy), wait)


def torch_add(x, dry):
    """Add a number: what a call costs."""

    def make(torch, _):
        t = torch.as_tensor(x)
        return lambda: t + 1.0

    return _by_torch(dry, make)


def cupy_add(x, dry):
    """Add a number: what a call costs."""

    def make(cupy):
        c = cupy.asarray(x)
        return lambda: c + np.float32(1.0)

    return _by_cupy(dry, make)


def torch_map(x, dry):
    """Gradient of W2's map, eagerly."""
    return _by_torch(dry, lambda *_: w02_map.with_torch(w02_map.Points(x, True)))


def jax_map(x, dry):
    """Gradient of W2's map, compiled."""
    return _by_jax(dry, lambda _: w02_map.with_jax(w02_map.Points(x, True)))


def cupy_map(x, dry):
    """Derivative of W2's map by hand."""
    return _by_cupy(dry, lambda cupy: partial(w02_map.derivative, cupy, cupy.asarray(x)))


def torch_training(data, steps, dry):
    """Steps of training, each operation launched by itself."""

    def make(*_):
        one = w09_training.with_torch(data)

        def call():
            for _ in range(steps):
                one()

        return call

    return _by_torch(dry, make, steps)


def torch_training_graph(data, batch, steps, dry):
    """Steps of training, each a copy of the batch and a captured graph."""

    def make(torch, device):
        x, y = torch.as_tensor(data.x, device=device), torch.as_tensor(data.y, device=device)
        at = [torch.clone(a[:batch]) for a in (x, y)]
        step = _torch_step(torch, device, data.params, *at)
        replay = step if dry else _captured(torch, step)

        def call():
            for k in range(steps):
                begin = k * batch % (len(x) - batch + 1)
                at[0].copy_(x[begin : begin + batch])
                at[1].copy_(y[begin : begin + batch])
                replay()

        return call

    return _by_torch(dry, make, steps)


def _torch_step(torch, device, start, images, labels):
    params = [torch.tensor(p, device=device, requires_grad=True) for p in start]
    optimizer = torch.optim.Adam(params, lr=w09_training.RATE, capturable=device == "cuda")

    def step():
        W1, b1, W2, b2 = params
        logits = torch.tanh(images @ W1 + b1) @ W2 + b2
        value = torch.nn.functional.cross_entropy(logits, labels)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()

    return step


def _captured(torch, step):
    """Capture a step, after some on a stream of its own, as torch asks for."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def jax_training(data, dry):
    """An epoch of training by ``lax.scan``."""
    return _by_jax(dry, lambda _: w09_training.with_jax_scan(data))


def jax_fits(data, dry):
    """W10 by a ``while_loop`` under ``vmap``, on data that are there."""
    return _by_jax(dry, lambda _: w10_fits.with_jax(data))


def jax_loops(p, dry):
    """Gradients through W11's loop by ``lax.scan``, for many parameters at once."""

    def make(jax):
        def populations(p):
            step = lambda y, _: (w11_loops.rk4(jax.numpy.array, y, p), None)  # noqa: E731
            start = jax.numpy.asarray(w11_loops.START)
            return jax.lax.scan(step, start, length=w11_loops.STEPS)[0][0]

        gradients = jax.jit(jax.vmap(jax.value_and_grad(populations)))
        return partial(gradients, jax.numpy.asarray(p))

    return _by_jax(dry, make)


def torch_w12(data, dry):
    """Options or particles, eagerly."""
    return _by_torch(dry, lambda *_: w12.with_torch(data))


def jax_w12(data, dry):
    """Options or particles, compiled."""
    return _by_jax(dry, lambda _: w12.with_jax(data))


def torch_product(a, dry):
    """A product of matrices, without the short formats of tensor cores."""

    def make(torch, _):
        t = torch.as_tensor(a)
        return lambda: t @ t

    return _by_torch(dry, make)


def cupy_products(a, dry):
    """Two products and a hyperbolic tangent between."""

    def make(cupy):
        c = cupy.asarray(a)
        return lambda: cupy.tanh(c @ c) @ c

    return _by_cupy(dry, make)


def cupy_product(a, dry):
    """A product of matrices by cuBLAS."""

    def make(cupy):
        c = cupy.asarray(a)
        return lambda: c @ c

    return _by_cupy(dry, make)
