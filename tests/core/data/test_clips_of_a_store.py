from dataclasses import fields
from functools import partial
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import Dataset
from torch.utils.data._utils.pin_memory import pin_memory

from core.data.clips import FrameChoice, consecutive_frames, random_frames, spread_frames
from core.data.dataset import (
    ClipBatch,
    TrainingSequences,
    load_batches,
    read_frames,
    reduced_size,
    shrink,
    to_tensor,
)
from core.data.loading import read_ahead
from core.data.sampler import ClipRequest, IdentityBatches, share_of
from core.errors import DataError
from core.storage.store import Store
from tests.fakes.stores import write_store
from tests.fakes.training import TRAIN, write_training_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store.open(write_training_store(tmp_path_factory.mktemp("data") / "casiab"))


def sequences(store, **changes):
    make = partial(
        TrainingSequences, frames=4, frame_size=(64, 32), silhouette_size=(16, 8), flip=0.5
    )
    return make(store, TRAIN, **changes)


def test_only_training_subjects_with_classes_in_order(store):
    data = sequences(store)
    assert len(data) == 12
    assert data.subjects == TRAIN
    for index, label in zip(data.indices, data.labels, strict=True):
        assert store.sequences[index].key.subject == TRAIN[label]


def test_absent_subjects_have_no_class(store):
    data = TrainingSequences(
        store, ("000", "003", "001"), frames=2, frame_size=(64, 32), silhouette_size=(16, 8), flip=0
    )
    assert data.subjects == ("003", "001")
    assert set(data.labels) == {0, 1}
    with pytest.raises(DataError, match=r"training subject: its subjects are .* subjects 099"):
        TrainingSequences(
            store, ("099",), frames=2, frame_size=(64, 32), silhouette_size=(16, 8), flip=0
        )


def test_a_clip_holds_the_stores_frames_in_time_order(store):
    data = sequences(store, frame_size=(256, 128), silhouette_size=(256, 128))
    for number, index in enumerate(data.indices):
        total = store.sequences[index].frames
        clip = data[[ClipRequest(number, 0.99, 0.9)]]
        first = max(total - 4, 0)
        numbers = [(first + i) % total for i in range(4)]
        whole = store.read(index, numbers)
        assert torch.equal(clip.frames.permute(0, 2, 3, 1), torch.from_numpy(whole.rgb))
        assert torch.equal(clip.silhouettes > 127, torch.from_numpy(whole.silhouettes))
        assert clip.valid.tolist() == whole.valid.tolist()
        assert clip.valid.tolist() == [frame != total - 1 for frame in numbers]
        assert clip.flips.tolist() == [False]
        assert clip.sequences.tolist() == [index]


def test_sizes_types_and_the_silhouettes_share(store):
    batch = sequences(store)[[ClipRequest(i, 0.0, 0.1) for i in range(3)]]
    assert batch.frames is not None
    assert batch.frames.shape == (12, 3, 64, 32)
    assert batch.silhouettes.shape == (12, 16, 8)
    assert batch.frames.dtype == batch.silhouettes.dtype == torch.uint8
    assert batch.labels.tolist() == [0, 0, 0]
    full = sequences(store, silhouette_size=(256, 128))[[ClipRequest(0, 0.0, 0.1)]].silhouettes
    share = full.float().view(4, 16, 16, 8, 16).mean(dim=(2, 4))
    assert (batch.silhouettes[:4].float() - share).abs().max() <= 1


def test_flips_mirror_frames_and_silhouettes_of_chosen_clips_alone(store):
    data = sequences(store)
    batch = data[[ClipRequest(0, 0.0, 0.4), ClipRequest(2, 0.0, 0.6)]]
    assert batch.flips.tolist() == [True, False]
    assert batch.frames is not None
    batch.frames[:4, :, :, 0] = 7  # mark the left edge
    flipped = batch.mirrored()
    assert flipped.frames is not None
    assert torch.equal(flipped.frames[:4], batch.frames[:4].flip(-1))
    assert (flipped.frames[:4, :, :, -1] == 7).all()
    assert torch.equal(flipped.silhouettes[:4], batch.silhouettes[:4].flip(-1))
    assert torch.equal(flipped.frames[4:], batch.frames[4:])
    assert torch.equal(flipped.silhouettes[4:], batch.silhouettes[4:])
    assert torch.equal(batch.to(torch.device("cpu")).labels, batch.labels)


def test_reading_ahead_by_a_worker_gives_equal_batches(store):
    data = sequences(store)
    batches = [[ClipRequest(i, 0.5, 0.2), ClipRequest(11 - i, 0.1, 0.7)] for i in range(3)]
    local = list(load_batches(data, batches, workers=0, pin=False))
    from_worker = list(load_batches(data, batches, workers=1, pin=False))
    assert len(local) == len(from_worker) == 3
    for one, other in zip(local, from_worker, strict=True):
        assert one.patches is other.patches is None
        absent = {"patches", "poses", "maps", "parsing", "flow"}
        assert {name for name in one.__slots__ if getattr(other, name) is None} == absent
        for name in set(one.__slots__) - absent:
            assert torch.equal(getattr(one, name), getattr(other, name))


def plainly(store, data, requests, size, masks_size, ordered, flip=0.5):
    """The same batch, sequence by sequence and frame by frame, and joined at the end."""
    frames, silhouettes, valid = [], [], []
    for request in requests:
        index = data.indices[request.sequence]
        whole = store.read(index)
        choose = consecutive_frames if ordered else spread_frames
        for number in choose(len(whole.valid), 4, request.start):
            frames.append(reduced(whole.rgb[number], size).transpose(2, 0, 1))
            mask = np.where(whole.silhouettes[number], 255, 0).astype(np.uint8)
            silhouettes.append(reduced(mask, masks_size))
            valid.append(whole.valid[number])
    return ClipBatch(
        torch.from_numpy(np.stack(frames)),
        None,
        torch.from_numpy(np.stack(silhouettes)),
        torch.tensor(valid),
        torch.tensor([data.labels[r.sequence] for r in requests]),
        torch.tensor([r.flip < flip for r in requests]),
        torch.tensor([data.indices[r.sequence] for r in requests]),
        torch.tensor([r.random().random() for r in requests], dtype=torch.float64),
    )


def reduced(image, size):
    if image.shape[:2] == size:
        return image
    return cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA)


def assert_same(one, other):
    for field in fields(ClipBatch):
        first, second = (getattr(batch, field.name) for batch in (one, other))
        if second is None:
            assert first is None
        else:
            assert first.dtype == second.dtype
            assert torch.equal(first, second), field.name


@pytest.mark.parametrize("codec", ["lossless", "compact", "jpeg"])
@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("size", [(256, 128), (64, 32)])
@pytest.mark.parametrize("masks_size", [(32, 16), (256, 128)])
def test_a_batch_holds_what_its_clips_hold_one_by_one(
    tmp_path_factory, codec, ordered, size, masks_size
):
    folder = tmp_path_factory.getbasetemp() / f"clips-{codec}"
    if not folder.exists():
        write_store(folder, codec)
    store = Store.open(folder)  # sequences of 2 to 40 frames: short ones repeat
    data = TrainingSequences(
        store,
        ("001", "002"),
        frames=4,
        frame_size=size,
        silhouette_size=masks_size,
        flip=0.5,
        choice=FrameChoice("run" if ordered else "spread"),
    )
    requests = [ClipRequest(i, (i + 1) / 9, i / 8, (7, i)) for i in (2, 3, 0, 7, 3, 5)]
    expected = plainly(store, data, requests, size, masks_size, ordered)
    assert_same(data[requests], expected)
    assert_same(next(load_batches(data, [requests], workers=0, pin=False)), expected)
    assert not torch.equal(expected.frames[:4], expected.frames[4:8])


def test_random_frames_and_a_draw_come_from_each_clips_own_request(store):
    data = sequences(store, frame_size=(256, 128), choice=FrameChoice("random"))
    sampler = IdentityBatches(data.labels, 3, 4, seed=5)
    batch = data[sampler.batch(2)]
    assert batch.draws.dtype == torch.float64
    assert len(set(batch.draws.tolist())) == 12
    for rank in (0, 1):
        share = data[list(share_of(sampler.batch(2), rank, 2))]
        assert torch.equal(share.draws, batch.draws[rank::2])
        assert torch.equal(share.flips, batch.flips[rank::2])
        clips = batch.frames.unflatten(0, (12, 4))[rank::2].flatten(0, 1)
        assert torch.equal(share.frames, clips)
    for place, request in enumerate(sampler.batch(2)):
        index = data.indices[request.sequence]
        random = request.random()
        numbers = random_frames(store.sequences[index].frames, 4, random)
        whole = store.read(index, numbers.tolist())
        clip = batch.frames[4 * place : 4 * place + 4].permute(0, 2, 3, 1)
        assert torch.equal(clip, torch.from_numpy(whole.rgb))
        assert batch.draws[place] == random.random()
    other = data[sampler.batch(3)]
    assert not set(other.draws.tolist()) & set(batch.draws.tolist())


class Watched(Dataset[Any]):
    """Large tensors of batches, and whether they lay in shared memory when they were made."""

    def __init__(self, data):
        self._data = data

    def __getitem__(self, requests):
        batch = self._data[requests]
        large = (batch.frames, batch.silhouettes, batch.valid)
        return *large, [one.is_shared() for one in large]


def test_a_worker_reads_a_batch_into_shared_memory_and_leaves_colours_last(store):
    requests = [ClipRequest(0, 0.5, 0.2), ClipRequest(4, 0.1, 0.7)]
    data = sequences(store)
    target = data[requests]
    ((frames, silhouettes, valid, shared),) = read_ahead(Watched(data), [requests], workers=1)
    assert shared == [True, True, True]
    for result, expected in zip(
        (frames, silhouettes, valid), (target.frames, target.silhouettes, target.valid), strict=True
    ):
        assert result.is_shared()
        assert torch.equal(result, expected)
    for one in (frames, target.frames):
        assert one.is_contiguous(memory_format=torch.channels_last)
        assert not one.is_contiguous()


def test_torchs_loader_pins_every_tensor_of_a_batch(store, monkeypatch):
    batch = sequences(store)[[ClipRequest(0, 0.5, 0.2), ClipRequest(4, 0.1, 0.7)]]
    tensors = {f.name: getattr(batch, f.name) for f in fields(batch)}
    copies = {}

    def pinned(tensor):
        copies[tensor.data_ptr()] = tensor.clone()
        return copies[tensor.data_ptr()]

    monkeypatch.setattr(torch.Tensor, "pin_memory", pinned)
    result = pin_memory(batch)
    assert isinstance(result, ClipBatch)
    assert len(copies) == 7
    for name, tensor in tensors.items():
        expected = None if tensor is None else copies[tensor.data_ptr()]
        assert getattr(result, name) is expected
    assert result.frames is not None
    assert result.frames.is_contiguous(memory_format=torch.channels_last)


def test_a_batch_goes_to_its_device_without_waiting(store, monkeypatch):
    batch = sequences(store)[[ClipRequest(0, 0.5, 0.2), ClipRequest(4, 0.1, 0.7)]]
    moved, to = [], torch.Tensor.to

    def watched(tensor, *place, **how):
        moved.append((place, how))
        return to(tensor, *place, **how)

    monkeypatch.setattr(torch.Tensor, "to", watched)
    on_meta = batch.to(torch.device("meta"))
    assert moved == [((torch.device("meta"),), {"non_blocking": True})] * 7
    assert on_meta.patches is None
    assert on_meta.frames.device.type == on_meta.labels.device.type == "meta"
    assert on_meta.frames.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("size", [(256, 128), (128, 64)])
def test_a_batch_reports_its_bytes(store, size):
    data = sequences(store, frame_size=size)
    requests = [ClipRequest(0, 0.5, 0.2), ClipRequest(4, 0.1, 0.7), ClipRequest(2, 0.1, 0.7)]
    batch = data[requests]
    assert 3 * data.clip_bytes() == batch.frames.nbytes + batch.silhouettes.nbytes


def test_frames_are_reduced_only_where_it_divides(store):
    assert reduced_size((64, 32)) == (64, 32)
    assert reduced_size((448, 224)) == (256, 128)
    assert reduced_size((100, 50)) == (256, 128)
    flat = np.full((2, 256, 128, 3), 9, np.uint8)
    for size in ((64, 32), (256, 128)):
        out = np.zeros((2, *size, 3), np.uint8)
        shrink(flat, out)
        assert (out == 9).all()
        assert to_tensor(flat, size).shape == (2, 3, *size)
        assert (to_tensor(flat, size) == 9).all()
        place = np.zeros((3, *size, 3), np.uint8)
        read_frames(store, 0, [2, 0, 1], place)
        whole = store.read(0).rgb
        np.testing.assert_array_equal(place, [reduced(whole[n], size) for n in (2, 0, 1)])
