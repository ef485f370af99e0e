import numpy as np
import pytest

import core.video.decode as decode
from core.video.decode import Video, declared_video_size
from core.video.faults import FrameFault, Reason
from tests.fakes.raw_datasets import scene, write_video


def test_lossless_video_gives_exact_frames(tmp_path, monkeypatch):
    frames = [scene(number)[0] for number in range(7)]
    write_video(tmp_path / "a.avi", frames)
    monkeypatch.setattr(decode, "MAX_CHUNK", 3)
    video = Video(tmp_path / "a.avi")
    assert (len(video), video.height, video.width) == (7, 240, 320)
    found = list(video.frames([0, 1, 2, 4, 6]))
    for number, frame in zip([0, 1, 2, 4, 6], found, strict=True):
        np.testing.assert_array_equal(frame, frames[number])


def test_no_more_frames_at_once_than_the_limit(tmp_path, monkeypatch):
    write_video(tmp_path / "a.avi", [scene(number)[0] for number in range(5)])
    monkeypatch.setattr(decode, "CHUNK_BYTES", 2 * 240 * 320 * 3)
    video, asked = Video(tmp_path / "a.avi"), []
    reader = video._reader

    class Watched:
        def get_batch(self, wanted):
            asked.append(list(wanted))
            return reader.get_batch(wanted)

    video._reader = Watched()
    assert len(list(video.frames(range(5)))) == 5
    assert asked == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize("content", [b"", b"RIFF1234AVI nothing more", b"\0" * 5000])
def test_what_is_no_video_is_told(tmp_path, content):
    (tmp_path / "a.avi").write_bytes(content)
    with pytest.raises(FrameFault) as caught:
        Video(tmp_path / "a.avi")
    assert caught.value.reason is Reason.BROKEN_VIDEO


def test_missing_video_is_broken(tmp_path):
    with pytest.raises(FrameFault):
        declared_video_size(tmp_path / "gone.avi")


def test_frame_beyond_the_end_is_a_fault(tmp_path):
    write_video(tmp_path / "a.avi", [scene(0)[0]])
    (found,) = Video(tmp_path / "a.avi").frames([5])
    assert isinstance(found, FrameFault)


def test_video_of_giant_frames_is_refused(tmp_path, monkeypatch):
    write_video(tmp_path / "a.avi", [scene(0)[0]])
    monkeypatch.setattr(decode, "MAX_PIXELS", 1000)
    with pytest.raises(FrameFault) as caught:
        Video(tmp_path / "a.avi")
    assert caught.value.reason is Reason.TOO_LARGE
