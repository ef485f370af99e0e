"""Checkpoints: whole or not at all, strict, and telling of themselves."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from core.errors import CheckpointError, OutputError
from core.steps import OneCycle, TrainConfig
from core.training import checkpoint
from core.training.checkpoint import (
    CheckpointFolder,
    load_strictly,
    load_tensors,
    optimizer_tensors,
    restore_optimizer,
    save_tensors,
)
from core.training.optimizer import learning_rate, make_optimizer, set_rate
from tests.fakes.places import folder_called

TENSORS = {"a.weight": torch.arange(6.0).view(2, 3), "a.count": torch.tensor(3)}


def save(folder, step, value=1.0):
    weights = {"weight": torch.full((2,), value)}
    return folder.save(step, weights, {"step": step}, {"momentum": torch.zeros(2)}, {"step": step})


def test_a_file_of_weights_comes_back_with_its_header(tmp_path):
    header = {"dataset": "ccpg", "labels": ["001", "ü"], "config": {"seed": 0, "x": None}}
    view = {**TENSORS, "turned": torch.arange(6.0).view(2, 3).T}
    save_tensors(tmp_path / "m.safetensors", view, header)
    found = load_tensors(tmp_path / "m.safetensors")
    assert found.header == {"format": 1, **header}
    assert set(found.tensors) == set(view)
    for name, value in view.items():
        assert torch.equal(found.tensors[name], value)
        assert found.tensors[name].dtype == value.dtype


@pytest.mark.parametrize("content", [b"", b"\x80\x04N.", b"\xff" * 64, "cut", "half"])
def test_damaged_files_raise_clear_errors(tmp_path, content):
    path = tmp_path / "m.safetensors"
    save_tensors(path, TENSORS, {})
    if isinstance(content, str):
        whole = path.read_bytes()
        content = whole[: -1 if content == "cut" else len(whole) // 2]
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged") as caught:
        load_tensors(path)
    assert caught.value.where == str(path)


def test_missing_foreign_and_newer_files_raise_clear_errors(tmp_path):
    path = tmp_path / "m.safetensors"
    with pytest.raises(CheckpointError, match="No such file"):
        load_tensors(path)
    for metadata in (None, {"other": "x"}, {"lmgait": "[1]"}):
        save_file(TENSORS, path, metadata=metadata)
        with pytest.raises(CheckpointError, match="not written by lmgait"):
            load_tensors(path)
    save_file(TENSORS, path, metadata={"lmgait": json.dumps({"format": 99})})
    with pytest.raises(CheckpointError, match="has format 99, this lmgait reads 1"):
        load_tensors(path)
    save_file(TENSORS, path, metadata={"lmgait": "{"})
    with pytest.raises(CheckpointError):
        load_tensors(path)
    with pytest.raises(CheckpointError):
        load_tensors(tmp_path)


def test_strict_loading_lists_keys_in_words(tmp_path):
    module = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    state = module.state_dict()
    changed = {
        "0.weight": torch.zeros(3, 2),
        "0.bias": torch.zeros(4),
        "1.weight": state["1.weight"],
        "2.weight": torch.zeros(1),
        "extra": torch.zeros(1),
    }
    with pytest.raises(CheckpointError) as caught:
        load_strictly(module, changed, optional=(), where=tmp_path)
    told = caught.value.what
    assert "1 tensors are missing: 1.bias" in told
    assert "2 tensors have no place: 2.weight, extra" in told
    assert "0.bias is (4,), not (3,)" in told
    # nothing is loaded where anything is wrong
    assert torch.equal(module.state_dict()["0.weight"], state["0.weight"])


def test_optional_prefixes_may_be_absent_on_either_side(tmp_path):
    kept = nn.Linear(2, 1)
    module = nn.ModuleDict({"kept": kept, "frozen": nn.Linear(2, 1)})
    ones = {"kept.weight": torch.ones(1, 2), "kept.bias": torch.ones(1), "neck.x": torch.ones(9)}
    load_strictly(module, ones, optional=("frozen.", "neck."), where=tmp_path)
    assert torch.equal(kept.weight, torch.ones(1, 2))
    with pytest.raises(CheckpointError, match=r"frozen\.weight"):
        load_strictly(module, ones, optional=("neck.",), where=tmp_path)
    wrong = {**ones, "frozen.weight": torch.ones(5)}
    with pytest.raises(CheckpointError, match=r"frozen\.weight is \(5,\)"):
        load_strictly(module, wrong, optional=("frozen.", "neck."), where=tmp_path)


def test_only_the_newest_checkpoints_remain(tmp_path):
    folder = CheckpointFolder(tmp_path / "checkpoints", keep=2)
    assert folder.newest() is None
    for step in (5, 10, 15, 1_000_000):
        assert save(folder, step) == folder.newest()
    assert folder.steps() == [15, 1_000_000]
    newest = folder.newest()
    assert newest is not None
    assert newest.name == "step-1000000"
    (tmp_path / "checkpoints" / "step-notes").mkdir()
    (tmp_path / "checkpoints" / ".step-2000000.partial").mkdir()
    assert folder.steps() == [15, 1_000_000]


def test_checkpoints_of_stops_leave_the_regular_ones_in_place(tmp_path):
    folder = CheckpointFolder(tmp_path / "checkpoints", keep=2, every=3)
    kept = {}
    for step in (1, 2, 3, 6, 7, 8, 9, 10, 11):
        save(folder, step)
        kept[step] = folder.steps()
    assert kept[2] == [1, 2]  # as many as are to be kept, whatever they are
    assert kept[3] == [2, 3]
    assert kept[6] == [3, 6]
    assert kept[7] == [6, 7]
    assert kept[8] == [6, 8]
    assert kept[9] == [6, 9]
    assert kept[11] == [9, 11]


@pytest.mark.parametrize("stage", ["model", "training", "rename"])
def test_checkpoints_are_written_atomically(tmp_path, monkeypatch, stage):
    folder = CheckpointFolder(tmp_path / "checkpoints", keep=1)
    save(folder, 5)
    real = checkpoint.save_tensors

    def failing(path, tensors, header):
        if path.name.startswith(stage):
            raise OSError(28, "No space left on device")
        real(path, tensors, header)

    monkeypatch.setattr(checkpoint, "save_tensors", failing)
    if stage == "rename":

        def refuse(*_):
            raise OSError(13, "Permission denied")

        monkeypatch.setattr("pathlib.Path.rename", refuse)
    with pytest.raises(OutputError, match=r"No space|permission"):
        save(folder, 10)
    monkeypatch.undo()
    assert folder.steps() == [5]
    assert [entry.name for entry in folder.folder.iterdir()] == ["step-000005"]
    newest = folder.newest()
    assert newest is not None
    assert load_tensors(newest / "model.safetensors").header["step"] == 5


def test_leftovers_of_a_killed_save_are_ignored(tmp_path):
    folder = CheckpointFolder(tmp_path / "checkpoints", keep=2)
    rest = folder.folder / ".step-000005.partial"
    rest.mkdir(parents=True)
    (rest / "model.safetensors").write_bytes(b"half")
    assert folder.newest() is None
    save(folder, 5)
    assert [entry.name for entry in folder.folder.iterdir()] == ["step-000005"]


def test_saving_a_step_again_replaces_it(tmp_path):
    folder = CheckpointFolder(tmp_path / "checkpoints", keep=2)
    save(folder, 5, value=1.0)
    save(folder, 5, value=2.0)
    newest = folder.newest()
    assert newest is not None
    found = load_tensors(newest / "model.safetensors").tensors["weight"]
    assert found.tolist() == [2.0, 2.0]


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_an_optimisers_state_comes_back(name):
    config = TrainConfig(optimizer=name, lr=0.1)
    torch.manual_seed(0)
    one, other = nn.Linear(3, 2), nn.Linear(3, 2)
    data = torch.randn(5, 3)

    def train(module, optimizer):
        module(data).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    first = make_optimizer(one, config)
    for _ in range(3):
        train(one, first)
    tensors = optimizer_tensors(one, first)
    assert len(tensors) == {"sgd": 2, "adamw": 6}[name]
    other.load_state_dict(one.state_dict())
    second = make_optimizer(other, config)
    state = {**tensors, "random.torch": torch.zeros(1)}
    restore_optimizer(other, second, state, Path("x"))
    for _ in range(3):
        train(one, first)
        train(other, second)
    for key, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[key])


def test_frozen_parameters_reach_no_optimiser():
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    module[0].requires_grad_(False)
    optimizer = make_optimizer(module, TrainConfig())
    assert [p.shape for g in optimizer.param_groups for p in g["params"]] == [(2, 2), (2,)]
    group = optimizer.param_groups[0]
    assert (group["momentum"], group["weight_decay"]) == (0.9, 5e-4)


def test_the_papers_rate_at_each_milestone():
    config = TrainConfig()
    for step, rate in (
        (0, 0.1),
        (14_999, 0.1),
        (15_000, 0.01),
        (24_999, 0.01),
        (25_000, 1e-3),
        (30_000, 1e-4),
        (35_000, 1e-5),
        (39_999, 1e-5),
    ):
        assert learning_rate(config, step) == pytest.approx(rate)


def test_a_ramp_rises_linearly_from_a_tenth():
    config = TrainConfig(lr=1.0, ramp=9, milestones=())
    assert [learning_rate(config, step) for step in (0, 3, 9)] == pytest.approx([0.1, 0.4, 1.0])
    module = nn.Linear(1, 1)
    optimizer = make_optimizer(module, config)
    set_rate(optimizer, 0.25)
    assert optimizer.param_groups[0]["lr"] == 0.25


@pytest.mark.parametrize(
    "cycle",
    [
        OneCycle(),
        OneCycle(rise=0.475, start=100, end=1000, three_phases=True),
        OneCycle(rise=0.5, start=100, three_phases=True),
    ],
)
def test_one_cycle_is_that_of_torch(cycle):
    config = TrainConfig(lr=0.4, iterations=41, milestones=(), cycle=cycle)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        0.4,
        total_steps=41,
        pct_start=cycle.rise,
        div_factor=cycle.start,
        final_div_factor=cycle.end,
        three_phase=cycle.three_phases,
        cycle_momentum=False,
    )
    for step in range(41):
        assert learning_rate(config, step) == pytest.approx(theirs.get_last_lr()[0], rel=1e-6)
        optimizer.step()
        if step < 40:
            theirs.step()


def test_a_cycle_has_no_milestones_and_valid_phases():
    for settings in ({"milestones": (3,)}, {"milestones": (), "ramp": 2}):
        with pytest.raises(ValueError, match=r"cycle needs milestones \[\] and ramp 0"):
            TrainConfig(cycle=OneCycle(), **settings)
    with pytest.raises(ValueError, match=r"rise must be 0\.5 or less"):
        OneCycle(rise=0.6, three_phases=True)


def test_adam_counts_weight_decay_into_the_gradient_and_adamw_into_the_step():
    for name, kind in (("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)):
        optimizer = make_optimizer(nn.Linear(2, 2), TrainConfig(optimizer=name, weight_decay=0.3))
        assert type(optimizer) is kind
        assert optimizer.param_groups[0]["weight_decay"] == 0.3


def test_a_folder_whose_name_is_not_utf_8(tmp_path):
    place = folder_called(b"caf\xe9", tmp_path)
    folder = CheckpointFolder(place / "checkpoints", keep=1)
    save(folder, 5, value=2.0)
    found = load_tensors(folder.path(5) / "model.safetensors")
    assert found.tensors["weight"].tolist() == [2.0, 2.0]
    assert folder.newest_whole() == folder.newest()
