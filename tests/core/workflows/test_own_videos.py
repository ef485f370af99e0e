"""From a user's own videos to names, through the command line, with a small model."""

import json
import shutil
from types import SimpleNamespace

import av
import numpy as np
import pytest
from typer.testing import CliRunner

from core import load_run
from core.errors import EXIT_DATA, EXIT_OUTPUT, EXIT_USAGE
from core.progress import SilentProgress
from core.recognition.gallery import changing, read_gallery
from core.workflows.train import train
from core.workspace import Workspace
from lmgait_cli.main import app
from tests.fakes.models import small_config
from tests.fakes.training import write_training_store
from tests.fakes.videos import moving_square, write_film, write_stream


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A workspace with two runs, and films of three people."""
    root = tmp_path_factory.mktemp("own")
    workspace = Workspace(root / "ws")
    write_training_store(workspace.store("casiab"))
    for name, lr in (("other", 0.01), ("first", 0.02)):
        config = small_config(train={"lr": lr, "iterations": 2, "milestones": []})
        train(workspace, "casiab", config, preset="tiny", name=name, progress=SilentProgress())
    films = {
        name: write_film(root / f"{name}.mp4", who)
        for name, who in {"anna": ["100"], "bo": ["101"], "both": ["100", "102"]}.items()
    }
    still = [np.full((120, 160, 3), 90, np.uint8)] * 30
    write_stream(root / "still.mp4", still)
    (root / "text.mp4").write_text("no video")
    (root / "empty.mp4").touch()
    return SimpleNamespace(root=root, workspace=workspace, films=films)


def lmgait(world, verb, *words):
    given = [
        str(world.root / word)
        if str(word).endswith((".mp4", ".st", ".csv", ".json"))
        else str(word)
        for word in words
    ]
    return CliRunner().invoke(app, [verb, *given, "--workspace", str(world.workspace.root)])


@pytest.fixture(scope="module")
def people(world):
    """A gallery of two."""
    for name, film in (("Anna", "anna.mp4"), ("Bo/Björn", "bo.mp4")):
        done = lmgait(world, "enroll", "people.st", name, film)
        assert done.exit_code == 0, done.output
        assert f"{name}: track" in done.output
    return world.root / "people.st"


def told(done):
    return " ".join(done.output.split())


def test_the_walk_that_was_enrolled_is_found_again(world, people):
    done = lmgait(world, "identify", "people.st", "bo.mp4", "--json", "bo.json")
    assert done.exit_code == 0, done.output
    assert "8 walks of strangers" in told(done)
    found = json.loads((world.root / "bo.json").read_text())
    ranking = found["walks"][0]["ranking"]
    assert ranking[0] == {"name": "Bo/Björn", "distance": 0.0, "share": pytest.approx(0.2)}
    assert [one["name"] for one in ranking] == ["Bo/Björn", "Anna"]
    assert found["walks"][0]["name"] is None  # four strangers of each view make nobody that sure
    sure = lmgait(
        world, "identify", "people.st", "bo.mp4", "--false-accepts", "0.25", "--json", "bo.json"
    )
    assert json.loads((world.root / "bo.json").read_text())["walks"][0]["name"] == "Bo/Björn"
    assert "Bo/Björn" in sure.output


def test_strangers_are_embedded_once_for_each_checkpoint_and_store(world, people):
    kept = world.workspace.runs / "first" / "embeddings" / "strangers-casiab.npz"
    lmgait(world, "identify", "people.st", "anna.mp4")
    before = kept.stat().st_mtime_ns
    lmgait(world, "identify", "people.st", "anna.mp4")
    assert kept.stat().st_mtime_ns == before
    kept.write_bytes(b"damaged")
    assert lmgait(world, "identify", "people.st", "anna.mp4").exit_code == 0
    assert kept.stat().st_size > 100


def test_embeddings_that_evaluate_has_made_serve_as_strangers(world, people, tmp_path):
    scored = Workspace(tmp_path / "scored")
    shutil.copytree(world.workspace.root, scored.root)
    shutil.rmtree(scored.runs / "first" / "embeddings", ignore_errors=True)
    evaluated = CliRunner().invoke(app, ["evaluate", "--workspace", str(scored.root)])
    assert evaluated.exit_code == 0, evaluated.output
    words = ["identify", str(people), str(world.root / "anna.mp4"), "--workspace", str(scored.root)]
    assert "8 walks of 2 test subjects" in told(CliRunner().invoke(app, words))
    kept = scored.runs / "first" / "embeddings"
    assert (kept / "casiab.npz").is_file()
    assert not (kept / "strangers-casiab.npz").exists()


def test_everybody_in_a_scene_is_answered_and_drawn(world, people):
    done = lmgait(
        world,
        "identify",
        "people.st",
        "both.mp4",
        "--json",
        "both.json",
        "--video-out",
        "named.mp4",
        "--false-accepts",
        "0.25",
    )
    assert done.exit_code == 0, done.output
    found = json.loads((world.root / "both.json").read_text())
    assert len(found["walks"]) == 2
    assert found["walks"][0]["ranking"][0]["name"] == "Anna"
    with av.open(str(world.root / "named.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (320, 240)
        assert sum(1 for _ in container.decode(stream)) == world.films["both"].film.frames


def test_without_a_store_nobody_is_named_and_that_is_said(world, people, tmp_path):
    alone = Workspace(tmp_path / "alone")
    shutil.copytree(world.workspace.runs / "first", alone.runs / "first")
    shutil.rmtree(alone.runs / "first" / "embeddings", ignore_errors=True)
    words = ["identify", str(people), str(world.root / "anna.mp4"), "--workspace", str(alone.root)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "not known whether somebody is in the gallery" in told(done)
    assert "Anna 0.000" in told(done)


def test_several_people_at_once_need_a_track(world):
    done = lmgait(world, "enroll", "tracks.st", "Anna", "both.mp4")
    assert done.exit_code == EXIT_DATA
    assert "2 people walk in this video" in told(done)
    assert "--track" in told(done)
    assert not (world.root / "tracks.st").exists()
    done = lmgait(world, "enroll", "tracks.st", "Anna", "both.mp4", "--track", 99)
    assert "no usable track 99" in told(done)
    assert "The video has 1" in told(done)


def test_the_same_video_again_replaces(world, people):
    before = read_gallery(people)
    assert lmgait(world, "enroll", "people.st", "Anna", "anna.mp4").exit_code == 0
    after = read_gallery(people)
    assert sorted(after.entries, key=str) == sorted(before.entries, key=str)


def test_a_walk_that_gets_another_name_is_told(world, people, tmp_path):
    gallery = tmp_path / "moved.st"
    shutil.copy(people, gallery)
    done = lmgait(world, "enroll", str(gallery), "Cleo", "anna.mp4")
    assert "of anna.mp4 was Anna's; it is Cleo's now" in told(done)
    assert "Anna" not in read_gallery(gallery).names


def test_another_model_s_gallery_is_refused_before_any_work(world, people):
    for verb, words in (("identify", ["anna.mp4"]), ("enroll", ["Anna", "anna.mp4"])):
        done = lmgait(world, verb, "people.st", *words, "--run", "other")
        assert done.exit_code == EXIT_DATA
        assert "made by another model: first, iteration 2" in told(done)
        assert "--run first" in told(done)


def test_boxes_and_crop(world):
    truth = world.films["anna"].boxes[:, 0]
    lines = [
        f"{frame + 1},4,{x0},{y0},{x1 - x0},{y1 - y0}"
        for frame, (x0, y0, x1, y1) in enumerate(truth)
        if np.isfinite(x0)
    ]
    (world.root / "anna.csv").write_text("\n".join(lines))
    done = lmgait(world, "enroll", "boxes.st", "Anna", "anna.mp4", "--boxes", "anna.csv")
    assert done.exit_code == 0, done.output
    assert "track 4 of anna.mp4" in told(done)
    done = lmgait(world, "enroll", "crop.st", "Anna", "anna.mp4", "--crop")
    assert f"{world.films['anna'].film.frames} frames" in told(done)
    (world.root / "bad.csv").write_text("1,1,0,0\n")
    done = lmgait(world, "enroll", "boxes.st", "Anna", "anna.mp4", "--boxes", "bad.csv")
    assert done.exit_code == EXIT_DATA
    assert "line 1: 4 columns" in told(done)
    done = lmgait(world, "enroll", "b.st", "A", "anna.mp4", "bo.mp4", "--boxes", "anna.csv")
    assert done.exit_code == EXIT_USAGE


@pytest.mark.parametrize(
    ("video", "message"),
    [
        ("gone.mp4", "No such video"),
        ("text.mp4", "This is not a video, or a broken one"),
        ("empty.mp4", "This is not a video, or a broken one"),
        ("still.mp4", "No walking person was found"),
    ],
)
def test_videos_that_cannot_be_used(world, people, video, message):
    for verb, words in (("identify", [video]), ("enroll", ["Cleo", video])):
        done = lmgait(world, verb, "people.st", *words)
        assert done.exit_code == EXIT_DATA, done.output
        assert message in told(done)
        assert "Traceback" not in done.output
    assert "Cleo" not in read_gallery(people).names


def test_galleries_and_options_that_cannot_be_used(world, people):
    (world.root / "damaged.st").write_bytes(people.read_bytes()[:-7])
    cases = [
        (("identify", "gone.st", "anna.mp4"), EXIT_DATA, "There is no such gallery"),
        (("identify", "damaged.st", "anna.mp4"), EXIT_DATA, "cannot be read"),
        (("enroll", "damaged.st", "Anna", "anna.mp4"), EXIT_DATA, "cannot be read"),
        (("identify", "people.st", "anna.mp4", "--false-accepts", "1"), EXIT_USAGE, "is no share"),
        (("identify", "people.st", "anna.mp4", "--run", "gone"), EXIT_USAGE, "no run `gone`"),
        (("enroll", "people.st", " ", "anna.mp4"), EXIT_USAGE, "cannot be a name"),
        (("identify", "people.st", "anna.mp4", "--video-out", "a.st"), EXIT_USAGE, ".mp4"),
    ]
    for words, code, message in cases:
        done = lmgait(world, *words)
        assert (done.exit_code, message in told(done)) == (code, True), done.output
    with changing(people):
        done = lmgait(world, "enroll", "people.st", "Anna", "anna.mp4")
    assert done.exit_code == EXIT_OUTPUT


def test_the_library_embeds_videos_as_the_command_line_does(world, people):
    model = load_run("first", workspace=world.workspace.root, device="cpu")
    (walk,) = model.embed_video(world.root / "anna.mp4")
    gallery = read_gallery(people)
    place = [entry.name for entry in gallery.entries].index("Anna")
    np.testing.assert_array_equal(walk.embedding, gallery.embeddings[place])


def test_people_in_odd_streams(world, tmp_path):
    path = write_stream(tmp_path / "a.mp4", moving_square(60, size=(322, 182)), "mpeg4")
    done = lmgait(world, "enroll", "square.st", "Square", path)
    assert done.exit_code == EXIT_DATA  # a square is nobody
    assert "No walking person was found" in told(done)
