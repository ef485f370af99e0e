"""Memory of the training process that the C library holds but nothing uses."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import cast


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    """malloc_trim of glibc; None with another C library."""
    try:
        return cast(Callable[[int], int], ctypes.CDLL(None).malloc_trim)
    except (OSError, TypeError, AttributeError):  # Windows has no CDLL(None)
        return None


def give_back_free_memory() -> bool:
    """Return free pages between living allocations to the system; no value changes.

    Tensors on a CPU come from the heap of the C library. A gap too small for the next tensor stays
    resident, so a long training would grow by a tensor's size now and then.

    Returns:
        Whether there was something that could be asked (glibc, on Linux).
    """
    trim = _malloc_trim()
    if trim is None:
        return False
    trim(0)
    return True
