"""Random streams by name: the same seed, name and block give the same numbers, in whatever order they are asked.

A counter-based generator (Philox) needs no common sequence, so a block of a simulated market can be made alone.
"""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, name: str, block: int) -> np.random.Generator:
    """Generator of one block of one named series.

    Parameters
    ----------
    seed : seed of the whole market.
    name : what the numbers are for; another name is an independent stream.
    block : number of the block, not negative.

    Raises
    ------
    ValueError
        If `block` is negative.
    """
    if block < 0:
        raise ValueError(f"block {block} lies before the beginning of the market")
    digest = hashlib.sha256(f"{seed}/{name}/{block}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
