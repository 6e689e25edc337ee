"""What can go wrong, each kind also a builtin, and where in the user's code it went wrong."""

import inspect
import os
import sys
from functools import cache
from types import FrameType

__all__ = [
    "CacheError",
    "DTypeError",
    "DeviceError",
    "ProgramTooLargeError",
    "ShapeError",
    "SymdiffError",
    "TracingError",
    "UnsupportedOperationError",
]


class SymdiffError(Exception):
    """Base of every error that symdiff raises on purpose.

    Examples
    --------
    >>> import symdiff as sd
    >>> issubclass(sd.ShapeError, sd.SymdiffError) and issubclass(sd.ShapeError, ValueError)
    True
    """


class UnsupportedOperationError(SymdiffError, NotImplementedError):
    """An operation, or an argument of one, that symdiff cannot trace or differentiate.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> sd.jit(lambda x: np.fft.fft(x))(np.ones(4))  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    symdiff.errors.UnsupportedOperationError: ...
    """


class ShapeError(SymdiffError, ValueError):
    """Shapes that do not fit each other, or an index outside its axis.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> sd.jit(lambda a, b: a + b)(np.ones((2, 3)), np.ones((2, 4)))
    ... # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    symdiff.errors.ShapeError: ...
    """


class DTypeError(SymdiffError, TypeError):
    """A value of a type that cannot be traced or differentiated.

    Examples
    --------
    >>> import symdiff as sd
    >>> sd.jit(lambda x: x + 1)(1j)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    symdiff.errors.DTypeError: ...
    """


class TracingError(SymdiffError, TypeError):
    """Code that needs the value of a traced array while there is none.

    Examples
    --------
    >>> import symdiff as sd
    >>> sd.jit(lambda x: x if x > 0 else -x)(1.0)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    symdiff.errors.TracingError: ...
    """


class ProgramTooLargeError(SymdiffError, RuntimeError):
    """A program, or the formula asked of it, beyond the published limits.

    Examples
    --------
    >>> import symdiff as sd
    >>> issubclass(sd.ProgramTooLargeError, RuntimeError)
    True
    """


class DeviceError(SymdiffError, RuntimeError):
    """A device, or a target, that is not there.

    Examples
    --------
    >>> import symdiff.eager as tfe
    >>> with tfe.device("/gpu:7"):
    ...     tfe.constant(1.0)
    Traceback (most recent call last):
    symdiff.errors.DeviceError: ...
    """


class CacheError(SymdiffError, OSError):
    """A file of symdiff's that cannot be read or written.

    Examples
    --------
    >>> import symdiff as sd
    >>> issubclass(sd.CacheError, OSError)
    True
    """


_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_NUMPY = (
    os.path.dirname(os.path.abspath(sys.modules["numpy"].__file__ or "")) + os.sep
    if ("numpy" in sys.modules)
    else "\0"
)


def user_frame() -> FrameType | None:
    """Return the innermost frame that is neither ours nor NumPy's."""
    frame = inspect.currentframe()
    while frame is not None and _is_internal(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


@cache
def _is_internal(filename: str) -> bool:
    return filename.startswith((_PACKAGE, _NUMPY, "<__array_function__"))


def user_line() -> str:
    """Say where the user's code is, as ``file:line, in function``."""
    frame = user_frame()
    if frame is None:
        return "<unknown>"
    return f"{frame.f_code.co_filename}:{frame.f_lineno}, in {frame.f_code.co_name}"


def at_user_line(message: str) -> str:
    """Append the user's own line to a message, when there is one."""
    return f"{message}\n  at {user_line()}"
