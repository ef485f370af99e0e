import ast
import errno
from pathlib import Path

import pytest
import torch

from core import errors
from core.errors import DataError, LmgaitError, OutputError, ResourceError
from core.system.failures import explain_failure, explain_gpu_memory, system_error
from core.system.suggestions import did_you_mean, few_lines, known_names, nearest

ROOT = Path(__file__).parents[2]
KINDS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, LmgaitError)
}


def raised():
    """All places that make an error: where, and the call."""
    for path in sorted([*(ROOT / "core").rglob("*.py"), *(ROOT / "lmgait_cli").rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in KINDS:
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def test_every_error_says_what_to_do_next():
    calls = list(raised())
    assert len(calls) > 100
    without = [where for where, call in calls if "next_step" not in {k.arg for k in call.keywords}]
    assert not without


def test_the_documented_tree_is_the_real_one():
    page = (ROOT / "docs" / "errors.md").read_text("utf-8")
    readme = (ROOT / "README.md").read_text("utf-8")
    for name, kind in KINDS.items():
        assert f"| `{name}` |" in page, name
        assert f"| {kind.exit_code} | `{name}` |" in page, name
        assert f"| {kind.exit_code} |" in readme


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, OutputError),
        (errno.EROFS, OutputError),
        (errno.EACCES, OutputError),
        (errno.EMFILE, ResourceError),
        (errno.ENOMEM, ResourceError),
        (errno.ENOENT, DataError),
        (errno.EISDIR, DataError),
        (errno.EIO, DataError),
    ],
)
def test_what_the_system_refuses_is_told_by_its_kind(number, kind):
    found = system_error(OSError(number, "words", "/some/file"))
    assert type(found) is kind
    assert found.where == "/some/file"
    assert found.next_step


def test_the_nearest_word_is_offered_in_the_same_words_everywhere():
    assert nearest("CCPGG", ["ccpg", "casiab"]) == "ccpg"
    assert nearest("xyz", ["ccpg", "casiab"]) is None
    assert nearest("x" * 100_000, ["x" * 90]) == "x" * 90
    assert did_you_mean("fsat", ["fast", "slow"]) == "; did you mean `fast`?"
    assert did_you_mean("xyz", ["fast"]) == ""
    assert known_names("fsat", ["fast", "slow"]) == "Did you mean `fast`? Known: fast, slow."
    assert known_names("fast", []) == "Known: none yet."


def test_many_lines_become_few():
    assert few_lines(["a"] * 20) == ["a"] * 20
    assert few_lines([str(n) for n in range(100)])[-2:] == ["18", "... and 81 more"]


OUT_OF_MEMORY = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.64 GiB of "
    "which 1.12 GiB is free. Process 4242 has 22.50 GiB memory in use. Of the allocated memory"
)


@pytest.mark.parametrize(
    ("error", "what", "advice"),
    [
        (
            torch.cuda.OutOfMemoryError(OUT_OF_MEMORY),
            "tried to allocate 2.00 GiB, GPU 0 has a total capacity of 23.64 GiB, "
            "of which 1.12 GiB",
            "nvidia-smi",
        ),
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has"),
            "GPU's memory is not enough: tried to allocate 2.00 GiB",
            "ACCELERATE_USE_CPU",
        ),
        (
            torch.AcceleratorError("CUDA error: out of memory\nCUDA kernel errors might be"),
            "GPU's memory",
            "nvidia-smi",
        ),
        (
            RuntimeError(
                "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"
            ),
            "GPU's memory",
            "CUDA_VISIBLE_DEVICES",
        ),
        (RuntimeError("CUDA driver error: out of memory"), "GPU's memory", "nvidia-smi"),
        (
            RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
            "GPU's memory",
            "nvidia-smi",
        ),
        (
            RuntimeError("Unable to find a valid cuDNN algorithm to run convolution"),
            "GPU's memory",
            "nvidia-smi",
        ),
        (
            RuntimeError(
                "MPS backend out of memory (MPS allocated: 8.00 GB, max allowed: 9.07 GB)"
            ),
            "GPU's memory",
            "ACCELERATE_USE_CPU",
        ),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), "GPU failed", "nvidia-smi"),
        (
            torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
            "GPU failed",
            "checkpoint",
        ),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling cublasGemmEx"),
            "GPU failed",
            "checkpoint",
        ),
        (
            torch.distributed.DistBackendError("NCCL error in: /pytorch/torch/csrc/ProcessGroup"),
            "processes lost each other: NCCL error",
            "NCCL_DEBUG",
        ),
        (
            torch.distributed.DistBackendError("ncclUnhandledCudaError: Cuda failure 2 'out'"),
            "GPU's memory",
            "nvidia-smi",
        ),
        (
            torch.distributed.DistBackendError(
                "NCCL error in: /pytorch/torch/csrc/NCCLUtils.cpp:94, "
                "unhandled cuda error, NCCL version 2.27.5\nncclUnhandledCudaError: Call to CUDA "
                "function failed.\nLast error:\nFailed to CUDA calloc async 608 bytes"
            ),
            "GPU's memory",
            "nvidia-smi",
        ),
        (
            RuntimeError(
                "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:553] Connection "
                "closed by peer [127.0.0.1]:4242"
            ),
            "lost each other",
            "last checkpoint",
        ),
        (
            torch.distributed.DistNetworkError(
                "The server socket has failed to listen: EADDRINUSE"
            ),
            "lost each other",
            "network",
        ),
        (MemoryError(), "memory is not enough", "data.workers=0"),
        (RuntimeError("DefaultCPUAllocator: not enough memory"), "memory is not enough", "--set"),
    ],
)
def test_what_a_device_or_another_process_refuses_is_no_defect(error, what, advice):
    found = explain_failure(error)
    assert isinstance(found, ResourceError)
    assert what in found.what
    assert "\n" not in found.what
    assert advice in str(found.next_step)


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError(OUT_OF_MEMORY),
        torch.AcceleratorError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        torch.distributed.DistBackendError("ncclUnhandledCudaError: Cuda failure 'out of memory'"),
    ],
)
def test_want_of_a_gpus_memory_is_told_with_what_asks_for_less_there(error):
    with (
        pytest.raises(ResourceError, match="GPU's memory") as caught,
        explain_gpu_memory("Less."),
    ):
        raise error
    assert caught.value.next_step == "Less."
    assert caught.value.exit_code == 7
    assert explain_failure(caught.value) is caught.value


@pytest.mark.parametrize(
    "error",
    [RuntimeError("CUDA error: an illegal memory access"), ResourceError("x", next_step="First.")],
)
def test_other_errors_pass_as_they_are(error):
    with pytest.raises(type(error)) as caught, explain_gpu_memory("Less."):
        raise error
    assert caught.value is error


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: device-side assert triggered"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        ValueError("NCCL"),
    ],
)
def test_a_defect_stays_one(error):
    assert explain_failure(error) is None
