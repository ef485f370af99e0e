"""Walkers in rendered films are tracks_of, followed, and never mixed up."""

import numpy as np
import pytest

from core.errors import DataError, UsageError
from core.progress import SilentProgress
from core.tracking.find import Finding, Footage, find_tracks, thin_out
from core.tracking.tracks import iou, sort_out
from tests.fakes.videos import moving_square, turn, write_film, write_stream


def tracks_of(path, **how):
    footage = Footage.open(path)
    tracks = find_tracks(footage, Finding(**how), SilentProgress())
    return sort_out(tracks, footage.size)


def agreement(track, truth):
    """Whom a track shows in each of its frames, and how well: int [n], IoU [n]."""
    truth_boxes = np.nan_to_num(truth[track.frames], nan=-1.0)
    shared = np.stack(
        [iou(box[None], people)[0] for box, people in zip(track.boxes, truth_boxes, strict=True)]
    )
    return shared.argmax(axis=1), shared.max(axis=1)


@pytest.mark.parametrize("angle", [0.0, 54.0, 90.0, 180.0])
def test_one_walker_is_tracked_from_any_side(tmp_path, angle):
    filmed = write_film(tmp_path / "a.mp4", angle=angle, size=(480, 360))
    tracks, _ = tracks_of(filmed.path)
    assert len(tracks) == 1
    _, shared = agreement(tracks[0], filmed.boxes)
    assert shared.mean() > 0.75
    assert len(tracks[0]) >= 30


@pytest.mark.parametrize("crossing", [False, True])
def test_each_track_shows_one_of_several_people(tmp_path, crossing):
    filmed = write_film(tmp_path / "a.mp4", ("100", "101"), crossing=crossing)
    tracks, _ = tracks_of(filmed.path)
    whom = []
    for track in tracks:
        matched, shared = agreement(track, filmed.boxes)
        assert len(set(matched)) == 1
        assert shared.mean() > 0.75
        whom.append(matched[0])
    assert set(whom) == {0, 1}


def test_boxes_exclude_shadows(tmp_path):
    filmed = write_film(tmp_path / "a.mp4", take="s2")
    assert filmed.film.shade > 0.35
    tracks, _ = tracks_of(filmed.path)
    _, shared = agreement(tracks[0], filmed.boxes)
    assert shared.mean() > 0.8


def test_walkers_at_the_edge_and_empty_scenes_are_handled(tmp_path):
    filmed = write_film(tmp_path / "a.mp4")
    tracks, _ = tracks_of(filmed.path)
    assert tracks[0].boxes[:, 0].min() >= 2
    assert tracks[0].boxes[:, 2].max() <= 318
    still = [np.full((120, 160, 3), 90, np.uint8)] * 30
    assert tracks_of(write_stream(tmp_path / "still.mp4", still)) == ([], [])


def test_a_moving_camera_raises_a_clear_error(tmp_path):
    random = np.random.default_rng(0)
    wall = random.integers(0, 255, (40, 120, 3), dtype=np.uint8).repeat(6, axis=0).repeat(6, axis=1)
    frames = [np.ascontiguousarray(wall[:240, 9 * n : 9 * n + 320]) for n in range(40)]
    with pytest.raises(DataError, match="the camera moves"):
        tracks_of(write_stream(tmp_path / "pan.mp4", frames))


@pytest.mark.parametrize(
    ("rate", "step"), [(24, 1), (25, 1), (29.97, 1), (30, 1), (50, 2), (60, 2), (120, 4)]
)
def test_fast_videos_are_reduced(rate, step):
    frames = thin_out(np.arange(240) / rate)
    assert frames == list(range(0, 240, step))


def test_clocks_that_stand_or_go_back_lose_no_frame():
    assert thin_out(np.zeros(5)) == [0, 1, 2, 3, 4]
    assert thin_out(np.array([0.0, 1.0, 0.0, 0.04])) == [0, 1, 2, 3]


def test_crop_uses_the_whole_picture(tmp_path):
    path = write_stream(tmp_path / "a.mp4", moving_square())
    footage = Footage.open(path)
    (track,) = find_tracks(footage, Finding(crop=True), SilentProgress())
    assert len(track) == 12
    assert track.boxes[3].tolist() == [0, 0, 96, 64]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_picture_is_tracked_upright(tmp_path, degrees):
    path = write_stream(tmp_path / "a.mp4", moving_square())
    turn(path, degrees)
    footage = Footage.open(path)
    assert footage.size == ((64, 96) if degrees == 180 else (96, 64))
    _, first = next(footage.images([0]))
    corner = {90: (4, -4), 180: (-4, -4), 270: (-4, 4)}[degrees]  # clockwise from the upper left
    assert first[corner][0] > 150 > first[corner][1]


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_odd_sizes_and_uneven_clocks_are_read(tmp_path, codec):
    ticks = np.cumsum([12, 24, 36, 20, 24, 30] * 2).tolist()
    options = {"bf": "2"} if codec == "libx264" else {}
    path = write_stream(tmp_path / "a.mp4", moving_square(size=(98, 66)), codec, ticks, options)
    footage = Footage.open(path)
    assert footage.size == (66, 98)
    assert len(footage.video) == 12
    pictures = [frame for _, frame in footage.images(range(12))]
    places = [int(np.flatnonzero(frame[40, :, 1] > 150).mean()) for frame in pictures]
    assert places == sorted(places)
    assert np.all(np.diff(footage.video.times) > 0)


def test_only_one_detection_method_is_accepted(tmp_path):
    with pytest.raises(UsageError):
        Finding(crop=True, boxes=tmp_path / "b.csv")


@pytest.mark.parametrize("content", [None, b"", b"not a video\n", b"\0" * 9000])
def test_a_file_that_is_not_a_video_raises_a_one_line_error(tmp_path, content):
    path = tmp_path / "a.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        Footage.open(path)
    assert caught.value.where == str(path)
    assert "\n" not in caught.value.what
