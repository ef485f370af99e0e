"""Random streams by name, so that a draw never depends on other draws."""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, *names: str) -> np.random.Generator:
    """Return the generator of ``names`` under ``seed``: equal names, equal draws, anywhere."""
    text = "/".join((str(seed), *names)).encode()
    digest = hashlib.blake2b(text, digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))
