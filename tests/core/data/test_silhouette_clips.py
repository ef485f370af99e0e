"""Clips of silhouettes: pure functions of seed and step, usable frames only, as settings say."""

import numpy as np
import pytest
import torch

from core.data.cutting import CutSequences
from core.data.sampler import ClipRequest, IdentityBatches
from core.data.silhouettes import silhouette_chunks
from core.errors import DataError
from core.inputs import SilhouetteInput
from core.manifests.schema import SilhouetteCut
from core.storage.store import Store
from tests.fakes.clips import silhouette_clips
from tests.fakes.training import TRAIN, write_training_store

CUT = SilhouetteCut()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("silhouettes") / "store"
    return Store.open(write_training_store(folder))


def clips(store, frames=4, flip=0.0, cut=CUT, **settings):
    chosen = SilhouetteInput(**settings)
    cuts = CutSequences(store, chosen.size, cut)
    return silhouette_clips(store, cuts, chosen, frames, flip)


def request(sequence, words=1):
    return ClipRequest(sequence, 0.5, 0.5, (0, 5, words, 0))


@pytest.mark.parametrize(("size", "shape"), [(64, (64, 44)), (128, (128, 88))])
def test_a_batch_is_as_large_as_the_network_takes_it(store, size, shape):
    data = clips(store, size=size)
    batch = data[[request(0), request(5)]]
    assert batch.silhouettes.shape == (8, *shape)
    assert batch.silhouettes.dtype == torch.uint8
    assert batch.labels.tolist() == [data.labels[0], data.labels[5]]
    assert batch.sequences.tolist() == [data.indices[0], data.indices[5]]
    assert batch.valid.all()
    assert not batch.flips.any()
    assert batch.frames is batch.patches is None
    assert data.subjects == TRAIN


@pytest.mark.parametrize("order", ["random", "time"])
def test_the_same_request_gives_the_same_clip_and_another_seed_another(store, order):
    data = clips(store, order=order, skip=2, perspective=0.5, rotate=0.5, erase=0.5, flip=0.5)
    sampler = IdentityBatches(data.labels, 2, 2, seed=0)
    first, again = (data[sampler.batch(3)].silhouettes for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, data[sampler.batch(4)].silhouettes)
    separate = torch.cat([data[[one]].silhouettes for one in sampler.batch(3)])
    assert torch.equal(first, separate)


def frames_of(data, store, batch):
    """Which frames of its sequence a plain clip holds."""
    index = int(batch.sequences[0])
    cuts = CutSequences(store, 64, CUT)
    usable = cuts.usable(index)
    whole = cuts.read(index, usable)[:, :, 10:54]
    return [
        [n for n, one in zip(usable, whole, strict=True) if np.array_equal(one, image)]
        for image in batch.silhouettes.numpy()
    ]


def test_the_order_and_the_usable_frames_are_kept(store):
    data = clips(store, frames=3, order="time", skip=1)
    for sequence in (0, 3):
        for words in range(5):
            places = frames_of(data, store, data[[request(sequence, words)]])
            assert all(places), "only usable frames, unchanged"
            first_frames = [min(one) for one in places]
            assert max(store.sequences[data.indices[sequence]].frames - 1, 0) not in first_frames


def test_mirrored_clips_are_mirrored_whole(store):
    plain, mirrored = clips(store), clips(store, flip=1.0)
    one, other = (data[[request(2)]].silhouettes for data in (plain, mirrored))
    assert torch.equal(one.flip(-1), other)


def test_a_dataset_without_usable_silhouettes_is_refused(store):
    with pytest.raises(DataError, match="No training sequence has a usable silhouette"):
        clips(store, cut=SilhouetteCut(drop_sum=10**8))


@pytest.mark.parametrize("length", [1, 2, 64])
def test_whole_sequences_come_in_chunks_of_usable_frames(store, length):
    indices = [4, 1, 2]
    chunks = list(silhouette_chunks(store, indices, CUT, size=64, length=length, workers=0))
    cuts = CutSequences(store, 64, CUT)
    for index in indices:
        parts = [chunk for number, chunk in chunks if number == index]
        assert all(len(part) <= length for part in parts)
        whole = cuts.read(index, cuts.usable(index))[:, :, 10:54]
        assert np.array_equal(torch.cat(parts).numpy(), whole)
    assert list(dict.fromkeys(number for number, _ in chunks)) == indices
    none = SilhouetteCut(drop_sum=10**8)
    assert not list(silhouette_chunks(store, indices, none, size=64, length=length, workers=0))
