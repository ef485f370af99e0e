"""Frame k is the k-th picture of a decode from the start."""

import os

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.video import container, decode
from core.video.decode import Video
from core.video.faults import FrameFault, Reason
from tests.fakes.numbered import (
    COUNT,
    number_of,
    numbered,
    numbered_bytes,
    packed,
    packet_places,
    retimed,
    without_packets,
    write_numbered,
)
from tests.fakes.raw_datasets import scene, write_video
from tests.fakes.videos import turn, write_stream

KINDS = [
    *(("mpeg4", ending, b) for ending in ("avi", "mp4", "mkv", "mov") for b in range(4)),
    *(("mpeg2video", ending, b) for ending in ("mpg", "mkv", "mov", "avi") for b in range(4)),
    *(("libx264", ending, b) for ending in ("avi", "mp4", "mkv", "mov") for b in range(4)),
    *(("libx265", ending, b) for ending in ("mp4", "mkv", "mov") for b in (0, 3)),
    *(("libvpx-vp9", ending, 0) for ending in ("webm", "mkv", "mp4")),
    *(("mjpeg", ending, 0) for ending in ("avi", "mkv", "mov")),
]


def numbers_of(frames):
    """Numbers that the pictures show; None where there is none."""
    return [None if isinstance(frame, FrameFault) else number_of(frame) for frame in frames]


def pictures_of(video, numbers):
    """Pictures, none of them lost."""
    pictures = [frame for frame in video.frames(numbers) if not isinstance(frame, FrameFault)]
    assert len(pictures) == len(numbers)
    return pictures


def write(folder, codec, ending, b_frames=2, group=12):
    path = folder / f"a.{ending}"
    path.write_bytes(numbered_bytes(codec, ending, b_frames, group))
    return path


def from_the_start(path):
    with av.open(str(path)) as file:
        return [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]


@pytest.mark.parametrize(("codec", "ending", "b_frames"), KINDS)
def test_every_frame_is_that_of_a_decode_from_the_start(tmp_path, codec, ending, b_frames):
    path = write(tmp_path, codec, ending, b_frames)
    true = from_the_start(path)
    assert [number_of(frame) for frame in true] == list(range(COUNT))
    video = Video(path)
    assert len(video) == COUNT
    for frame, expected in zip(video.frames(range(COUNT)), true, strict=True):
        np.testing.assert_array_equal(frame, expected)


@pytest.mark.parametrize(
    "kind", [("mpeg4", "avi", 3), ("libx264", "avi", 2), ("libx265", "mp4", 3)]
)
@settings(max_examples=15, deadline=None)
@given(numbers=st.lists(st.integers(0, COUNT - 1), max_size=12))
def test_frames_can_be_read_in_any_order(tmp_path_factory, kind, numbers):
    path = write(tmp_path_factory.mktemp("video"), *kind)
    assert numbers_of(Video(path).frames(numbers)) == numbers


def test_lossless_video_gives_exact_frames(tmp_path):
    frames = [scene(number)[0] for number in range(7)]
    write_video(tmp_path / "a.avi", frames)
    given_frames = list(Video(tmp_path / "a.avi").frames([0, 1, 2, 4, 6]))
    for number, frame in zip([0, 1, 2, 4, 6], given_frames, strict=True):
        np.testing.assert_array_equal(frame, frames[number])


DAMAGED = [
    ("mpeg4", "avi"),
    ("mpeg4", "mkv"),
    ("mpeg2video", "avi"),
    ("mpeg2video", "mkv"),
    ("libx264", "avi"),
    ("libx264", "mp4"),
    ("libx264", "mkv"),
]


def damaged(path, packet, how):
    """Damage one packet in a file: its content is other bytes, zeros, or the file ends in it."""
    content = bytearray(path.read_bytes())
    at, size = packet_places(path)[packet]
    if how == "noise":
        noise = np.random.default_rng(packet).integers(0, 256, size - size // 3, dtype=np.uint8)
        content[at + size // 3 : at + size] = noise.tobytes()
    elif how == "zeros":
        content[at + size // 3 : at + size] = bytes(size - size // 3)
    else:
        del content[at + size // 2 :]
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("codec", "ending"), DAMAGED)
@pytest.mark.parametrize("packet", [13, 17, 24, 30])
@pytest.mark.parametrize("how", ["noise", "zeros"])
def test_one_damaged_packet_loses_a_group_at_most_and_shifts_no_number(
    tmp_path, codec, ending, packet, how
):
    path = write(tmp_path, codec, ending)
    true = list(Video(path).frames(range(COUNT)))
    frames = list(Video(damaged(path, packet, how)).frames(range(COUNT)))
    assert len(frames) == COUNT
    first = packet // 12 * 12
    group = range(first - 2, first + 12)
    for number in set(range(COUNT)) - set(group):
        np.testing.assert_array_equal(frames[number], true[number])
    numbers = numbers_of(frames)
    assert all(value in (None, number) for number, value in enumerate(numbers))
    # A group, and the few pictures before it that are shown after its first packet.
    assert numbers.count(None) <= 12 + 2


@pytest.mark.parametrize(("codec", "ending"), [k for k in DAMAGED if k[1] != "mp4"])
@pytest.mark.parametrize("packet", [13, 24, 30, 39])
def test_a_truncated_file_gives_the_frames_before_the_end(tmp_path, codec, ending, packet):
    path = damaged(write(tmp_path, codec, ending), packet, "end")
    numbers = numbers_of(Video(path).frames(range(COUNT)))
    good = [number for number in numbers if number is not None]
    assert good == list(range(len(good)))
    assert numbers[: len(good)] == good
    assert packet - 3 <= len(good) <= packet


@pytest.mark.parametrize(("codec", "ending"), [*DAMAGED, ("libx265", "mkv"), ("mjpeg", "avi")])
@pytest.mark.parametrize("how", ["noise", "end"])
def test_damaged_files_give_the_same_bytes_at_each_run(tmp_path, codec, ending, how):
    if how == "end" and ending == "mp4":
        pytest.skip("its index lies at the end: nothing can be read")
    path = damaged(write(tmp_path, codec, ending), 17, how)

    def run():
        frames = Video(path).frames(range(COUNT))
        return [b"" if isinstance(frame, FrameFault) else frame.tobytes() for frame in frames]

    first = run()
    assert any(first)
    assert all(run() == first for _ in range(9))


@pytest.mark.parametrize("ending", ["mkv", "mp4"])
@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg4"])
@pytest.mark.parametrize("missing", [{0}, {0, 1, 2, 3}])
def test_a_recording_that_begins_between_key_frames_has_no_copies(tmp_path, codec, ending, missing):
    whole = write(tmp_path, codec, "mp4", b_frames=0)
    path = without_packets(whole, tmp_path / f"cut.{ending}", missing)
    video = Video(path)
    numbers = numbers_of(video.frames(range(COUNT)))
    late = len(missing)
    assert numbers == [None] * (12 - late) + list(range(12, COUNT))
    times, sizes = video.clock()
    np.testing.assert_allclose(np.diff(times), 0.04, atol=0.002)
    assert [size is None for size in sizes] == [number is None for number in numbers]


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg4"])
def test_missing_packets_shift_no_time(tmp_path, codec):
    whole = write(tmp_path, codec, "mp4", b_frames=0)
    path = without_packets(whole, tmp_path / "gap.mkv", {24, 25, 26})
    video = Video(path)
    numbers = numbers_of(video.frames(range(COUNT)))
    assert len(numbers) == COUNT - 3
    assert numbers[:24] == list(range(24))
    assert numbers[-4:] == list(range(COUNT - 4, COUNT))
    times = video.clock().times
    np.testing.assert_allclose(times[:24] - times[0], np.arange(24) / 25, atol=0.002)
    np.testing.assert_allclose(times[-4:] - times[0], np.arange(36, 40) / 25, atol=0.002)


def test_the_largest_of_several_streams_is_read_and_limited(tmp_path, monkeypatch):
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as file:
        streams = []
        for size in ((48, 64), (96, 160)):
            stream = file.add_stream("libx264", rate=25)
            stream.height, stream.width = size
            stream.pix_fmt = "yuv420p"
            streams.append((stream, size))
        for number in range(8):
            for stream, size in streams:
                frame = av.VideoFrame.from_ndarray(numbered(number, size), format="rgb24")
                file.mux(stream.encode(frame))
        for stream, _ in streams:
            file.mux(stream.encode())
    frames = pictures_of(Video(path), range(8))
    assert {frame.shape for frame in frames} == {(96, 160, 3)}
    assert numbers_of(frames) == list(range(8))
    monkeypatch.setattr(container, "MAX_PIXELS", 96 * 160 - 1)
    with pytest.raises(FrameFault) as caught:
        Video(path)
    assert caught.value.reason is Reason.TOO_LARGE


def with_pixel_aspect(path, aspect):
    return write_stream(path, [numbered(k) for k in range(6)], aspect=aspect)


@pytest.mark.parametrize(("aspect", "width"), [("16/11", 233), ("12/11", 175), ("1/2", 80)])
def test_pixels_that_are_not_square_are_shown_square(tmp_path, aspect, width):
    video = Video(with_pixel_aspect(tmp_path / "a.mp4", aspect))
    frames = pictures_of(video, range(6))
    assert {frame.shape for frame in frames} == {(96, width, 3)}
    assert numbers_of(frames) == list(range(6))
    mask = np.zeros((96, 160), np.uint8)
    mask[10:50, 40:80] = 255
    fitted = video.fit_mask(mask, (96, width))
    assert fitted.shape == (96, width)
    columns = np.flatnonzero(fitted.any(axis=0))
    assert columns[0] == pytest.approx(40 * width / 160, abs=1)
    assert columns[-1] + 1 == pytest.approx(80 * width / 160, abs=1)
    assert video.fit_mask(fitted, (96, width)) is fitted


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_turned_videos_are_upright_and_so_are_masks_of_the_stored_picture(tmp_path, degrees):
    frames = [numbered(k) for k in range(4)]
    path = write_stream(tmp_path / "a.mp4", frames)
    turn(path, degrees)
    video = Video(path)
    upright = pictures_of(video, range(4))
    turns = -degrees // 90
    for frame, expected in zip(upright, frames, strict=True):
        assert number_of(np.rot90(frame, -turns)) == number_of(expected)
    mask = np.zeros((96, 160), np.uint8)
    mask[:20, :30] = 255
    fitted = video.fit_mask(mask, upright[0].shape[:2])
    expected = mask if degrees == 180 else np.rot90(mask, turns)
    np.testing.assert_array_equal(fitted, expected)


@pytest.mark.parametrize("content", [b"", b"RIFF1234AVI nothing more", b"\0" * 5000])
def test_a_file_that_is_not_a_video_is_refused(tmp_path, content):
    (tmp_path / "a.avi").write_bytes(content)
    with pytest.raises(FrameFault) as caught:
        Video(tmp_path / "a.avi")
    assert caught.value.reason is Reason.BROKEN_VIDEO


def test_missing_video_is_broken(tmp_path):
    with pytest.raises(FrameFault):
        Video(tmp_path / "gone.avi")


def test_a_playlist_opens_no_other_file(tmp_path):
    write_numbered(tmp_path / "part.ts", count=5)
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:1", "#EXTINF:1,", "part.ts", "#EXT-X-ENDLIST"]
    (tmp_path / "a.mp4").write_text("\n".join(lines))
    with pytest.raises(FrameFault):
        Video(tmp_path / "a.mp4")


def test_numbers_beyond_the_end_have_no_frame(tmp_path):
    write_video(tmp_path / "a.avi", [scene(0)[0], scene(1)[0]])
    assert len(list(Video(tmp_path / "a.avi").frames([1, 5]))) == 1


@pytest.mark.parametrize(
    "name", ["12:30:05.avi", "http:a.avi", "concat:b.avi", "-i.avi", "a%02d.avi"]
)
def test_names_with_a_meaning_to_ffmpeg_are_opened_as_files(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(numbered_bytes("mpeg4", "avi"))
    assert numbers_of(Video(name).frames([3, 9])) == [3, 9]


def test_declared_and_decoded_pictures_are_limited(tmp_path, monkeypatch):
    path = write(tmp_path, "libx264", "mkv")
    monkeypatch.setattr(decode, "MAX_PIXELS", 1000)
    faults = [frame for frame in Video(path).frames([0, 1]) if isinstance(frame, FrameFault)]
    assert [fault.reason for fault in faults] == [Reason.TOO_LARGE] * 2


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg4"])
@pytest.mark.parametrize("hidden", [5, 12, 15])
def test_frames_behind_an_edit_list_are_read(tmp_path, codec, hidden):
    """Phones shorten videos so: decoding begins earlier, at a picture that is not shown."""
    path = write_numbered(
        tmp_path / "a.mp4", codec, first_time=-hidden, container={"avoid_negative_ts": "disabled"}
    )
    numbers = list(range(hidden, COUNT))
    assert [number_of(frame) for frame in from_the_start(path)] == numbers
    video = Video(path)
    assert numbers_of(video.frames(range(len(video)))) == numbers
    assert numbers_of(video.frames([2, 3, 20])) == [hidden + 2, hidden + 3, hidden + 20]


@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov"])
@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_decode_timestamps_are_not_used_as_presentation_times(tmp_path, codec, ending):
    """Streams copied out of an AVI have such a clock."""
    path = retimed(write(tmp_path, codec, "avi"), tmp_path / f"copy.{ending}")
    video = Video(path)
    assert numbers_of(video.frames(range(COUNT))) == list(range(COUNT))
    assert numbers_of(video.frames([3, 4, 19, 30])) == [3, 4, 19, 30]
    np.testing.assert_allclose(np.diff(video.clock().times), 0.04, atol=0.002)


@pytest.mark.parametrize("packet", [None, 3, 9, 13])
def test_two_pictures_in_one_packet_are_counted_as_two(tmp_path, packet):
    path = packed(write(tmp_path, "mpeg4", "avi", b_frames=1), tmp_path / "packed.avi")
    if packet is not None:
        damaged(path, packet, "zeros")
    numbers = numbers_of(Video(path).frames(range(COUNT)))
    assert len(numbers) == COUNT
    assert all(value in (None, number) for number, value in enumerate(numbers))
    assert (numbers.count(None) == 0) == (packet is None)


@pytest.mark.parametrize(
    ("codec", "ending"), [("ffv1", "avi"), ("ffv1", "mkv"), ("libsvtav1", "mp4")]
)
@pytest.mark.parametrize("packet", [5, 25])
def test_false_key_frames_do_not_start_decoding(tmp_path, codec, ending, packet):
    path = damaged(write(tmp_path, codec, ending, b_frames=0), packet, "noise")
    numbers = numbers_of(Video(path).frames(range(COUNT)))
    group = range(packet, (packet // 12 + 1) * 12)
    assert numbers == [None if number in group else number for number in range(COUNT)]


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="a system without the call")
@pytest.mark.parametrize("codec", ["libsvtav1", "libx265"])
def test_an_encoder_does_not_change_the_process_priority(tmp_path, codec):
    write_numbered(tmp_path / "film.mp4", codec, count=5)
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg2video"])
@pytest.mark.parametrize("first", [0.3, 0.5, 0.65])
def test_missing_packets_of_a_transport_stream_leave_no_copies(tmp_path, codec, first):
    """As from a receiver, or a network: every picture that is given is the one of its time."""
    path = write_numbered(tmp_path / "whole.ts", codec, size=(288, 352))
    content, size = path.read_bytes(), 188
    start = int(first * len(content) / size)
    path.write_bytes(content[: start * size] + content[(start + 6) * size :])
    video = Video(path)
    frames = list(video.frames(range(len(video))))
    pictures = [frame for frame in frames if not isinstance(frame, FrameFault)]
    numbers = [number_of(frame) for frame in pictures]
    assert 20 <= len(numbers) < COUNT
    assert numbers == sorted(set(numbers))
    for number, frame in zip(numbers, pictures, strict=True):
        difference = np.abs(frame.astype(int) - numbered(number, (288, 352)))
        assert difference.mean() < 4


@pytest.mark.parametrize("ending", ["mpg", "ts", "avi"])
@pytest.mark.parametrize("size", [(100, 150), (288, 352)])
def test_interlaced_pictures_have_all_rows(tmp_path, ending, size):
    options = {"flags": "+ildct+ilme", "qscale": "3"}
    path = write_numbered(
        tmp_path / f"a.{ending}", "mpeg2video", size=size, count=14, options=options
    )
    assert numbers_of(Video(path).frames(range(14))) == list(range(14))
