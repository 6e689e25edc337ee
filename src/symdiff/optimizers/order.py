"""The order of samples: a permutation that is computed where it is needed, not stored.

Which sample stands at a position depends on seed, epoch and position alone. So a kernel needs no
table, and training goes on anywhere with the same batches.

The permutation is the swap-or-not shuffle of Hoang, Morris and Rogaway (*An Enciphering Scheme
Based on a Card Shuffle*, CRYPTO 2012): in each round x may change places with ``key - x mod n``,
and a bit of a hash of the larger of the two says whether. Each round is an involution, hence the
whole a bijection for every n, without the cycle-walking of a Feistel network on a power of two: all
positions take the same operations, which vectorise. Keys are hashed by lowbias32 of C. Wellons'
hash-prospector, a bijection of 32 bits; a round takes its two multiplications.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from symdiff.tracing.statements import unroll

__all__ = ["MAX_SAMPLES", "ROUNDS", "permuted", "round_keys"]

ROUNDS = 16
"""Two neighbours stay together with probability 2**-16; a round costs 0.03 us for 128 positions."""
MAX_SAMPLES = 2**31 - 1
"""Twice a position has to fit 32 bits."""


def mix(x: Any) -> Any:
    """Hash 32 bits into 32 bits."""
    x = x ^ (x >> np.uint32(16))
    x = x * np.uint32(0x7FEB352D)
    x = x ^ (x >> np.uint32(15))
    x = x * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


def round_keys(seed: Any, epoch: Any, n: Any) -> tuple[Any, Any]:
    """Give the keys of all rounds: where a position may go, and what its hash is salted with.

    Parameters
    ----------
    seed : array of uint32, shape (2,)
    epoch, n : uint32
    """
    rounds = np.arange(2 * ROUNDS, dtype=np.uint32)
    words = mix(mix(mix(rounds ^ seed[0]) + seed[1]) + epoch)
    return words[:ROUNDS] % n, words[ROUNDS:]


def permuted(position: Any, n: Any, keys: Any, salts: Any) -> Any:
    """Give the samples that stand at some positions.

    Parameters
    ----------
    position : array of uint32
        Each less than `n`.
    n : uint32
    keys, salts : array of uint32
        Of `round_keys`.
    """
    x = position
    for r in unroll(range(ROUNDS)):
        other = keys[r] + (n - x)
        other = np.minimum(other, other - n)  # which wraps round where it is less than n
        swaps = (np.maximum(x, other) ^ salts[r]) * np.uint32(0x7FEB352D)
        swaps = (swaps ^ (swaps >> np.uint32(15))) * np.uint32(0x846CA68B)
        x = np.where(swaps >= np.uint32(1 << 31), other, x)
    return x
