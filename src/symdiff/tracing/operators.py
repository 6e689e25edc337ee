"""Python's operators on traced arrays, each as the ufunc that NumPy makes of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from symdiff.tracing.context import Context
from symdiff.tracing.dispatch import FUNCTIONS

__all__ = ["Operators"]


class Operators:
    """The operators of a traced array, and the methods that NumPy calls in their stead.

    Arithmetic, reflected and in place; comparisons, which are elementwise as NumPy's are; and the
    methods that NumPy calls on the elements of an object array such as ``np.array([x, y])``.
    """

    __slots__ = ()
    context: Context

    def _apply(self, ufunc: np.ufunc, *inputs: Any) -> Any:
        for x in inputs:
            if type(x) is not float and hasattr(x, "full_mask"):
                return ufunc(*inputs)
        return FUNCTIONS[np.ufunc](self.context, ufunc, "__call__", inputs, {})

    def in_place(self, ufunc: np.ufunc, other: Any) -> Any:
        """Do ``self op= other``."""
        raise NotImplementedError

    def __add__(self, other: Any) -> Any:
        return self._apply(np.add, self, other)

    def __sub__(self, other: Any) -> Any:
        return self._apply(np.subtract, self, other)

    def __mul__(self, other: Any) -> Any:
        return self._apply(np.multiply, self, other)

    def __truediv__(self, other: Any) -> Any:
        return self._apply(np.divide, self, other)

    def __floordiv__(self, other: Any) -> Any:
        return self._apply(np.floor_divide, self, other)

    def __mod__(self, other: Any) -> Any:
        return self._apply(np.remainder, self, other)

    def __pow__(self, other: Any) -> Any:
        return self._apply(np.power, self, other)

    def __matmul__(self, other: Any) -> Any:
        return self._apply(np.matmul, self, other)

    def __and__(self, other: Any) -> Any:
        return self._apply(np.bitwise_and, self, other)

    def __or__(self, other: Any) -> Any:
        return self._apply(np.bitwise_or, self, other)

    def __xor__(self, other: Any) -> Any:
        return self._apply(np.bitwise_xor, self, other)

    def __lshift__(self, other: Any) -> Any:
        return self._apply(np.left_shift, self, other)

    def __rshift__(self, other: Any) -> Any:
        return self._apply(np.right_shift, self, other)

    def __divmod__(self, other: Any) -> Any:
        return self._apply(np.divmod, self, other)

    def __radd__(self, other: Any) -> Any:
        return self._apply(np.add, other, self)

    def __rsub__(self, other: Any) -> Any:
        return self._apply(np.subtract, other, self)

    def __rmul__(self, other: Any) -> Any:
        return self._apply(np.multiply, other, self)

    def __rtruediv__(self, other: Any) -> Any:
        return self._apply(np.divide, other, self)

    def __rfloordiv__(self, other: Any) -> Any:
        return self._apply(np.floor_divide, other, self)

    def __rmod__(self, other: Any) -> Any:
        return self._apply(np.remainder, other, self)

    def __rpow__(self, other: Any) -> Any:
        return self._apply(np.power, other, self)

    def __rmatmul__(self, other: Any) -> Any:
        return self._apply(np.matmul, other, self)

    def __rand__(self, other: Any) -> Any:
        return self._apply(np.bitwise_and, other, self)

    def __ror__(self, other: Any) -> Any:
        return self._apply(np.bitwise_or, other, self)

    def __rxor__(self, other: Any) -> Any:
        return self._apply(np.bitwise_xor, other, self)

    def __rlshift__(self, other: Any) -> Any:
        return self._apply(np.left_shift, other, self)

    def __rrshift__(self, other: Any) -> Any:
        return self._apply(np.right_shift, other, self)

    def __rdivmod__(self, other: Any) -> Any:
        return self._apply(np.divmod, other, self)

    def __iadd__(self, other: Any) -> Any:
        return self.in_place(np.add, other)

    def __isub__(self, other: Any) -> Any:
        return self.in_place(np.subtract, other)

    def __imul__(self, other: Any) -> Any:
        return self.in_place(np.multiply, other)

    def __itruediv__(self, other: Any) -> Any:
        return self.in_place(np.divide, other)

    def __ifloordiv__(self, other: Any) -> Any:
        return self.in_place(np.floor_divide, other)

    def __imod__(self, other: Any) -> Any:
        return self.in_place(np.remainder, other)

    def __ipow__(self, other: Any) -> Any:
        return self.in_place(np.power, other)

    def __imatmul__(self, other: Any) -> Any:
        return self.in_place(np.matmul, other)

    def __iand__(self, other: Any) -> Any:
        return self.in_place(np.bitwise_and, other)

    def __ior__(self, other: Any) -> Any:
        return self.in_place(np.bitwise_or, other)

    def __ixor__(self, other: Any) -> Any:
        return self.in_place(np.bitwise_xor, other)

    def __ilshift__(self, other: Any) -> Any:
        return self.in_place(np.left_shift, other)

    def __irshift__(self, other: Any) -> Any:
        return self.in_place(np.right_shift, other)

    def __lt__(self, other: Any) -> Any:
        return self._apply(np.less, self, other)

    def __le__(self, other: Any) -> Any:
        return self._apply(np.less_equal, self, other)

    def __gt__(self, other: Any) -> Any:
        return self._apply(np.greater, self, other)

    def __ge__(self, other: Any) -> Any:
        return self._apply(np.greater_equal, self, other)

    def __eq__(self, other: object) -> Any:
        return self._apply(np.equal, self, other)

    def __ne__(self, other: object) -> Any:
        return self._apply(np.not_equal, self, other)

    def __hash__(self) -> int:
        return id(self)

    def __neg__(self) -> Any:
        return self._apply(np.negative, self)

    def __pos__(self) -> Any:
        return self._apply(np.positive, self)

    def __abs__(self) -> Any:
        return self._apply(np.absolute, self)

    def __invert__(self) -> Any:
        return self._apply(np.invert, self)

    def exp(self) -> Any:
        """Do ``np.exp(self)``."""
        return self._apply(np.exp, self)

    def log(self) -> Any:
        """Do ``np.log(self)``."""
        return self._apply(np.log, self)

    def sqrt(self) -> Any:
        """Do ``np.sqrt(self)``."""
        return self._apply(np.sqrt, self)

    def square(self) -> Any:
        """Do ``np.square(self)``."""
        return self._apply(np.square, self)

    def sin(self) -> Any:
        """Do ``np.sin(self)``."""
        return self._apply(np.sin, self)

    def cos(self) -> Any:
        """Do ``np.cos(self)``."""
        return self._apply(np.cos, self)

    def tan(self) -> Any:
        """Do ``np.tan(self)``."""
        return self._apply(np.tan, self)

    def arctan(self) -> Any:
        """Do ``np.arctan(self)``."""
        return self._apply(np.arctan, self)

    def sinh(self) -> Any:
        """Do ``np.sinh(self)``."""
        return self._apply(np.sinh, self)

    def cosh(self) -> Any:
        """Do ``np.cosh(self)``."""
        return self._apply(np.cosh, self)

    def tanh(self) -> Any:
        """Do ``np.tanh(self)``."""
        return self._apply(np.tanh, self)

    def conjugate(self) -> Any:
        """Give the array itself: it is real."""
        return self
