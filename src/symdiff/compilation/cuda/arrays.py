"""Arrays that lie in the memory of a GPU, by whichever library: what is asked of them at a call.

Nothing of CUDA is imported for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["dtype_of", "is_on_device"]


def is_on_device(x: Any) -> bool:
    """Whether an array lies in the memory of a GPU.

    Examples
    --------
    >>> is_on_device(np.ones(3)), is_on_device(2.0)
    (False, False)
    """
    if isinstance(x, (np.ndarray, float, int, str)):
        return False
    return hasattr(x, "__cuda_array_interface__") or getattr(x, "__cuda_ndarray__", False)


def dtype_of(x: Any) -> np.dtype:
    """Give the dtype of an array on a GPU."""
    interface = getattr(x, "__cuda_array_interface__", None)
    return np.dtype(x.dtype if interface is None else interface["typestr"])
