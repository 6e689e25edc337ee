"""L-BFGS: quasi-Newton directions from the last few steps.

References
----------
D. C. Liu, J. Nocedal, "On the limited memory BFGS method for large scale optimization", Math.
Programming 45 (1989) 503-528.

J. Nocedal, S. J. Wright, *Numerical Optimization*, 2nd edition 2006, algorithms 7.4 and 7.5.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from symdiff.optimizers.descent import Rule

__all__ = ["PAIRS", "RULE", "Pairs"]

PAIRS = 15
"""How many steps are remembered."""
FEW, LARGE = 7, 200
"""From `LARGE` variables on so few are used: each costs nearly what a simple function does."""
ROWS = PAIRS + 1
"""Of a ring: one is free for the step that may come next."""


class Pairs(NamedTuple):
    """The last steps and the changes of the gradient along them, in two rings of rows.

    `vectors` has `ROWS` steps, then as many changes; `weights` are 1 / (step . change), `scale`
    stands for the inverse Hessian at the begin, `count` says how many pairs there have been since
    the last restart, and `most` how many are used.
    """

    vectors: Any
    weights: Any
    scale: Any
    count: Any
    most: Any


def _start(x: np.ndarray) -> Pairs:
    columns = np.zeros((x.size, 2 * ROWS), x.dtype)
    weights = np.zeros(ROWS, x.dtype)
    most = np.int64(PAIRS if x.size < LARGE else FEW)
    return Pairs(columns, weights, x.dtype.type(1), np.int64(0), most)


def _transpose(pairs: Pairs) -> Pairs:
    """Rows to columns, and back: only a leading axis can be of any size in one kernel."""
    return pairs._replace(vectors=pairs.vectors.T.copy(), weights=pairs.weights.copy())


def _record(pairs: Pairs, step: Any, change: Any, is_taken: Any) -> Pairs:
    vectors, weights, scale, count, most = pairs
    curvature = np.sum(step * change)
    square = np.sum(change * change)
    # Positive by the Wolfe conditions; a path that bent at a bound may give what is not.
    cosine = curvature / np.sqrt(square * np.sum(step * step))
    is_kept = is_taken & (cosine > np.finfo(step.dtype).eps)
    # This row is in no use: what is written there does not count before `count` does.
    j = count % ROWS
    vectors[j] = step
    vectors[ROWS + j] = change
    weights[j] = 1 / curvature
    scale = np.where(is_kept, curvature / square, scale)
    count = count + np.where(is_kept, 1, 0)
    return Pairs(vectors, weights, scale, count, most)


def _direct(pairs: Pairs, gradient: Any, free: Any, _: Any) -> tuple[Any, Any]:
    """Two loops over the pairs: algorithm 7.4 of Nocedal and Wright.

    Each goes once over the vectors: with a pair's term it forms the next pair's product. At its end
    the first does what stands between the two: it scales, and forms the second's first product.
    """
    vectors, weights, scale, count, most = pairs
    q = gradient if free is None else gradient * free
    kept = np.minimum(count, most)
    parts = 0.0 * weights
    k = (count - 1) % ROWS
    part = weights[k] * np.sum(vectors[k] * q)
    for i in range(kept):
        j, k = (count - 1 - i) % ROWS, (count - 2 - i) % ROWS
        is_oldest = i == kept - 1
        parts[j] = part
        q = np.where(is_oldest, scale, 1.0) * (q - part * vectors[ROWS + j])
        part = np.sum(vectors[np.where(is_oldest, ROWS + j, k)] * q)
        part = weights[np.where(is_oldest, j, k)] * part
    for i in range(kept):
        j, k = (count - kept + i) % ROWS, (count - kept + 1 + i) % ROWS
        q = q + (parts[j] - part) * vectors[j]
        part = weights[k] * np.sum(vectors[ROWS + k] * q)
    return q if free is None else q * free, 1.0


def _forget(pairs: Pairs, which: Any) -> Pairs:
    return pairs._replace(count=np.where(which, 0, pairs.count))


def _is_new(pairs: Pairs) -> Any:
    return pairs.count == 0


def _is_sure(pairs: Pairs) -> Any:
    return pairs.count >= np.minimum(pairs.most, pairs.vectors.shape[0])


RULE = Rule(
    _start, _transpose, _transpose, _record, _direct, _forget, _is_new, _is_sure, curvature=0.9
)
