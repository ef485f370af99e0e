"""What a process computes in, and with whom."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.distributed as dist

from core.errors import ConfigError, UsageError
from core.steps import TrainConfig, WarmupConfig
from core.training.engine import (
    _part,
    choose_precision,
    engine_for,
    make_engine,
    process_state,
    reading_workers,
    subnormals_as_zero,
)

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch):
    for name in ("ACCELERATE_MIXED_PRECISION", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "1")


@pytest.fixture
def a_gpu_that_has_bf16(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)


def test_told_to_use_the_cpu_a_machine_with_a_gpu_computes_in_fp32(a_gpu_that_has_bf16):
    for config in (None, TrainConfig(), WarmupConfig()):
        engine = make_engine(config)
        assert (engine.device.type, engine.mixed_precision) == ("cpu", "no")


@pytest.mark.parametrize(
    ("device", "wanted", "launched", "precision"),
    [
        (CPU, "auto", None, "fp32"),
        (CPU, "auto", "no", "fp32"),
        (CPU, "bf16", None, "bf16"),
        (CPU, "auto", "bf16", "bf16"),
        (GPU, "auto", None, "fp16"),
        (GPU, "auto", "no", "fp16"),
        (GPU, "auto", "bf16", "bf16"),
        (GPU, "fp32", "no", "fp32"),
        (GPU, "fp16", "fp16", "fp16"),
        (torch.device("mps"), "auto", None, "fp32"),
    ],
)
def test_auto_precision_depends_on_device_and_launcher(
    a_gpu_that_has_bf16, monkeypatch, device, wanted, launched, precision
):
    if launched is not None:
        monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", launched)
    assert choose_precision(wanted, device, "train.precision") == precision


@pytest.mark.parametrize(
    ("device", "wanted", "launched", "told"),
    [
        (GPU, "fp32", "fp16", "The launcher sets fp16, but the settings fp32"),
        (GPU, "fp16", "bf16", "The launcher sets bf16, but the settings fp16"),
        (GPU, "auto", "fp8", "The launcher sets fp8"),
        (CPU, "fp16", None, "fp16 is not supported on this CPU"),
        (CPU, "auto", "fp16", "fp16 is not supported on this CPU"),
    ],
)
def test_a_precision_that_cannot_be_had_is_refused(
    a_gpu_that_has_bf16, monkeypatch, device, wanted, launched, told
):
    if launched is not None:
        monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", launched)
    with pytest.raises(ConfigError, match=told):
        choose_precision(wanted, device, "train.precision")


def test_bf16_on_a_gpu_without_it_raises_a_config_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: False)
    with pytest.raises(ConfigError, match="bf16 is not supported on this GPU"):
        choose_precision("bf16", GPU, "train.precision")


def test_the_error_names_the_setting():
    with pytest.raises(ConfigError) as caught:
        make_engine(WarmupConfig(precision="fp16"))
    assert caught.value.where == "warmup.precision"
    assert caught.value.exit_code == 2


def test_one_of_several_processes_cannot_work_alone(monkeypatch):
    assert process_state().num_processes == 1
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="one of 2 processes") as caught:
        make_engine()
    assert "torchrun" in str(caught.value.next_step)


@pytest.mark.parametrize("well", [True, False])
def test_the_group_is_left_at_the_end_of_python_unless_an_error_ends_it(
    monkeypatch, tmp_path, well
):
    """After an error the others are gone, and leaving would wait for them."""
    monkeypatch.setattr("core.training.engine.part", lambda: well)
    dist.init_process_group("gloo", init_method=(tmp_path / "store").as_uri(), rank=0, world_size=1)
    try:
        _part()
        assert dist.is_initialized() is not well
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
    _part()  # where nothing was joined there is nothing to leave


@pytest.mark.parametrize(
    ("device", "processes", "here", "workers"),
    [
        (GPU, 1, None, 8),
        (GPU, 16, None, 3),
        (GPU, 16, 8, 7),
        (GPU, 1, 8, 8),  # left over from a launcher; this process is alone
        (CPU, 16, 8, 2),
    ],
)
def test_processes_of_one_machine_share_its_cores_for_reading(
    monkeypatch, device, processes, here, workers
):
    monkeypatch.setattr("core.data.loading.usable_cores", lambda: 64)
    if here is not None:
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(here))
    engine: Any = SimpleNamespace(device=device, num_processes=processes)
    assert reading_workers(engine, "auto", 1000) == workers
    assert reading_workers(engine, 5, 1000) == 5


def test_an_engine_serves_the_next_job_of_the_same_precision():
    first = make_engine(WarmupConfig())
    first.prepare(torch.nn.Linear(1, 1))
    assert engine_for(TrainConfig(), first) is first
    assert first._models == []
    assert engine_for(TrainConfig(), None) is not first
    other = engine_for(TrainConfig(precision="bf16"), first)
    assert other is not first
    assert other.mixed_precision == "bf16"
    assert engine_for(TrainConfig(), other).mixed_precision == "no"


def test_a_loss_scale_is_not_handed_on():
    first = make_engine(WarmupConfig())
    first.scaler = torch.amp.GradScaler("cpu")
    assert engine_for(TrainConfig(), first) is not first


def test_gradients_too_small_for_normal_numbers_count_as_zero():
    with subnormals_as_zero():
        assert torch.tensor([1e-30]).mul(1e-10).item() == 0
    assert torch.tensor([1e-30]).mul(1e-10).item() > 0
