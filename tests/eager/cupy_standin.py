"""A stand-in for the part of CuPy that eager mode uses: NumPy's arrays behind CuPy's manners.

As strict as CuPy: no array becomes one of NumPy's by itself, or stands beside one; functions have
CuPy's parameters; what is out of bounds wraps around; `//` and `%` of floats round as CuPy's do;
numbers are arrays of rank 0. Stricter: an array is used only while its device is the current one
(CuPy would use peer access, where there is some). `test_names_of_cupy.py` compares the names and
parameters with CuPy's.
"""

from __future__ import annotations

import functools
import operator
import threading
import weakref
from types import SimpleNamespace

import numpy as np
import scipy.special

_SCALARS = (int, float, bool, np.number, np.bool_)


class OutOfMemoryError(MemoryError):
    def __init__(self, size, total, limit=0):
        text = f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes"
        super().__init__(text + (f", limit set to: {limit:,} bytes)." if limit else ")."))


class _Arena:
    """A device's memory: chunks of 512 bytes, of which those that are let go are kept."""

    def __init__(self, total):
        self.total, self.limit, self.used, self.taken = total, 0, 0, 0

    def take(self, count):
        size = -(-count // 512) * 512
        most = self.limit or self.total
        if self.used + size > most:
            raise OutOfMemoryError(size, self.taken, self.limit)
        self.used += size
        self.taken = max(self.taken, self.used)
        return size

    def release(self, size):
        self.used -= size


class _Current(threading.local):
    number = 0


current = _Current()
arenas = []
counts = {"to_host": 0, "from_host": 0, "between": 0, "waits": 0}


def reset(n_devices=2, total=2**20):
    """Begin with new devices."""
    current.number = 0
    arenas[:] = [_Arena(total) for _ in range(n_devices)]
    counts.update(dict.fromkeys(counts, 0))


class Device:
    """`cupy.cuda.Device`."""

    _stacks = threading.local()

    def __init__(self, device=None):
        self.id = current.number if device is None else int(device)

    def __enter__(self):
        stack = self._stacks.__dict__.setdefault("stack", [])
        stack.append(current.number)
        current.number = self.id
        return self

    def __exit__(self, *args):
        current.number = self._stacks.stack.pop()

    @property
    def mem_info(self):
        arena = arenas[self.id]
        return arena.total - arena.taken, arena.total


class MemoryPool:
    def used_bytes(self):
        return arenas[current.number].used

    def total_bytes(self):
        return arenas[current.number].taken

    def free_bytes(self):
        return self.total_bytes() - self.used_bytes()

    def get_limit(self):
        return arenas[current.number].limit

    def set_limit(self, size=None, fraction=None):
        arena = arenas[current.number]
        arena.limit = int(arena.total * fraction) if size is None else size


_pool = MemoryPool()


def get_default_memory_pool():
    return _pool


def _alloc(size):
    arena = arenas[current.number]
    arena.release(arena.take(size))


cuda = SimpleNamespace(
    Device=Device,
    alloc=_alloc,
    memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
    runtime=SimpleNamespace(getDeviceCount=lambda: len(arenas)),
)


def _new(array):
    """Give an array of the current device, in memory of its own."""
    made = object.__new__(Array)
    made._array = np.array(array, order="C")
    made.device = Device()
    arena = arenas[current.number]
    size = arena.take(made._array.nbytes)
    weakref.finalize(made._array, arena.release, size).atexit = False
    return made


def _view(array, like):
    made = object.__new__(Array)
    made._array, made.device = array, like.device
    return made


def raw(x):
    """Give what an operand holds, as CuPy's kernels take it."""
    if isinstance(x, Array):
        if x.device.id != current.number:
            raise ValueError(
                "Array device must be same as the current device: array device = "
                f"{x.device.id} while current = {current.number}"
            )
        return x._array
    if type(x) in (int, float, bool) or isinstance(x, np.generic):
        return x
    raise TypeError(f"Unsupported type {type(x)}")


def _only_array(x):
    if not isinstance(x, Array):
        raise TypeError(f"Argument has incorrect type (expected cupy.ndarray, got {type(x)})")
    return raw(x)


def _quiet(function):
    @functools.wraps(function)
    def apply(*args, **kwargs):
        with np.errstate(all="ignore"):
            return function(*args, **kwargs)

    return apply


class UFunc:
    def __init__(self, function, name=None, compute=None):
        self.function, self.compute = function, compute or function
        self.__name__ = f"cupy_{name or function.__name__}"

    @_quiet
    def __call__(self, *args):
        return _new(self.compute(*[raw(x) for x in args]))

    def reduce(self, array, axis=0, dtype=None, out=None, keepdims=False):
        assert out is None
        chosen = {np.add: sum_, np.multiply: prod}.get(self.function)
        if chosen is None:
            raise NotImplementedError(f"`{self.__name__}.reduce` is not supported yet")
        return chosen(array, axis, dtype, None, keepdims)

    def accumulate(self, array, axis=0, dtype=None, out=None):
        if self.function not in (np.add, np.multiply):
            raise NotImplementedError(f"`{self.__name__}.accumulate` is not supported yet")
        return _new(self.function.accumulate(_only_array(array), axis, dtype))


def _floor_divide(x, y):
    """Do as CuPy's `_floor_divide` in ``carray.cuh``."""
    dtype = np.result_type(x, y)
    x, y = np.asarray(x, dtype), np.asarray(y, dtype)
    if dtype.kind == "f":
        return np.floor(x / y)
    return np.where(y == 0, dtype.type(0), x // np.where(y == 0, dtype.type(1), y))


def _remainder(x, y):
    made = x - _floor_divide(x, y) * y
    return made if made.dtype.kind == "f" else made * np.not_equal(y, 0)


_UFUNCS = {
    name: UFunc(getattr(np, name))
    for name in (
        *("absolute", "negative", "positive", "sign", "floor", "ceil", "rint", "square", "sqrt"),
        *("exp", "log", "log1p", "expm1", "sin", "cos", "tan", "arcsin", "arccos", "arctan"),
        *("sinh", "cosh", "tanh", "isfinite", "isnan", "cbrt", "logical_not", "invert"),
        *("add", "subtract", "multiply", "true_divide", "power", "maximum", "minimum", "fmod"),
        *("copysign", "equal", "not_equal", "less", "less_equal", "greater", "greater_equal"),
        *("logical_and", "logical_or", "logical_xor", "bitwise_and", "bitwise_or", "matmul"),
    )
}
_UFUNCS["divide"] = _UFUNCS["true_divide"]
_UFUNCS["floor_divide"] = UFunc(np.floor_divide, compute=_floor_divide)
_UFUNCS["remainder"] = UFunc(np.remainder, compute=_remainder)
globals().update(_UFUNCS)
special = SimpleNamespace(erf=UFunc(scipy.special.erf, "erf"))


def _operator(name, is_reflected=False):
    def method(self, other):
        if isinstance(other, Array):
            return _UFUNCS[name](self, other)
        if getattr(other, "__array_ufunc__", ()) is None:
            return NotImplemented
        function = getattr(np, name)
        return function(other, self) if is_reflected else function(self, other)

    return method


class Array:
    """`cupy.ndarray`."""

    __array_priority__ = 100
    __hash__ = None

    dtype = property(lambda self: self._array.dtype)
    shape = property(lambda self: self._array.shape)
    ndim = property(lambda self: self._array.ndim)
    size = property(lambda self: self._array.size)
    nbytes = property(lambda self: self._array.nbytes)
    flags = property(lambda self: self._array.flags)

    @property
    def __cuda_array_interface__(self):
        described = self._array.__array_interface__
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "descr": self.dtype.descr,
            "stream": 1,
            "version": 3,
            "strides": None if self._array.flags.c_contiguous else self._array.strides,
            "data": (described["data"][0] if self.size else 0, False),
        }

    def get(self, stream=None, order="C", out=None, blocking=True):
        counts["to_host"] += 1
        return np.array(self._array)

    def astype(self, dtype, order="K", casting=None, subok=None, copy=True):
        if not copy and self.dtype == dtype:
            return self
        with np.errstate(all="ignore"):
            return _new(raw(self).astype(dtype))

    def copy(self, order="C"):
        counts["between"] += self.device.id != current.number
        return _new(self._array)

    def nonzero(self):
        counts["waits"] += 1
        return tuple([_new(x) for x in raw(self).nonzero()])

    def any(self, axis=None, out=None, keepdims=False):
        return any_(self, axis, out, keepdims)

    def sum(self, axis=None, dtype=None, out=None, keepdims=False):
        return sum_(self, axis, dtype, out, keepdims)

    def item(self):
        return self.get().item()

    def __bool__(self):
        if self.size != 1:
            raise ValueError("The truth value of an array with more than one element is ambiguous")
        return bool(self.get())

    def __int__(self):
        return int(self.get())

    def __float__(self):
        return float(self.get())

    def __index__(self):
        return operator.index(self.get()[()])

    def __len__(self):
        return len(self._array)

    def __array__(self, dtype=None):
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct "
            "a NumPy array explicitly."
        )

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        name = ufunc.__name__
        function = _UFUNCS.get(name) or getattr(special, name, None)
        if method not in ("__call__", "reduce", "accumulate") or function is None:
            return NotImplemented
        if method != "__call__":
            function = getattr(function, method)
        for x in inputs:
            is_one = type(x) in (int, float, bool, complex) or isinstance(x, np.generic)
            if not is_one and not isinstance(x, (Array, np.ndarray)):
                return NotImplemented
        return function(*inputs, **kwargs)

    def __array_function__(self, func, types, args, kwargs):
        function = FUNCTIONS.get(func.__name__) if func.__module__ == "numpy" else None
        if function is None or not all(issubclass(t, (Array, np.ndarray)) for t in types):
            return NotImplemented
        return function(*args, **kwargs)

    def __getitem__(self, key):
        parts = [_as_index(p) for p in (key if isinstance(key, tuple) else (key,))]
        arrays = [p for p in parts if isinstance(p, Array)]
        if not arrays:
            made = self._array[tuple(parts)]
            return _view(made if isinstance(made, np.ndarray) else np.asarray(made), self)
        if [a.dtype.kind for a in arrays].count("b") > 1:
            raise ValueError("Currently, CuPy only supports one boolean array in an index")
        raw(self)
        found, axis = [], 0
        taken = [p.ndim if _is_mask(p) else int(p is not None and p is not Ellipsis) for p in parts]
        free = self.ndim - sum(taken)
        for part, width in zip(parts, taken, strict=True):
            if isinstance(part, Array) and not _is_mask(part):
                found.append(raw(part).astype(np.int64) % max(self.shape[axis], 1))
            else:
                counts["waits"] += _is_mask(part)
                found.append(raw(part) if isinstance(part, Array) else part)
            axis += free if part is Ellipsis else width
        return _new(self._array[tuple(found)])

    def __iter__(self):
        return iter([self[n] for n in range(len(self))])

    def __neg__(self):
        return _UFUNCS["negative"](self)

    def __abs__(self):
        return _UFUNCS["absolute"](self)

    def __invert__(self):
        return _UFUNCS["invert"](self)

    __matmul__ = _operator("matmul")
    __and__, __or__ = _operator("bitwise_and"), _operator("bitwise_or")
    __lt__, __le__ = _operator("less"), _operator("less_equal")
    __gt__, __ge__ = _operator("greater"), _operator("greater_equal")
    __eq__, __ne__ = _operator("equal"), _operator("not_equal")


for _method, _name in {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "true_divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "power",
}.items():
    setattr(Array, f"__{_method}__", _operator(_name))
    setattr(Array, f"__r{_method}__", _operator(_name, is_reflected=True))


ndarray = Array


def _is_mask(x):
    return isinstance(x, Array) and x.dtype.kind == "b"


def _as_index(part):
    if isinstance(part, (list, np.ndarray)):
        return asarray(np.asarray(part))
    return part


# functions, with CuPy's names and parameters


def asarray(a, dtype=None, order=None, *, copy=None, blocking=False):
    if isinstance(a, Array):
        return a if a.device.id == current.number else a.copy()
    described = getattr(a, "__cuda_array_interface__", None)
    if described is None:
        counts["from_host"] += 1
        return _new(np.asarray(a, dtype))
    counts["waits"] += described["stream"] is not None
    made = object.__new__(Array)
    described = {k: described[k] for k in ("shape", "typestr", "strides", "data", "version")}
    if described["data"][0]:
        made._array = np.asarray(SimpleNamespace(__array_interface__=described, keeps=a))
    else:
        made._array = np.empty(described["shape"], described["typestr"])
    made.device = Device()
    return made


def sum_(a, axis=None, dtype=None, out=None, keepdims=False):
    return _new(np.sum(_only_array(a), axis=axis, dtype=dtype, keepdims=keepdims))


def prod(a, axis=None, dtype=None, out=None, keepdims=False):
    return _new(np.prod(_only_array(a), axis=axis, dtype=dtype, keepdims=keepdims))


def mean(a, axis=None, dtype=None, out=None, keepdims=False):
    return _new(np.mean(_only_array(a), axis=axis, dtype=dtype, keepdims=keepdims))


def max_(a, axis=None, out=None, keepdims=False):
    return _new(np.max(_only_array(a), axis=axis, keepdims=keepdims))


def min_(a, axis=None, out=None, keepdims=False):
    return _new(np.min(_only_array(a), axis=axis, keepdims=keepdims))


def all_(a, axis=None, out=None, keepdims=False):
    return _new(np.all(_only_array(a), axis=axis, keepdims=keepdims))


def any_(a, axis=None, out=None, keepdims=False):
    return _new(np.any(_only_array(a), axis=axis, keepdims=keepdims))


def argmax(a, axis=None, dtype=None, out=None, keepdims=False):
    return _new(np.argmax(_only_array(a), axis=axis, keepdims=keepdims))


def argmin(a, axis=None, dtype=None, out=None, keepdims=False):
    return _new(np.argmin(_only_array(a), axis=axis, keepdims=keepdims))


def sort(a, axis=-1, kind=None):
    if kind not in (None, "stable"):
        raise ValueError("kind can only be None or 'stable'")
    return _new(np.sort(_only_array(a), axis=axis, kind="stable"))


def argsort(a, axis=-1, kind=None):
    if kind not in (None, "stable"):
        raise ValueError("kind can only be None or 'stable'")
    return _new(np.argsort(_only_array(a), axis=axis, kind="stable"))


def where(condition, x=None, y=None):
    return _new(np.where(raw(condition.astype("?", copy=False)), raw(x), raw(y)))


def take(a, indices, axis=None, out=None):
    places = raw(indices if isinstance(indices, Array) else asarray(indices))
    array = _only_array(a)
    count = array.size if axis is None else array.shape[axis] if array.ndim else 1
    return _new(np.take(array, places % max(count, 1), axis=axis))


def take_along_axis(a, indices, axis):
    if indices.dtype.kind not in ("i", "u"):
        raise IndexError("`indices` must be an integer array")
    return _new(np.take_along_axis(_only_array(a), raw(indices) % a.shape[axis], axis))


def _parts(tup):
    if not all(isinstance(x, Array) for x in tup):
        raise TypeError("Only cupy arrays can be concatenated")
    return [raw(x) for x in tup]


def stack(tup, axis=0, out=None, *, dtype=None, casting="same_kind"):
    return _new(np.stack(_parts(tup), axis=axis))


def concatenate(tup, axis=0, out=None, *, dtype=None, casting="same_kind"):
    return _new(np.concatenate(_parts(tup), axis=axis))


def tile(A, reps):
    return _new(np.tile(_only_array(A), reps))


def pad(array, pad_width, mode="constant", **kwargs):
    return _new(np.pad(_only_array(array), pad_width, mode, **kwargs))


def squeeze(a, axis=None):
    return _view(np.squeeze(_only_array(a), axis=axis), a)


def expand_dims(a, axis):
    return _view(np.expand_dims(_only_array(a), axis), a)


def transpose(a, axes=None):
    return _view(np.transpose(_only_array(a), axes), a)


def swapaxes(a, axis1, axis2):
    return _view(np.swapaxes(_only_array(a), axis1, axis2), a)


def reshape(a, newshape, order="C", *, copy=None):
    return _view(np.reshape(_only_array(a), newshape), a)


def tensordot(a, b, axes=2):
    return _new(np.tensordot(_only_array(a), _only_array(b), axes))


def zeros_like(a, dtype=None, order="K", subok=None, shape=None):
    return _new(np.zeros_like(_only_array(a), dtype, shape=shape))


def ones_like(a, dtype=None, order="K", subok=None, shape=None):
    return _new(np.ones_like(_only_array(a), dtype, shape=shape))


def full_like(a, fill_value, dtype=None, order="K", subok=None, shape=None):
    return _new(np.full_like(_only_array(a), raw(fill_value), dtype, shape=shape))


def shape(a):
    return a.shape


FUNCTIONS = {
    f.__name__.rstrip("_"): f
    for f in (
        *(asarray, sum_, prod, mean, max_, min_, all_, any_, argmax, argmin, sort, argsort, where),
        *(take, take_along_axis, stack, concatenate, tile, pad, squeeze, expand_dims, transpose),
        *(swapaxes, reshape, tensordot, zeros_like, ones_like, full_like, shape),
    )
}


class _Philox4x3210:
    def __init__(self, seed=None, *, size=-1):
        self.number = current.number
        self.generator = np.random.Generator(np.random.Philox(seed))
        self.state = _new(np.zeros(64, np.int8))


class _Generator:
    def __init__(self, bit_generator):
        self.bits = bit_generator

    def _drawn(self, method, size, dtype):
        if self.bits.number != current.number:
            raise RuntimeError("This Generator state is allocated in a different device")
        return _new(getattr(self.bits.generator, method)(() if size is None else size, dtype))

    def standard_normal(self, size=None, dtype=np.float64, out=None):
        return self._drawn("standard_normal", size, dtype)

    def random(self, size=None, dtype=np.float64, out=None):
        return self._drawn("random", size, dtype)


random = SimpleNamespace(Generator=_Generator, Philox4x3210=_Philox4x3210)
