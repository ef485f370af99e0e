import numpy as np

from core.system.files import whole_file
from core.video.encode import VideoWriter
from core.video.stream import VideoStream
from tests.fakes.videos import moving_square


def test_frames_come_back_in_order_and_size(tmp_path):
    frames = moving_square(9, size=(97, 65))
    path = tmp_path / "a.mp4"
    with whole_file(path) as partial, VideoWriter(partial, (65, 97), 29.97) as writer:
        for frame in frames:
            writer.add(frame)
    video = VideoStream(path)
    assert len(video) == 9
    for expected, (_, result) in zip(frames, video.frames(range(9)), strict=True):
        assert result.shape == (64, 96, 3)  # the odd row and column are left out
        assert np.abs(expected[:64, :96].astype(int) - result).mean() < 6
    assert np.allclose(np.diff(video.times), 1 / 29.97, atol=1e-3)
