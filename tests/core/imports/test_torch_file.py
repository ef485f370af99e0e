"""Files of torch.save are read as tensors alone; whatever else they hold is refused or left."""

import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from core.errors import CheckpointError
from core.imports import description
from core.imports.torch_file import read_torch_file
from tests.fakes.foreign import save


class Calls:
    """A pickle of it calls a function."""

    def __init__(self, called, *arguments):
        self.called, self.arguments = called, arguments

    def __reduce__(self):
        return self.called, self.arguments


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net-40000.pt"


def tensors():
    draws = torch.Generator().manual_seed(0)
    return {
        "conv.weight": torch.randn(4, 3, 3, 3, generator=draws),
        "half": torch.randn(5, generator=draws).half(),
        "brain": torch.randn(5, generator=draws).bfloat16(),
        "count": torch.tensor(7),
        "turned": torch.randn(3, 4, generator=draws).t(),
        "part": torch.arange(20.0)[3:9:2],
        "none": torch.empty(0, 4),
        "flags": torch.tensor([True, False]),
        "parameter": nn.Parameter(torch.randn(2, generator=draws)),
    }


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("wrapped", [True, False])
def test_tensors_are_read_as_they_were_saved_and_in_their_order(path, protocol, wrapped):
    expected = tensors()
    content = {"model": expected, "epoch": 3} if wrapped else OrderedDict(expected)
    torch.save(content, path, pickle_protocol=protocol)
    read = read_torch_file(path).tensors
    assert list(read) == list(expected)
    for name, value in expected.items():
        assert read[name].dtype == value.dtype
        assert torch.equal(read[name], value), name


def test_a_state_dict_is_read_from_a_full_training_checkpoint(path):
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    save(path, module.state_dict(), rate=np.float64(0.1), best=np.array([1.0]).max(), step=3)
    read = read_torch_file(path)
    assert list(read.tensors) == list(module.state_dict())
    assert read.bytes == path.stat().st_size
    torch.save(module.state_dict(), path)  # with the versions of its modules
    assert list(read_torch_file(path).tensors) == list(module.state_dict())


@pytest.mark.parametrize(
    "hostile",
    [
        Calls(os.system, "touch hacked"),
        Calls(eval, "open('hacked', 'w')"),
        Calls(Path.touch, Path("hacked")),
        Calls(getattr, "text", "format"),
        nn.Linear(2, 2),
    ],
)
@pytest.mark.parametrize("inside", [True, False])
def test_a_hostile_file_is_refused_and_nothing_in_it_runs(path, hostile, inside, monkeypatch):
    monkeypatch.chdir(path.parent)
    content = {"model": tensors(), "other": hostile}
    if inside:
        content["model"]["x"] = hostile
    torch.save(content, path)
    with pytest.raises(CheckpointError, match="more than tensors and plain values"):
        read_torch_file(path)
    assert not Path("hacked").exists()


def test_a_key_that_is_slow_to_hash_is_rejected(path):
    nested: object = ()
    for _ in range(60):
        nested = (nested, nested)
    content = pickle.dumps({"model": {}}, 2)
    good = pickle.dumps(nested, 2)[2:-1]
    _rewrite(path, lambda _: content[:2] + b"}" + good + b"Ns.")
    with pytest.raises(CheckpointError, match="a key that is neither"):
        read_torch_file(path)


def _rewrite(path, change, **options):
    """The good file with another description, or other entries."""
    torch.save({"model": tensors()}, path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", options.get("packing", zipfile.ZIP_STORED)) as archive:
        for name, value in entries.items():
            if name.endswith("data.pkl"):
                value = change(value)
            if name.endswith(options.get("cut", "\0")):
                value = value[:-1]
            if not name.endswith(options.get("without", "\0")):
                archive.writestr(name, value)


def _reaches_beyond(content):
    # Fifteen numbers of the twelve that `turned` has.
    at = content.index(b"K\x04K\x03", content.index(b"turned"))
    return content[:at] + b"K\x05K\x03" + content[at + 4 :]


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        (lambda content: content[:-40], {}, "damaged"),
        (
            lambda content: content.replace(b"FloatStorage", b"EvenStorages"),
            {},
            "more than tensors",
        ),
        (lambda content: content.replace(b"FloatStorage", b"OtherStorage"), {}, "not known"),
        (_reaches_beyond, {}, "damaged"),
        (lambda content: pickle.dumps([1, 2], 2), {}, "neither `model` nor tensors"),
        (lambda content: pickle.dumps({"model": {"a": 1}}, 2), {}, "`a` is not a tensor"),
        (lambda content: pickle.dumps({"model": {}}, 2), {}, "neither `model` nor tensors"),
        (lambda content: content, {"packing": zipfile.ZIP_DEFLATED}, "compressed"),
        (lambda content: content, {"cut": "data/0"}, "another number of bytes"),
        (lambda content: content, {"without": "data/0"}, "missing"),
        (lambda content: content, {"without": "data.pkl"}, "not an archive of torch.save"),
    ],
)
def test_a_damaged_file_is_refused_in_words(path, change, options, words):
    _rewrite(path, change, **options)
    with pytest.raises(CheckpointError, match=words):
        read_torch_file(path)


def test_tensors_that_share_their_numbers_are_read_in_any_order(path):
    flat, one = torch.randn(20_000), torch.randn(100, 100)
    expected = {"first": flat[:9000], "tied": one, "last": flat[9000:], "tied again": one}
    torch.save({"model": expected}, path)
    read = read_torch_file(path).tensors
    assert list(read) == list(expected)
    for name, value in expected.items():
        assert torch.equal(read[name], value), name


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"state_dict": tensors(), "epoch": 3}, "`state_dict` is not a tensor"),
        ({"model": {"net": tensors()}}, "`net` is not a tensor"),
        ({"model": {"a": torch.zeros(2, dtype=torch.complex64)}}, "ComplexFloatStorage"),
        ([torch.zeros(2)], "neither `model` nor tensors"),
    ],
)
def test_a_valid_file_with_other_contents_is_not_reported_as_damaged(path, content, words):
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=words) as caught:
        read_torch_file(path)
    assert "damaged" not in caught.value.what
    assert "torch.save" in (caught.value.next_step or "")


def test_numpy_scalars_beside_the_model_are_skipped(path):
    torch.save({"model": {"a": torch.ones(2)}, "best": {0.1: 3, None: 1}}, path)
    assert list(read_torch_file(path).tensors) == ["a"]


def test_tensors_cannot_be_more_than_the_file_holds(path):
    one = torch.randn(1000)
    views = {str(number): one[number : number + 900] for number in range(9)}
    torch.save({"model": views}, path)
    with pytest.raises(CheckpointError, match="larger than the file"):
        read_torch_file(path)


def test_a_file_that_is_not_an_archive_raises_a_clear_error(path):
    torch.save(tensors(), path, _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match=r"before version 1\.6"):
        read_torch_file(path)
    path.write_bytes(b"<html>")
    with pytest.raises(CheckpointError, match=r"not written by torch\.save"):
        read_torch_file(path)
    with pytest.raises(CheckpointError, match="No such file"):
        read_torch_file(path.parent / "absent.pt")


@pytest.mark.parametrize(
    "value",
    [
        torch.tensor([1.0, torch.nan]),
        torch.tensor([1e300], dtype=torch.float64),
        torch.tensor([torch.inf], dtype=torch.float16),
    ],
)
def test_weights_that_are_not_finite_are_refused(path, value):
    torch.save({"model": {"a": value}}, path)
    with pytest.raises(CheckpointError, match="a has a value that is not finite"):
        read_torch_file(path)


def test_an_endless_description_is_refused(path, monkeypatch):
    torch.save(tensors(), path)
    read_torch_file(path)
    monkeypatch.setattr(description, "MAX_INSTRUCTIONS", 50)
    with pytest.raises(CheckpointError, match="too many instructions"):
        read_torch_file(path)
