"""Layers: functions that keep their variables, which they make when they are first called.

Examples
--------
>>> import symdiff.eager as tfe
>>> model = tfe.layers.Sequential([
...     tfe.layers.Conv2D(4, 3, activation="relu"),
...     tfe.layers.MaxPooling2D(2),
...     tfe.layers.Flatten(),
...     tfe.layers.Dense(10),
... ])
>>> model(tfe.ones([2, 8, 8, 1])).shape
(2, 10)
"""

from symdiff.eager.layers.base import Layer
from symdiff.eager.layers.convolution import Conv2D
from symdiff.eager.layers.core import Dense, Dropout, Embedding, Flatten, Sequential
from symdiff.eager.layers.initializers import (
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    lecun_normal,
    ones,
    random_normal,
    random_uniform,
    zeros,
)
from symdiff.eager.layers.pooling import AveragePooling2D, MaxPooling2D

__all__ = [
    "AveragePooling2D",
    "Conv2D",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "Layer",
    "MaxPooling2D",
    "Sequential",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "ones",
    "random_normal",
    "random_uniform",
    "zeros",
]
