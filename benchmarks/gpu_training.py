"""W9 on a GPU: a step of training, and the least that it can take."""

from functools import partial

import gpu_rivals as rivals
import numpy as np
import w09_training
from gpu_timing import close, ratio

import symdiff as sd
from symdiff.compilation.cuda import backend
from symdiff.compilation.cuda.memory import put
from symdiff.compilation.cuda.module import write
from symdiff.optimizers.steps import MAX_STEPS, compiled_steps
from symdiff.optimizers.training import order_of
from symdiff.optimizers.updates import init

__all__ = ["training"]

cuda = backend.cuda()


@cuda.jit
def wait_in_grid(n_steps, n_barriers):
    grid = cuda.cg.this_grid()
    for _ in range(n_steps):
        for _ in range(n_barriers):
            grid.sync()


@cuda.jit
def wait_in_block(n_steps, n_barriers):
    for _ in range(n_steps):
        for _ in range(n_barriers):
            cuda.syncthreads()


def training(check):
    """W9: a step of training, in a loop of the kernel, and in a launch of its own."""
    sizes = check.size([(64, 32), (784, 256)], [(64, 32)])
    loaded = {f"{a}-{b}-10": w09_training.load(a, b) for a, b in sizes}
    made = {size: own_training(check, size, data) for size, data in loaded.items()}
    for size, data in loaded.items():
        steps, batch = check.size(100, 2), w09_training.BATCH
        eager = check.rival(f"torch {size}", partial(rivals.torch_training, data, steps))
        make = partial(rivals.torch_training_graph, data, batch, steps)
        check.rival(f"torch graph {size}", make)
        scan = check.rival(f"jax scan {size}", partial(rivals.jax_training, data))
        check.asked(f"W9 {size}: over torch eager", ratio(eager, made[size]), at_least=5)
        check.asked(f"W9 {size}: over JAX's scan", ratio(scan, made[size]), at_least=5)


def own_training(check, size, data):
    """Time steps of ours, and the barriers that they wait at."""
    batch = check.size(w09_training.BATCH, 8)
    if check.dry:
        data = data._replace(x=data.x[:16, :8], y=data.y[:16])
        data = data._replace(params=(data.params[0][:8], *data.params[1:]))
    ours = check.part(f"{size}, in one launch", partial(persistent, check, data, batch))
    n_barriers = barriers_of_step(data, batch)
    floor = check.part(f"{size}, {n_barriers} barriers", partial(floors, check, n_barriers))
    times = None if ours is None or floor is None else ours["us"] / floor["grid_us"]
    check.asked(f"W9 {size}: a step, over its barriers alone", times, at_most=1.5)
    check.part(f"{size}, a launch a step", partial(stepwise, check, data, batch))
    return ours


def persistent(check, data, batch):
    """Train for some epochs, in few launches, and compare the first epoch with the CPU's."""
    epochs = check.size(200, 1)
    fit = partial(
        sd.train,
        partial(w09_training.loss, np),
        data.params,
        (data.x, data.y),
        sd.optim.Adam(w09_training.RATE),
        batch_size=batch,
        progress=False,
    )
    result = fit(epochs=epochs, target="cuda")
    few = fit(epochs=1, target="cuda")
    close(few.history["loss"], fit(epochs=1).history["loss"], 1e-4)
    steps = epochs * -(-len(data.x) // batch)
    return {"us": 1e6 * result.seconds / steps, "first_s": result.compile_seconds}


def barriers_of_step(data, batch):
    """Count the barriers of all blocks in a step of the loop."""
    optimizer = sd.optim.Adam(w09_training.RATE)
    order = order_of(len(data.x), batch, 0)
    args = data.params, init(optimizer, data.params), (data.x, data.y), order, 0, 7
    steps = compiled_steps(partial(w09_training.loss, np), optimizer, batch, True)
    text = write(steps.program(*args, np.zeros(MAX_STEPS)), is_grid=True).text
    return sum(line.startswith(" " * 8) and "grid.sync()" in line for line in text.splitlines())


def floors(check, n_barriers):
    """Time steps of nothing but barriers: of a block, and of a block for each multiprocessor."""
    blocks, threads = (2, 4) if backend.is_simulated() else (_multiprocessors(), 256)
    steps = check.size(200, 2)
    in_grid = partial(wait_in_grid[blocks, threads], steps, n_barriers)
    in_block = partial(wait_in_block[1, threads], steps, n_barriers)
    grid, block = check.ours(in_grid, steps), check.ours(in_block, steps)
    return {"grid_us": grid["device_us"], "block_us": block["device_us"], "blocks": blocks}


def _multiprocessors():
    return cuda.get_current_device().MULTIPROCESSOR_COUNT


def stepwise(check, data, batch):
    """Time a step of training that is a launch, with everything on the card."""
    gradient_of = sd.value_and_grad(partial(w09_training.loss, np))

    @partial(sd.jit, target="cuda")
    def step(params, m, v, t, x, y):
        value, gradient = gradient_of(params, x, y)
        return value, *w09_training.adam(np, params, m, v, t, gradient)

    zeros = [np.zeros_like(p) for p in data.params]
    state = [tuple(map(put, part)) for part in (data.params, zeros, zeros)]
    x, y = put(data.x[:batch]), put(data.y[:batch])
    t = np.float32(1)

    def one():
        nonlocal state, t
        value, *state = step(*state, t, x, y)
        t += np.float32(1)
        return value

    return check.ours(one)
