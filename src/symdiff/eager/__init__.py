"""Eager mode: the interactive surface of TensorFlow's eager execution, on symdiff's kernels.

Single operations run at once, on NumPy. A function that is differentiated is traced once for each
signature and path through its branches, and runs as a kernel.

Examples
--------
>>> import symdiff.eager as tfe
>>> f = tfe.gradients_function(lambda x, y: x**2 - 2 * x * y + 3 * y)
>>> [float(g) for g in f(2.0, 1.0)]
[2.0, -1.0]
"""

import numpy as np

from symdiff.eager import data, layers, losses, train
from symdiff.eager.custom import custom_gradient
from symdiff.eager.devices import (
    ConfigProto,
    GPUOptions,
    MemoryInfo,
    copies,
    device,
    enable_eager_execution,
    list_devices,
    memory_info,
    num_gpus,
)
from symdiff.eager.gradients import (
    gradients_function,
    implicit_gradients,
    implicit_value_and_gradients,
    make_vjp,
    value_and_gradients_function,
)
from symdiff.eager.operations import (
    abs,
    argmax,
    argmin,
    cast,
    concat,
    constant,
    convert_to_tensor,
    cos,
    exp,
    floor,
    identity,
    log,
    matmul,
    maximum,
    minimum,
    negative,
    ones,
    ones_like,
    reduce_all,
    reduce_any,
    reduce_max,
    reduce_mean,
    reduce_min,
    reduce_prod,
    reduce_sum,
    relu,
    reshape,
    round,
    sigmoid,
    sign,
    sin,
    softmax,
    softplus,
    sqrt,
    square,
    stack,
    stop_gradient,
    tanh,
    transpose,
    where,
    zeros,
    zeros_like,
)
from symdiff.eager.random_numbers import random_normal, random_uniform, set_random_seed
from symdiff.eager.stepping import CompiledStep, FitResult, compile_step, fit
from symdiff.eager.tape import GradientTape
from symdiff.eager.tensor import Tensor
from symdiff.eager.variables import Variable

__all__ = [
    "CompiledStep",
    "ConfigProto",
    "FitResult",
    "GPUOptions",
    "GradientTape",
    "MemoryInfo",
    "Tensor",
    "Variable",
    "abs",
    "argmax",
    "argmin",
    "bool_",
    "cast",
    "compile_step",
    "concat",
    "constant",
    "convert_to_tensor",
    "copies",
    "cos",
    "custom_gradient",
    "data",
    "device",
    "enable_eager_execution",
    "exp",
    "fit",
    "float32",
    "float64",
    "floor",
    "gradients_function",
    "identity",
    "implicit_gradients",
    "implicit_value_and_gradients",
    "int8",
    "int16",
    "int32",
    "int64",
    "layers",
    "list_devices",
    "log",
    "losses",
    "make_vjp",
    "matmul",
    "maximum",
    "memory_info",
    "minimum",
    "negative",
    "num_gpus",
    "ones",
    "ones_like",
    "random_normal",
    "random_uniform",
    "reduce_all",
    "reduce_any",
    "reduce_max",
    "reduce_mean",
    "reduce_min",
    "reduce_prod",
    "reduce_sum",
    "relu",
    "reshape",
    "round",
    "set_random_seed",
    "sigmoid",
    "sign",
    "sin",
    "softmax",
    "softplus",
    "sqrt",
    "square",
    "stack",
    "stop_gradient",
    "tanh",
    "train",
    "transpose",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "value_and_gradients_function",
    "where",
    "zeros",
    "zeros_like",
]

bool_ = np.dtype("bool")
int8, int16, int32, int64 = [np.dtype(f"int{n}") for n in (8, 16, 32, 64)]
uint8, uint16, uint32, uint64 = [np.dtype(f"uint{n}") for n in (8, 16, 32, 64)]
float32, float64 = np.dtype("float32"), np.dtype("float64")
