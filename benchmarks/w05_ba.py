"""W5: the sparse Jacobian of ADBench's bundle adjustment: a dense block (2, 15) an observation."""

import ctypes
from functools import partial
from typing import NamedTuple

import adbench_models as models
import climit
import numpy as np
from adbench import models_with
from contest import Case, Workload, as_arrays, close


class Scene(NamedTuple):
    name: str
    data: models.BA


def load(name):
    return Scene(name, models.read_ba(name))


def gathered(data):
    """A camera, a point, a weight and a feature for every observation."""
    return data.cams[data.obs[:, 0]], data.points[data.obs[:, 1]], data.w, data.feats


def with_symdiff(scene):
    import symdiff as sd

    data = scene.data
    first, second = data.obs[:, 0], data.obs[:, 1]
    blocks = sd.vmap(sd.jacobian(models.reprojection_error, argnums=(0, 1, 2)))

    @sd.jit
    def gathered_blocks(cams, points, w, feats):
        return blocks(cams[first], points[second], w, feats)

    return partial(gathered_blocks, data.cams, data.points, data.w, data.feats)


def with_c(scene):
    library = climit.build("ba.c")
    data = scene.data
    p = len(data.obs)
    up = -(-p // 8) * 8
    weights, feats = climit.aligned((up,)), climit.aligned((up, 2))
    obs = climit.aligned((up, 2), np.int64)
    weights[:p], feats[:p], obs[:p] = data.w, data.feats, data.obs
    errors, J = climit.aligned((up, 2)), climit.aligned((up, 2, 15))
    kept = [data.cams, data.points, weights, obs, feats, errors, J]
    arguments = [ctypes.c_int(up), *map(climit.pointer, kept)]

    def call(_kept=kept):
        library.ba(*arguments)
        return J[:p]

    return call


def reprojection(ns, cross, cam, x, w, feat):
    """ADBench's formulation for one observation, in another package's functions."""
    rot, y = cam[:3], x - cam[3:6]
    sqtheta = (rot**2).sum()
    theta = ns.sqrt(sqtheta)
    axis = rot / theta
    turned = y * ns.cos(theta) + cross(axis, y) * ns.sin(theta)
    turned = turned + axis * (axis @ y) * (1 - ns.cos(theta))
    at = ns.where(sqtheta > 0, turned, y + cross(rot, y))
    flat = at[:2] / at[2]
    rsq = (flat**2).sum()
    return w * (flat * (1 + cam[9] * rsq + cam[10] * rsq**2) * cam[6] + cam[7:9] - feat)


def with_jax(scene):
    import jax
    import jax.numpy as jnp

    data = scene.data
    one = partial(reprojection, jnp, jnp.cross)
    blocks = jax.vmap(jax.jacfwd(one, argnums=(0, 1, 2)))
    first, second = (jnp.asarray(data.obs[:, k]) for k in (0, 1))
    compiled = jax.jit(lambda cams, points, w, feats: blocks(cams[first], points[second], w, feats))
    arguments = [jnp.asarray(a) for a in (data.cams, data.points, data.w, data.feats)]
    return lambda: jax.block_until_ready(compiled(*arguments))


def at_once(ns, cross, cam, x, w, feat):
    """The same for all observations; summed over them, a row of all blocks is one pullback."""
    rot, y = cam[:, :3], x - cam[:, 3:6]
    sqtheta = (rot**2).sum(1)[:, None]
    theta = ns.sqrt(sqtheta)
    axis = rot / theta
    along = axis * (axis * y).sum(1)[:, None] * (1 - ns.cos(theta))
    turned = y * ns.cos(theta) + cross(axis, y) * ns.sin(theta) + along
    at = ns.where(sqtheta > 0, turned, y + cross(rot, y))
    flat = at[:, :2] / at[:, 2:]
    rsq = (flat**2).sum(1)[:, None]
    radial = 1 + cam[:, 9:10] * rsq + cam[:, 10:11] * rsq**2
    return w[:, None] * (flat * radial * cam[:, 6:7] + cam[:, 7:9] - feat)


def by_components(ns, cam, x, w, feat):
    """The same with an array for every number, so that a compiler sees arithmetic only."""
    rot, y = cam[:3], [a - b for a, b in zip(x, cam[3:6], strict=True)]
    theta = ns.sqrt(rot[0] ** 2 + rot[1] ** 2 + rot[2] ** 2)
    axis = [a / theta for a in rot]
    cos, sin = ns.cos(theta), ns.sin(theta)
    along = (axis[0] * y[0] + axis[1] * y[1] + axis[2] * y[2]) * (1 - cos)
    at = []
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        at.append(y[i] * cos + (axis[j] * y[k] - axis[k] * y[j]) * sin + axis[i] * along)
    u, v = at[0] / at[2], at[1] / at[2]
    rsq = u * u + v * v
    scale = (1 + cam[9] * rsq + cam[10] * rsq**2) * cam[6]
    return w * (u * scale + cam[7] - feat[0]), w * (v * scale + cam[8] - feat[1])


def with_jax_by_components(scene):
    """No rotation is zero here: this formulation does without the other branch."""
    import jax
    import jax.numpy as jnp

    data = scene.data
    first, second = (jnp.asarray(data.obs[:, k]) for k in (0, 1))

    def blocks(cams, points, w, feats):
        cam, x = [cams[first, k] for k in range(11)], [points[second, k] for k in range(3)]
        one = partial(by_components, jnp, feat=(feats[:, 0], feats[:, 1]))
        _, pullback = jax.vjp(one, cam, x, w)
        ones, zeros = jnp.ones_like(w), jnp.zeros_like(w)
        rows = [pullback(row) for row in ((ones, zeros), (zeros, ones))]
        return jnp.stack([jnp.stack([*c, *x, w], 1) for c, x, w in rows], 1)

    compiled = jax.jit(blocks)
    arguments = [jnp.asarray(a) for a in (data.cams, data.points, data.w, data.feats)]
    return lambda: jax.block_until_ready(compiled(*arguments))


def with_torch(scene):
    import torch

    data = scene.data
    first, second = (torch.tensor(data.obs[:, k]) for k in (0, 1))
    cams, points, w, feats = (torch.tensor(a) for a in (data.cams, data.points, data.w, data.feats))

    def call():
        leaves = [a.requires_grad_() for a in (cams[first], points[second], w.clone())]
        sums = at_once(torch, torch.linalg.cross, *leaves, feats).sum(0)
        rows = [torch.autograd.grad(s, leaves, retain_graph=True) for s in sums]
        return [torch.stack(row, 1) for row in zip(*rows, strict=True)]

    return call


def with_autograd(scene):
    import autograd.numpy as anp
    from autograd import make_vjp

    data, own = scene.data, models_with(anp)
    p = len(data.obs)
    in_order = np.stack([np.arange(p)] * 2, 1)

    def errors(parts):
        e = own.ba_reprojection(*parts, in_order, data.feats).reshape(p, 2)
        return anp.sum(e, axis=0)

    def call():
        vjp, _ = make_vjp(errors)(gathered(data)[:3])
        return [np.stack(pair, 1) for pair in zip(*map(vjp, np.eye(2)), strict=True)]

    return call


def with_casadi(scene):
    import casadi

    cam, x, w, feat = (casadi.SX.sym(s, n) for s, n in (("c", 11), ("x", 3), ("w", 1), ("f", 2)))
    rot, y = cam[:3], x - cam[3:6]
    theta = casadi.sqrt(casadi.sumsqr(rot))
    axis = rot / theta
    at = y * casadi.cos(theta) + casadi.cross(axis, y) * casadi.sin(theta)
    at = at + axis * casadi.dot(axis, y) * (1 - casadi.cos(theta))
    flat = at[:2] / at[2]
    rsq = casadi.sumsqr(flat)
    error = w * (flat * (1 + cam[9] * rsq + cam[10] * rsq**2) * cam[6] + cam[7:9] - feat)
    block = casadi.densify(casadi.jacobian(error, casadi.vertcat(cam, x, w)))
    p = len(scene.data.obs)
    run = casadi.Function("J", [cam, x, w, feat], [block.T]).map(p)

    def call():
        cams, points, weights, feats = gathered(scene.data)
        return np.asarray(run(cams.T, points.T, weights[None], feats.T)).T.reshape(p, 2, 15)

    return call


def check(scene, answer):
    p = len(scene.data.obs)
    J = np.concatenate([a.reshape(p, 2, -1) for a in as_arrays(answer)], axis=2)
    close(J, models.expected(scene.name)[1][: 30 * p].reshape(p, 2, 15), 1e-10)


WORKLOAD = Workload(
    "W5",
    "ADBench's bundle adjustment, blocks of the Jacobian",
    [Case("ba1", partial(load, "ba/ba1_n49_m7776_p31843"), quick=True)],
    {
        "symdiff": with_symdiff,
        "C": with_c,
        "jax": with_jax,
        "jax by components": with_jax_by_components,
        "casadi": with_casadi,
        "torch": with_torch,
        "autograd": with_autograd,
    },
    check,
    limit=("C",),
)
