"""Translate failures of the system, a GPU or another process into clear errors."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import (
    DataError,
    Interrupted,
    LmgaitError,
    OutputError,
    PeerError,
    ResourceError,
)

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_SCARCE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN)
_FORBIDDEN = (errno.EACCES, errno.EPERM)
_NO_MEMORY = ("DefaultCPUAllocator", "Insufficient memory", "bad_alloc")

# Messages and error names of torch about a GPU and other processes.
_GPU_MEMORY = (
    "CUDA out of memory",
    "HIP out of memory",
    "MPS backend out of memory",
    "XPU out of memory",
    "CUDA error: out of memory",
    "CUDA driver error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED",
    "CUDNN_STATUS_NOT_INITIALIZED",
    "Unable to find a valid cuDNN algorithm",
    "unable to find an engine to execute",
    "Failed to CUDA calloc",
    "Cuda failure 2 ",
    "Cuda failure 'out of memory'",
)
# Torch's wording of the sizes; the same words in all its versions that lmgait runs with.
_SIZES = (
    r"[Tt]ried to allocate [\d.]+ \w+",
    r"GPU \d+ has a total capacity of [\d.]+ \w+",
    r"of which [\d.]+ \w+ is free",
)
_GPU = (
    "CUDA error",
    "CUBLAS_STATUS_",
    "CUDNN_STATUS_",
    "cuDNN error",
    "CUFFT_",
    "CUDA driver",
    "Found no NVIDIA driver",
    "HIP error",
)
_PROCESSES = (
    "NCCL",
    "gloo",
    "Gloo",
    "Connection closed by peer",
    "Connection reset by peer",
    "Broken pipe",
    "ProcessGroup",
    "TCPStore",
    "EADDRINUSE",
)
_PROCESS_ERRORS = ("DistBackendError", "DistNetworkError", "DistStoreError", "DistError")


def explain_failure(error: BaseException) -> LmgaitError | None:
    """Error with a clear message for ``error``; None for a defect of lmgait.

    Most packages raise their own errors with more detail; this is for what passes all of them.
    """
    if isinstance(error, LmgaitError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Interrupted("Interrupted", next_step="Run the same command again: it goes on.")
    if isinstance(error, OSError):
        return system_error(error)
    if isinstance(error, Exception) and (failed := _device_error(error)) is not None:
        return failed
    if isinstance(error, MemoryError) or _tells_of_memory(error):
        return ResourceError(
            "The memory is not enough",
            next_step="Close other programs, or ask for less: smaller batches, "
            "--set data.workers=0 (or --workers, where a verb has it).",
        )
    if isinstance(error, UnicodeDecodeError):
        return DataError(f"A text is not UTF-8: {error}", next_step="Save it as UTF-8.")
    return None


@contextmanager
def explain_gpu_memory(next_step: str) -> Iterator[None]:
    """Explain a GPU's lack of memory in the block, with settings that need less.

    Raises:
        ResourceError: the GPU's memory was not enough.
    """
    try:
        yield
    except RuntimeError as error:
        if not _wants_gpu_memory(error):
            raise
        raise _gpu_memory_error(error, next_step) from error


def _wants_gpu_memory(error: RuntimeError) -> bool:
    named = type(error).__name__ == "OutOfMemoryError"
    return named or any(word in _words(error) for word in _GPU_MEMORY)


def _gpu_memory_error(error: RuntimeError, next_step: str) -> ResourceError:
    matches = [match[0] for size in _SIZES if (match := re.search(size, _words(error)))]
    sizes = ", ".join(matches).replace("Tried", "tried")
    return ResourceError(
        f"The GPU's memory is not enough{f': {sizes}' if sizes else ''}", next_step=next_step
    )


def _words(error: Exception) -> str:
    return str(error)[:2000]


def system_error(error: OSError, path: str | Path | None = None) -> LmgaitError:
    """Error for a refusal of the system: no space, no permission, no file.

    Args:
        error: As the system raised it.
        path: What was read or written; without it the error's own file.
    """
    where = path if path is not None else error.filename
    reason = error.strerror or str(error) or type(error).__name__
    if error.errno in _FULL:
        return OutputError(
            "No space left on the disk",
            where=where,
            next_step="Free some space and run the same command again: it goes on from here.",
        )
    if error.errno in _SCARCE:
        return ResourceError(
            f"The machine has too little: {reason}",
            where=where,
            next_step="Use fewer --workers, or raise the limits of this shell (ulimit).",
        )
    if error.errno == errno.EROFS or (error.errno in _FORBIDDEN and not _is_unreadable(where)):
        return OutputError(
            "No permission to write",
            where=where,
            next_step="Choose another place, for example with --workspace.",
        )
    return DataError(
        f"Cannot read: {reason}",
        where=where,
        next_step="Check that the file is there, is whole, and may be read.",
    )


def _is_unreadable(where: object) -> bool:
    if not isinstance(where, str | bytes | os.PathLike):
        return False
    return os.path.exists(where) and not os.access(where, os.R_OK)  # noqa: PTH110 - may be bytes


def _device_error(error: Exception) -> ResourceError | None:
    """Error for a failure of a GPU or another process; None for anything else."""
    kind, text = type(error).__name__, _words(error)
    if not isinstance(error, RuntimeError) or "device-side assert" in text:
        return None  # a kernel with invalid arguments: a defect
    line = text.strip().splitlines()[0][:300] if text.strip() else kind
    if _wants_gpu_memory(error):
        return _gpu_memory_error(
            error,
            "End what else computes on it (nvidia-smi), use another GPU (CUDA_VISIBLE_DEVICES), or "
            "compute on the CPU (ACCELERATE_USE_CPU=1).",
        )
    if kind in _PROCESS_ERRORS or any(word in text for word in _PROCESSES):
        return PeerError(
            f"The processes lost each other: {line}",
            next_step="Another process's message above says why it ended. Run the same command "
            "again: training goes on from its last checkpoint. If none ended, check the network "
            "between the machines (NCCL_DEBUG=INFO tells more).",
        )
    if kind == "AcceleratorError" or any(word in text for word in _GPU):
        return ResourceError(
            f"The GPU failed: {line}",
            next_step="Run the same command again: training goes on from its last checkpoint. If "
            "it fails again, look at nvidia-smi and the driver's version, or use another GPU.",
        )
    return None


def _tells_of_memory(error: BaseException) -> bool:
    # Recognised by messages: their libraries (torch, OpenCV) are heavy and may not be loaded.
    return isinstance(error, Exception) and any(word in str(error)[:500] for word in _NO_MEMORY)
