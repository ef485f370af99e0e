"""Labels of known pictures, and identities that belong to no dataset."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.pretraining import people
from core.pretraining.cache import load_pictures
from core.pretraining.labels import (
    BOUNDARY,
    LABELS,
    REGIONS,
    Label,
    cells_of,
    label_of_part,
    person_mask,
    region_masks,
)
from core.pretraining.scenes import POSTURES, render_pictures
from core.pretraining.surroundings import draw_surroundings
from core.pretraining.unseen import UNSEEN_SEED, render_unseen
from core.progress import SilentProgress
from core.synthetic import outfit, pieces
from core.synthetic.camera import Camera
from core.synthetic.datasets import DATASETS
from core.synthetic.identity import draw_identity
from core.synthetic.paint import paint_labels


@pytest.fixture(scope="module")
def pictures():
    return render_pictures(0, 3)


def test_the_same_number_gives_the_same_pictures_whatever_came_before(pictures):
    render_pictures(0, 9)
    again = render_pictures(0, 3)
    for name in ("images", "labels", "depths"):
        np.testing.assert_array_equal(getattr(pictures, name), getattr(again, name))
    assert (render_pictures(1, 3).images != pictures.images).any()


def test_pictures_show_one_person_from_head_to_foot(pictures):
    assert pictures.images.shape == (POSTURES, 128, 64, 3)
    assert pictures.labels.shape == pictures.depths.shape == (POSTURES, 64, 32)
    shares = (pictures.labels >= Label.HEAD).mean(axis=(1, 2))
    assert ((shares > 0.05) & (shares < 0.7)).all()
    rows = np.arange(64)[None, :, None]
    head = np.isin(pictures.labels, (Label.HEAD, Label.HAIR))
    feet = pictures.labels == Label.SHOE
    assert (head * rows).sum() / head.sum() + 20 < (feet * rows).sum() / feet.sum()


def test_depths_are_where_the_person_is_and_padding_is_black():
    pictures = render_pictures(0, 1)
    person = pictures.labels >= Label.HEAD
    assert not pictures.depths[~person].any()
    assert (pictures.depths[person] > 0).mean() > 0.9
    padding = np.repeat(np.repeat(pictures.labels == Label.PADDING, 2, axis=1), 2, axis=2)
    inner = padding[..., 1:-1] & padding[..., 2:] & padding[..., :-2]
    assert inner.any()
    assert not pictures.images[:, :, 1:-1][inner].any()


@pytest.mark.parametrize("number", range(3))
def test_each_part_has_its_own_colour_in_a_plain_picture(number):
    """Painted without light and clothes' texture, a colour per label gives the labels back."""
    camera = Camera.looking_at(
        np.array([0.0, -5.0, 1.5]), np.array([0.0, 0.0, 0.9]), 500.0, 200, 300
    )
    somebody = people.draw_person(0, str(number), camera, 1, 0.3)
    plain = replace(somebody.drawing, labels=somebody.labels[1:])
    painted = paint_labels(plain, 0, (0, 0, 200, 300))[..., 0]
    _, parts, distances = people.paint_posture(
        somebody, 0, (0, 0, 200, 300), np.random.default_rng(0)
    )
    np.testing.assert_array_equal(somebody.labels[parts][parts > 0], painted[parts > 0])
    assert ((parts > 0) == (painted > 0)).all()
    assert np.abs(distances[parts > 0]).max() < 1.5


@pytest.mark.parametrize(
    ("piece", "matter", "label"),
    [
        (pieces.TRUNK, outfit.UPPER, Label.TORSO),
        (pieces.TRUNK, outfit.LOWER, Label.SEAT),
        (pieces.FOREARM, outfit.SKIN, Label.BARE_ARM),
        (pieces.FOREARM, outfit.UPPER, Label.FOREARM),
        (pieces.SHANK, outfit.SKIN, Label.BARE_LEG),
        (pieces.SHANK, outfit.LOWER, Label.SHANK),
        (pieces.HEAD, outfit.HAIR, Label.HAIR),
        (pieces.LOAD, outfit.CARRIED, Label.LOAD),
    ],
)
def test_a_part_is_labelled_by_its_piece_of_the_body_and_what_it_shows(piece, matter, label):
    assert label_of_part(piece, matter) is label


def test_surroundings_lie_in_order_from_sky_to_ground():
    for seed in range(12):
        image, labels = draw_surroundings(np.random.default_rng(seed), 60, 120, 70.0)
        assert image.shape == (120, 60, 3)
        assert labels.max() <= Label.THING
        where = {label: np.flatnonzero((labels == label).any(axis=1)) for label in Label}
        if where[Label.SKY].size and where[Label.GROUND].size:
            assert where[Label.SKY].max() < where[Label.GROUND].min()
        if where[Label.WINDOW].size and where[Label.GROUND].size:
            assert where[Label.WINDOW].max() < 70


def test_a_cell_has_the_label_of_most_of_its_pixels():
    labels = np.full((4, 8), Label.WALL, np.uint8)
    labels[:3, 4:7] = Label.SHOE
    labels[0, 0] = Label.HAIR
    np.testing.assert_array_equal(cells_of(labels, 4), [[Label.WALL, Label.SHOE]])
    np.testing.assert_array_equal(cells_of(labels, 2)[0, :3], [Label.WALL] * 2 + [Label.SHOE])
    assert cells_of(labels, 2)[0, 3] == Label.WALL  # two of each: the lower


def test_regions_of_a_known_picture():
    labels = torch.full((1, 8, 8), int(Label.GROUND))
    labels[:, :, 4:] = int(Label.THIGH)
    masks = region_masks(labels, (2, 2))
    share = {name: masks[0, :, number].tolist() for number, name in enumerate(REGIONS)}
    assert share["legs"] == share["body"] == share["clothes"] == [0.0, 1.0, 0.0, 1.0]
    assert share["ground"] == [1.0, 0.0, 1.0, 0.0]
    assert share["arms"] == share["bag"] == [0.0] * 4
    assert share[BOUNDARY] == [0.25] * 4
    assert person_mask(labels).float().mean() == 0.5
    assert masks.shape == (1, 4, len(REGIONS))


def test_rendered_people_are_not_walkers_of_any_dataset():
    """Streams are named by their dataset first, so no seed lets two of them meet."""
    assert people.PEOPLE not in DATASETS
    mine = {draw_identity(0, people.PEOPLE, str(n)).body.stature for n in range(40)}
    theirs = {
        draw_identity(seed, dataset, f"{n:03d}").body.stature
        for seed in (0, 1)
        for dataset in DATASETS
        for n in range(20)
    }
    assert not mine & theirs


def test_unseen_walkers_have_labels_where_they_are_and_a_seed_of_their_own():
    unseen = render_unseen(["076", "077"])
    assert unseen.images.shape[1:] == (128, 64, 3)
    assert set(unseen.subjects.tolist()) == {0, 1}
    person = unseen.labels >= Label.HEAD
    assert (person.mean(axis=(1, 2)) > 0.1).all()
    # A box is fitted to the person, so feet are near the lower edge and the head near the upper.
    assert person[:, :8].any(axis=(1, 2)).all()
    assert person[:, -8:].any(axis=(1, 2)).all()
    assert UNSEEN_SEED > 2**32, "what people, the demo and tests type is smaller"


def test_pictures_are_rendered_once_and_only_lost_files_again(tmp_path):
    first = load_pictures(tmp_path, 0, 10, 1, SilentProgress())
    assert len(first.images) == 10
    assert first.labels.max() < LABELS
    (file,) = tmp_path.iterdir()
    modified = file.stat().st_mtime_ns
    second = load_pictures(tmp_path, 0, 10, 1, SilentProgress())
    assert file.stat().st_mtime_ns == modified
    file.unlink()
    third = load_pictures(tmp_path, 0, 10, 1, SilentProgress())
    for other in (second, third):
        np.testing.assert_array_equal(first.images, other.images)
    assert (load_pictures(tmp_path, 1, 10, 1, SilentProgress()).images != first.images).any()
