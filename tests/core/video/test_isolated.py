"""A user's own video in a process of its own: the same frames, and a crash that is a message."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from core.errors import DataError
from core.tracking.footage import Footage, thin_out
from core.video.faults import FrameFault, Reason
from core.video.isolated import IsolatedVideo
from core.video.stream import VideoStream
from tests.fakes.numbered import COUNT, number_of, numbered, numbered_bytes, write_numbered
from tests.fakes.videos import write_stream


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.mkv"
    path.write_bytes(numbered_bytes("libx264", "mkv"))
    return path


def test_frames_equal_those_of_the_stream(path):
    plain, own = VideoStream(path), IsolatedVideo(path)
    assert own.size == plain.size
    assert own.lost == plain.lost == ()
    np.testing.assert_array_equal(own.times, plain.times)
    for (number, frame), (other, expected) in zip(
        own.frames([0, 3, 17]), plain.frames([0, 3, 17]), strict=True
    ):
        assert number == other == number_of(frame)
        np.testing.assert_array_equal(frame, expected)
    own.close()


def test_an_abandoned_call_does_not_disturb_the_next(path):
    video = IsolatedVideo(path)
    for first in (0, 5, 30):
        for number, frame in video.frames(range(first, COUNT)):
            assert number_of(frame) == number
            if number > first + 1:
                break
    assert [number_of(frame) for _, frame in video.frames([39])] == [39]
    assert list(video.frames([])) == []


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("number", ["SIGSEGV", "SIGABRT", "SIGKILL"])
def test_a_crash_of_the_decoder_raises_a_clear_error(path, number):
    footage = Footage.open(path)
    frames = footage.images(range(COUNT))
    next(frames)
    os.kill(footage.video._process.pid, getattr(signal, number))
    with pytest.raises(DataError) as caught:
        list(footage.images(range(COUNT)))
    words = (
        "killed, perhaps because memory ran out" if number == "SIGKILL" else "crashes the library"
    )
    assert words in caught.value.what
    assert caught.value.where == str(path)


def test_a_file_that_is_not_a_video_is_a_fault(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"text")
    with pytest.raises(FrameFault) as caught:
        IsolatedVideo(tmp_path / "a.mp4")
    assert caught.value.reason is Reason.BROKEN_VIDEO


def test_the_child_ends_with_its_video(path):
    video = IsolatedVideo(path)
    process = video._process
    del video
    assert process.poll() is not None


def test_decoding_works_in_a_script_without_a_main_guard(path, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nfrom core.video.isolated import IsolatedVideo\n"
        "print(len(IsolatedVideo(sys.argv[1])))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.run(
        [sys.executable, str(script), str(path)], env=environment, capture_output=True, check=True
    )
    assert int(process.stdout) == COUNT


def joined(folder, *sizes):
    """A stream whose picture size changes after every ten pictures."""
    path = folder / "joined.ts"
    with path.open("wb") as file:
        for first, size in zip(range(0, COUNT, 10), sizes, strict=False):
            pictures = [numbered(first + k, size) for k in range(10)]
            ticks = [24 * (first + k) for k in range(10)]
            part = write_stream(folder / "part.ts", pictures, ticks=ticks, options={"bf": "0"})
            file.write(part.read_bytes())
    return path


def test_pictures_of_changing_size_are_scaled_to_the_first(tmp_path):
    video = VideoStream(joined(tmp_path, (96, 160), (48, 80), (192, 320)))
    pictures = list(video.frames(range(30)))
    assert {picture.shape for _, picture in pictures} == {(96, 160, 3)}
    assert [number_of(picture) for _, picture in pictures] == list(range(30))
    assert video.lost == ()


def test_pictures_that_change_shape_are_skipped_and_reported(tmp_path):
    video = VideoStream(joined(tmp_path, (96, 160), (160, 96)))
    assert video.lost == tuple(range(10, 20))
    assert [number for number, _ in video.frames(range(20))] == list(range(10))


@pytest.mark.parametrize("rate", [10, 24, 25, 29.97, 30, 31])
def test_videos_up_to_31_frames_a_second_lose_none(rate):
    assert len(thin_out(np.arange(300) / rate)) == 300


@pytest.mark.parametrize("jitter", [0.3, 2, 5])
@pytest.mark.parametrize("rate", [24, 30])
def test_a_jittering_clock_loses_no_frame(rate, jitter):
    noise = np.random.default_rng(0).normal(0, jitter / 1000, 300)
    assert len(thin_out(np.sort(np.arange(300) / rate + noise))) == 300


@pytest.mark.parametrize("jitter", [0.0, 1.0])
@pytest.mark.parametrize("rate", [32, 36, 40, 45, 48, 50, 59.94, 60, 75, 90, 100, 120, 240])
def test_fast_videos_are_reduced_to_25_to_31_frames_a_second(rate, jitter):
    noise = np.random.default_rng(0).normal(0, jitter / 1000, 10 * 240)
    times = np.sort(np.arange(10 * 240) / rate + noise)
    numbers = thin_out(times)
    seconds = times[numbers]
    mean = (len(numbers) - 1) / (seconds[-1] - seconds[0])
    assert 24.9 <= mean <= 31
    # As even as the frames allow: no step is longer than a usual one and one of the video.
    assert np.diff(seconds).max() <= 1 / mean + 1.1 / rate + 6 * jitter / 1000
    for start in np.arange(0, seconds[-1] - 1, 0.5):
        assert 23 <= np.sum((seconds >= start) & (seconds < start + 1)) <= 32


def test_every_other_frame_of_60_a_second_is_read(tmp_path):
    path = write_numbered(tmp_path / "a.mp4", rate=60, count=60)
    assert Footage.open(path).frames == list(range(0, 60, 2))
