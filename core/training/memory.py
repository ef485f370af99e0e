"""Release of unused memory that the C library keeps."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import cast


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    """Return glibc's malloc_trim; None with another C library."""
    try:
        return cast(Callable[[int], int], ctypes.CDLL(None).malloc_trim)
    except (OSError, TypeError, AttributeError):  # Windows has no CDLL(None)
        return None


def give_back_free_memory() -> bool:
    """Return free heap pages to the system.

    Tensors on a CPU are allocated on the C library's heap. A gap too small for the next tensor
    stays resident, so the memory of a long training would grow by a tensor's size now and then.

    Returns:
        Whether the C library supports this (glibc, on Linux).
    """
    trim = _malloc_trim()
    if trim is None:
        return False
    trim(0)
    return True
