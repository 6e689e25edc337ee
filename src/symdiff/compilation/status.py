"""What a kernel says of its run: zero, or what went wrong, as bits."""

from __future__ import annotations

import numpy as np

__all__ = [
    "CALLBACK",
    "INDEX",
    "MEMORY",
    "NOT_CONVERGED",
    "NOT_POSITIVE",
    "SINGULAR",
    "error_of",
]

MEMORY, INDEX, SINGULAR, NOT_POSITIVE, NOT_CONVERGED, CALLBACK = 1, 2, 4, 8, 16, 32


def error_of(status: int, name: str) -> Exception:
    """Make the exception that NumPy raises where a kernel gives this status.

    Examples
    --------
    >>> error_of(SINGULAR, "f")
    LinAlgError('f: Singular matrix')
    """
    if status & MEMORY:
        return MemoryError(f"{name}: no memory for intermediate arrays")
    if status & INDEX:
        return IndexError(f"{name}: an index is out of bounds")
    reasons = {
        SINGULAR: "Singular matrix",
        NOT_POSITIVE: "Matrix is not positive definite",
        NOT_CONVERGED: "Eigenvalues or singular values did not converge",
    }
    messages = [text for bit, text in reasons.items() if status & bit]
    return np.linalg.LinAlgError(f"{name}: {' and '.join(messages)}")
