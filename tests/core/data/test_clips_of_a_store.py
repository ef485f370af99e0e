from functools import partial

import numpy as np
import pytest
import torch

from core.data.dataset import TrainingSequences, collate, load_batches, reduced_size, shrink
from core.data.sampler import ClipRequest
from core.errors import DataError
from core.storage.store import Store
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


def test_subjects_that_are_not_there_take_no_class(store):
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
        clip = data[ClipRequest(number, 0.99, 0.9)]
        first = max(total - 4, 0)
        chosen = [(first + i) % total for i in range(4)]
        whole = store.read(index, chosen)
        assert torch.equal(clip.frames.permute(0, 2, 3, 1), torch.from_numpy(whole.rgb))
        assert torch.equal(clip.silhouettes > 127, torch.from_numpy(whole.silhouettes))
        assert clip.valid.tolist() == whole.valid.tolist()
        assert clip.valid.tolist() == [frame != total - 1 for frame in chosen]
        assert clip.flips.tolist() == [False]
        assert clip.sequences.tolist() == [index]


def test_sizes_types_and_the_silhouettes_share(store):
    batch = collate([sequences(store)[ClipRequest(i, 0.0, 0.1)] for i in range(3)])
    assert batch.frames is not None
    assert batch.frames.shape == (12, 3, 64, 32)
    assert batch.silhouettes.shape == (12, 16, 8)
    assert batch.frames.dtype == batch.silhouettes.dtype == torch.uint8
    assert batch.labels.tolist() == [0, 0, 0]
    full = sequences(store, silhouette_size=(256, 128))[ClipRequest(0, 0.0, 0.1)].silhouettes
    share = full.float().view(4, 16, 16, 8, 16).mean(dim=(2, 4))
    assert (batch.silhouettes[:4].float() - share).abs().max() <= 1


def test_flips_mirror_frames_and_silhouettes_of_chosen_clips_alone(store):
    data = sequences(store)
    batch = collate([data[ClipRequest(0, 0.0, 0.4)], data[ClipRequest(2, 0.0, 0.6)]])
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


def test_reading_ahead_by_a_worker_changes_nothing(store):
    data = sequences(store)
    batches = [[ClipRequest(i, 0.5, 0.2), ClipRequest(11 - i, 0.1, 0.7)] for i in range(3)]
    here = list(load_batches(data, batches, workers=0, pin=False))
    there = list(load_batches(data, batches, workers=1, pin=False))
    assert len(here) == len(there) == 3
    for one, other in zip(here, there, strict=True):
        assert one.patches is other.patches is None
        for name in set(one.__slots__) - {"patches"}:
            assert torch.equal(getattr(one, name), getattr(other, name))


def test_frames_are_reduced_only_where_it_divides():
    assert reduced_size((64, 32)) == (64, 32)
    assert reduced_size((448, 224)) == (256, 128)
    assert reduced_size((100, 50)) == (256, 128)
    flat = np.full((2, 256, 128, 3), 9, np.uint8)
    assert (shrink(flat, (64, 32)) == 9).all()
    assert shrink(flat, (256, 128)).shape == flat.shape
