"""Optimizers whose steps never return to the interpreter: ``sd.optim``, and `sd.train`.

Rules, schedules and transformations of gradients are short functions, traced like the user's own.
"""

from symdiff.optimizers.rules import (
    Adagrad,
    Adam,
    AdamW,
    GradientDescent,
    Lion,
    Momentum,
    RMSProp,
)
from symdiff.optimizers.schedules import constant, cosine, exponential, piecewise, step, warmup
from symdiff.optimizers.updates import (
    Chain,
    chain,
    clip_by_norm,
    clip_by_value,
    init,
    update,
    weight_decay,
)

__all__ = [
    "Adagrad",
    "Adam",
    "AdamW",
    "Chain",
    "GradientDescent",
    "Lion",
    "Momentum",
    "RMSProp",
    "chain",
    "clip_by_norm",
    "clip_by_value",
    "constant",
    "cosine",
    "exponential",
    "init",
    "piecewise",
    "step",
    "update",
    "warmup",
    "weight_decay",
]
