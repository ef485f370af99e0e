"""Boxes from files and detectors, and which tracks are left out."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from core.errors import DataError
from core.progress import SilentProgress
from core.tracking.boxfile import read_boxes
from core.tracking.detector import STRIDES, Detector
from core.tracking.find import Finding, Footage, find_tracks
from core.tracking.follow import Follower
from core.tracking.tracks import MIN_FRAMES, Track, iou, sort_out
from tests.fakes.videos import moving_square, write_stream

SIZE = (240, 320)


def track(number=1, frames=40, left=20.0, speed=4.0, tall=100.0, growth=0.0, first=0):
    times = np.arange(frames)
    x, h = left + speed * times, tall + growth * times
    boxes = np.stack([x, 120 - h / 2, x + h / 3, 120 + h / 2], axis=1)
    return Track(number, times + first, boxes)


def reasons(*tracks, **options):
    return [out.reason for out in sort_out(tracks, SIZE, **options)[1]]


def test_walking_people_are_usable_and_others_have_a_reason():
    assert reasons(track()) == []
    assert reasons(track(growth=1.0, speed=0.0)) == []
    assert reasons(track(speed=0.2)) == ["stands still"]
    assert reasons(track(speed=0.2), moving=False) == []
    assert reasons(track(frames=MIN_FRAMES - 1))[0].startswith("too short")
    assert reasons(track(tall=40.0))[0].startswith("too small: 40 pixels")
    assert "cut by the picture's edge" in reasons(track(frames=90, left=300.0))[0]


def test_frames_with_two_people_in_a_box_are_skipped():
    first = track(1, left=20.0, speed=4.0, frames=60)
    second = track(2, left=256.0, speed=-4.0, frames=60)
    usable, _ = sort_out([first, second], SIZE)
    assert [one.number for one in usable] == [1, 2]
    met = set(range(60)) - set(usable[0].frames.tolist())
    assert met
    for frame in usable[0].frames:
        if frame in second.frames:
            shared = iou(first.boxes[frame][None], second.boxes[frame][None])[0, 0]
            assert shared < 0.2


def test_people_who_cross_keep_their_tracks():
    follower = Follower()
    for frame in range(60):
        boxes = np.stack(
            [
                track(speed=5.0, frames=60).boxes[frame],
                track(left=280.0, speed=-4.0, frames=60).boxes[frame],
            ]
        )
        if iou(boxes[:1], boxes[1:])[0, 0] > 0:  # one blob, as the background gives
            both = np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])
            boxes = both[None]
        follower.add(frame, boxes)
    tracks = [one for one in follower.tracks() if len(one) > 10]
    assert len(tracks) == 2
    for one in tracks:
        steps = np.diff(one.boxes[:, 0]) / np.diff(one.frames)
        assert np.ptp(np.sign(steps)) == 0


def test_boxes_are_read_in_the_form_of_motchallenge(tmp_path):
    path = tmp_path / "b.csv"
    path.write_text("frame,track,x,y,w,h\n2,7,10,20,30,60,0.9,-1\n1,7,8,20,30,60\n\n1,3,0,0,5,9\n")
    first, second = read_boxes(path, frames=2)
    assert (first.number, first.frames.tolist()) == (3, [0])
    assert second.frames.tolist() == [0, 1]
    assert second.boxes.tolist() == [[8, 20, 38, 80], [10, 20, 40, 80]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,1,0,0,5\n", "line 1: 5 columns"),
        ("1,1,0,0,5,5\n1,1,1,1,5,5\n", "line 2: track 1 has frame 1 twice"),
        ("0,1,0,0,5,5\n", "line 1: frame 0, the video has 1 to 9"),
        ("10,1,0,0,5,5\n", "line 1: frame 10"),
        ("1,1,0,0,-5,5\n", "line 1: a box of -5 x 5"),
        ("1,1,nan,0,5,5\n", "line 1: a value is not finite"),
        ("1,1,0,0,5,5\n1.5,1,0,0,5,5\n", "line 2: frame and track are whole numbers"),
        ("1,1,0,0,5,5\n2;1;0;0;5;5\n", "line 2: 1 columns"),
        ("1,1,0,0,5,5\n2,1,zero,0,5,5\n", "line 2: not a number"),
        ("", "has no boxes"),
        ("frame,track,x,y,w,h\n", "has no boxes"),
    ],
)
def test_faults_of_a_box_file_are_listed_by_line(tmp_path, text, message):
    path = tmp_path / "b.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_boxes(path, frames=9)


def test_a_box_file_that_is_binary_or_missing_raises_a_clear_error(tmp_path):
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00\x01" * 40)
    for name in ("b.csv", "gone.csv"):
        with pytest.raises(DataError):
            read_boxes(tmp_path / name, frames=9)


def write_detector(path, size=(64, 96), cells=None, channels=6):
    """A detector whose only person stands where the picture is brightest, in YOLOX's form.

    Scores are the brightness of each cell, objectness and class alike; boxes are 16 pixels wide.
    """
    outputs = [f"o{stride}" for stride in STRIDES]
    nodes = []
    for stride, out in zip(STRIDES, outputs, strict=True):
        nodes += [
            helper.make_node(
                "AveragePool",
                ["images"],
                [f"p{stride}"],
                kernel_shape=[stride, stride],
                strides=[stride, stride],
            ),
            helper.make_node("ReduceMean", [f"p{stride}", "axis"], [f"m{stride}"], keepdims=0),
            helper.make_node("Reshape", [f"m{stride}", "flat"], [f"f{stride}"]),
            helper.make_node("Div", [f"f{stride}", "full"], [f"s{stride}"]),
            helper.make_node("Mul", [f"s{stride}", "none"], [f"z{stride}"]),
            helper.make_node("Add", [f"z{stride}", f"half{stride}"], [f"h{stride}"]),
            helper.make_node(
                "Concat",
                [f"z{stride}"] * 2 + [f"h{stride}"] * 2 + [f"s{stride}"] * 2,
                [out],
                axis=2,
            ),
        ]
    nodes.append(helper.make_node("Concat", outputs, ["output"], axis=1))
    constants = [
        helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
        helper.make_tensor("flat", TensorProto.INT64, [3], [1, -1, 1]),
        helper.make_tensor("full", TensorProto.FLOAT, [], [255.0]),
        helper.make_tensor("none", TensorProto.FLOAT, [], [0.0]),
        *(
            helper.make_tensor(f"half{s}", TensorProto.FLOAT, [], [float(np.log(16 / s))])
            for s in STRIDES
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, *size])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, None)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10
    onnx.save(model, path)
    return path


def test_a_detector_in_yolox_s_form(tmp_path):
    frames = moving_square(30, size=(192, 128))
    for frame in frames:
        frame[:16, :16] = 40
    footage = Footage.open(write_stream(tmp_path / "a.mp4", frames))
    detector = write_detector(tmp_path / "d.onnx", (64, 96))
    (track,) = find_tracks(footage, Finding(detector=detector), SilentProgress())
    assert len(track) == 30
    middles = (track.boxes[:, 0] + track.boxes[:, 2]) / 2
    assert np.abs(middles - (4 * np.arange(30) + 10)).max() <= 16  # a cell
    assert (track.boxes[5:25, 2] - track.boxes[5:25, 0]).max() <= 33


def test_a_file_that_is_not_a_detector_raises_a_clear_error(tmp_path):
    with pytest.raises(DataError, match="No such detector"):
        Detector(tmp_path / "gone.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(DataError, match="cannot be loaded"):
        Detector(tmp_path / "text.onnx")
    graph = helper.make_graph(
        [helper.make_node("Identity", ["images"], ["output"])],
        "same",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 64, 96])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 3, 64, 96])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(DataError, match=r"not \[1, 126, 5 \+ classes\]"):
        Detector(tmp_path / "other.onnx").people(np.zeros((64, 96, 3), np.uint8))
