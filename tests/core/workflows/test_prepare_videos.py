"""Videos as people have them: every stored frame is the one that its number names."""

import av
import numpy as np
import pytest

from core.storage.store import Store
from core.workflows.prepare import prepare
from core.workspace import Workspace
from tests.fakes.numbered import (
    number_of,
    numbered,
    numbered_bytes,
    packet_places,
    without_packets,
    write_numbered,
)
from tests.fakes.raw_datasets import write_image
from tests.fakes.videos import turn, write_stream

# Half as wide as high, as a stored frame is: nothing is cut or padded.
SIZE = (192, 96)
BASE = """\
format: 1
name: own
title: own
frames: 4
subjects: {{train: [p1], test: [p2]}}
structure: {{types: [walk], views: [cam]}}
protocols:
  all:
    title: all
    counting: gallery
    official: false
    conditions: {{A: {{probe: [walk], gallery: [walk]}}}}
forms:
  - name: f
    label: own
    framing: {framing}
    rgb: {{path: "{{subject}}/{{type}}/{{view}}.{ending}"}}
{silhouettes}    first_frame: 1
"""
MASKS = '    silhouettes: {path: "masks/{subject}/{type}/{view}/{frame}.png"}\n'
VIDEO_MASKS = '    silhouettes: {{path: "{{subject}}/{{type}}/{{view}}_mask.{ending}"}}\n'


def place(root, ending, subject="p1"):
    path = root / "source" / subject / "walk" / f"cam.{ending}"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def body(size=SIZE):
    """A mask of nearly the whole picture."""
    mask = np.zeros(size, np.uint8)
    mask[4:-4, 3:-3] = 255
    return mask


def write_masks(root, numbers, size=SIZE):
    for number in numbers:
        path = root / "source" / "masks" / "p1" / "walk" / "cam" / f"{number + 1:03d}.png"
        write_image(path, body(size))


def store_of(root, ending, *, framing="crop", silhouettes=""):
    manifest = root / "own.yaml"
    manifest.write_text(BASE.format(framing=framing, ending=ending, silhouettes=silhouettes))
    result = prepare(str(manifest), root / "source", Workspace(root / "ws"), workers=0)
    return Store.open(result.store), {(r.reason, r.effect): r.frames for r in result.left_out}


def stored_numbers(store):
    return [number_of(frame) for frame in store.read(0).rgb]


@pytest.mark.parametrize(
    ("codec", "ending", "b_frames"),
    [("mpeg4", "avi", 1), ("mpeg4", "avi", 3), ("mpeg2video", "mpg", 2), ("libx264", "avi", 2)],
)
@pytest.mark.parametrize("numbers", [range(19, 40), [3, 4, 11, 12, 13, 37]])
def test_silhouettes_from_anywhere_get_their_own_frames(tmp_path, codec, ending, b_frames, numbers):
    write_numbered(place(tmp_path, ending), codec, b_frames=b_frames, size=SIZE)
    write_masks(tmp_path, numbers)
    store, _ = store_of(tmp_path, ending, framing="scene", silhouettes=MASKS)
    assert stored_numbers(store) == list(numbers)
    assert store.info.valid == len(list(numbers))


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
@pytest.mark.parametrize("packet", [14, 24])
def test_frames_behind_a_damaged_packet_keep_their_numbers(tmp_path, codec, packet):
    path = write_numbered(place(tmp_path, "avi"), codec, size=SIZE)
    content = bytearray(path.read_bytes())
    at, size = packet_places(path)[packet]
    content[at + size // 3 : at + size] = bytes(size - size // 3)
    path.write_bytes(content)
    write_masks(tmp_path, range(40))
    store, left_out = store_of(tmp_path, "avi", framing="scene", silhouettes=MASKS)
    numbers = stored_numbers(store)
    lost = left_out[("damaged part of a video", "frames left out")]
    assert 1 <= lost <= 14
    assert len(numbers) == 40 - lost
    assert numbers == sorted(set(numbers))
    assert numbers[-4:] == [36, 37, 38, 39]


def test_a_recording_without_its_first_key_frame_is_left_out_up_to_the_next(tmp_path):
    whole = write_numbered(tmp_path / "whole.mp4", "libx264", b_frames=0, size=SIZE)
    without_packets(whole, place(tmp_path, "mkv"), {0})
    store, left_out = store_of(tmp_path, "mkv")
    assert stored_numbers(store) == list(range(12, 40))
    assert left_out[("damaged part of a video", "frames left out")] == 11


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_silhouettes_in_a_video(tmp_path, ending):
    path = place(tmp_path, ending)
    write_numbered(path, "libx264", b_frames=2, size=SIZE)
    masks = path.with_name(f"cam_mask.{ending}")
    grey = np.repeat(body()[..., None], 3, axis=2)
    write_stream(masks, [grey] * 40)
    store, _ = store_of(
        tmp_path, ending, framing="scene", silhouettes=VIDEO_MASKS.format(ending=ending)
    )
    assert stored_numbers(store) == list(range(40))
    assert store.info.valid == 40


@pytest.mark.parametrize(("aspect", "width"), [("2/1", 48), ("3/4", 128)])
@pytest.mark.parametrize("masks_are", ["stored", "shown"])
def test_pixels_that_are_not_square(tmp_path, aspect, width, masks_are):
    stored = (192, width)
    write_stream(place(tmp_path, "mp4"), [numbered(k, stored) for k in range(6)], aspect=aspect)
    write_masks(tmp_path, range(6), stored if masks_are == "stored" else SIZE)
    store, _ = store_of(tmp_path, "mp4", framing="scene", silhouettes=MASKS)
    assert stored_numbers(store) == list(range(6))
    silhouette = store.read(0).silhouettes[2]
    assert silhouette.mean() > 0.9  # a person half as wide as high fills the frame


@pytest.mark.parametrize("masks_are", ["stored", "shown"])
@pytest.mark.parametrize("degrees", [90, 270])
def test_turned_videos_with_masks_of_either_geometry(tmp_path, degrees, masks_are):
    upright = [numbered(k, SIZE) for k in range(5)]
    lying = [np.ascontiguousarray(np.rot90(picture, degrees // 90)) for picture in upright]
    path = write_stream(place(tmp_path, "mp4"), lying)
    turn(path, degrees)
    write_masks(tmp_path, range(5), SIZE if masks_are == "shown" else SIZE[::-1])
    store, _ = store_of(tmp_path, "mp4", framing="scene", silhouettes=MASKS)
    assert stored_numbers(store) == list(range(5))


def test_pictures_that_change_size_are_all_kept(tmp_path):
    with place(tmp_path, "ts").open("wb") as file:
        for first, size in ((0, SIZE), (8, (96, 48)), (16, (384, 192))):
            pictures = [numbered(first + k, size) for k in range(8)]
            ticks = [24 * (first + k) for k in range(8)]
            part = write_stream(tmp_path / "part.ts", pictures, ticks=ticks, options={"bf": "0"})
            file.write(part.read_bytes())
    write_masks(tmp_path, range(24))
    store, _ = store_of(tmp_path, "ts", framing="scene", silhouettes=MASKS)
    assert stored_numbers(store) == list(range(24))


def test_the_same_stream_of_several_is_read_as_from_a_user_s_own_video(tmp_path):
    with av.open(str(place(tmp_path, "mkv")), "w") as file:
        streams = []
        for size in ((96, 48), SIZE):
            stream = file.add_stream("libx264", rate=25)
            assert isinstance(stream, av.VideoStream)
            stream.height, stream.width = size
            stream.pix_fmt = "yuv420p"
            streams.append((stream, size, 0 if size == SIZE else 30))
        for number in range(8):
            for stream, size, shift in streams:
                picture = av.VideoFrame.from_ndarray(numbered(number + shift, size), format="rgb24")
                file.mux(stream.encode(picture))
        for stream, _, _ in streams:
            file.mux(stream.encode())
    store, _ = store_of(tmp_path, "mkv")
    assert stored_numbers(store) == list(range(8))


@pytest.mark.parametrize("name", ["12:30:05", "http:cam"])
def test_names_with_a_colon_below_a_relative_source(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    path = place(tmp_path, "avi").with_name(f"{name}.avi")
    path.write_bytes(numbered_bytes("mpeg4", "avi"))
    store, _ = store_of(tmp_path, "avi")
    assert [info.key.view for info in store.sequences] == [name]
    assert store.info.frames == 40
