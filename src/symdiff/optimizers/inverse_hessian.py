"""The inverse Hessian that a minimization leaves behind, as SciPy's results have it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator

from symdiff.optimizers.lbfgs import Pairs

__all__ = ["InverseHessian", "inverse_of", "inverse_of_pairs"]


class InverseHessian(LinearOperator):
    """What L-BFGS takes for the inverse Hessian; SciPy's `LbfgsInvHessProduct` with its scale.

    Parameters
    ----------
    sk, yk : ndarray, shape (n_pairs, n)
        Steps and the gradient's changes along them, the oldest first.
    scale : float
        Stands for the inverse Hessian where no step led.

    References
    ----------
    See `symdiff.optimizers.lbfgs`.

    Examples
    --------
    >>> import numpy as np, symdiff as sd
    >>> result = sd.minimize(lambda x: 2 * x[0] ** 2 + 5 * (x[1] - x[0]) ** 2, [3.0, 1.0])
    >>> result.hess_inv.todense().round(3)
    array([[0.25, 0.25],
           [0.25, 0.35]])
    >>> (result.hess_inv @ np.array([4.0, 0.0])).round(3)
    array([1., 1.])
    """

    def __init__(self, sk: np.ndarray, yk: np.ndarray, scale: float) -> None:
        super().__init__(dtype=sk.dtype, shape=(sk.shape[1],) * 2)
        self.sk, self.yk, self.scale = sk, yk, scale
        self.n_corrs = len(sk)

    def _matvec(self, x: Any) -> np.ndarray:
        return self._matmat(np.reshape(x, (-1, 1)))[:, 0]

    def _matmat(self, X: Any) -> np.ndarray:
        q = np.array(X, dtype=self.dtype)
        rows = list(zip(self.sk, self.yk, strict=True))
        parts = []
        for s, y in reversed(rows):
            parts.append(s @ q / (s @ y))
            q -= np.outer(y, parts[-1])
        q *= self.scale
        for s, y in rows:
            q += np.outer(s, parts.pop() - y @ q / (s @ y))
        return q

    def _rmatvec(self, x: Any) -> np.ndarray:
        return self._matvec(x)

    def todense(self) -> np.ndarray:
        """Give the matrix, shape ``(n, n)``."""
        return self._matmat(np.eye(self.shape[0]))


def inverse_of_pairs(pairs: Pairs) -> InverseHessian:
    """Take the pairs that are in use from their ring."""
    ring = pairs.vectors.shape[1] // 2
    kept = min(int(pairs.count), int(pairs.most))
    rows = (int(pairs.count) - kept + np.arange(kept)) % ring
    steps, changes = pairs.vectors[:, rows].T, pairs.vectors[:, ring + rows].T
    return InverseHessian(steps, changes, float(pairs.scale))


def inverse_of(hessian: Callable[..., Any], x: np.ndarray, args: tuple[Any, ...]) -> np.ndarray:
    """Invert the Hessian at a point; NaN where it is not finite, least squares if singular."""
    matrix = np.asarray(hessian(x, args))
    if not np.isfinite(matrix).all():
        return np.full_like(matrix, np.nan)
    return np.linalg.pinv(matrix, hermitian=True)
