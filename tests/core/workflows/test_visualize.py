"""Pictures show what the model computes: the same maps as over the whole sequence."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from core.data.dataset import to_tensor
from core.errors import CheckpointError, UsageError
from core.models.backbones.prompts import prompt_words
from core.models.lmgait.pictures import word_attention
from core.progress import SilentProgress
from core.runs.load import LoadedModel, load_model
from core.runs.run import find_run
from core.storage.store import Store
from core.training.checkpoint import load_tensors, save_tensors
from core.visualization.contact_sheet import silhouette_iou, write_contact_sheet
from core.visualization.model_views import look, words_of
from core.visualization.view_sheet import Told, draw_film, draw_sheet, strongest_word
from core.workflows.cache_text import cache_text
from core.workflows.train import train
from core.workflows.visualize import find_sequence, spread, visualize
from core.workspace import Workspace
from tests.fakes.models import small_config, small_model
from tests.fakes.stores import write_store
from tests.fakes.training import write_training_store

CPU = torch.device("cpu")
TOLD = Told("A title", ("A note.",), "MTCM response")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores") / "fakes"
    write_store(folder)
    return Store.open(folder)


def lively(**model):
    """A model whose maps and temporal module do something, as after a training."""
    made = small_model(classes=None, **model).eval()
    random = torch.Generator().manual_seed(3)
    for name, value in made.named_parameters():
        if not value.any() and "frozen" not in name:
            value.data = torch.randn(value.shape, generator=random) * 0.3
    return made.requires_grad_(False)


def loaded(chunk=64, **model):
    config = small_config(model=model, evaluate={"frames_per_chunk": chunk})
    return LoadedModel(lively(**model), config, {"step": 1}, CPU, False)


def long_sequence(store):
    return next(i for i, info in enumerate(store.sequences) if info.frames == 40)


@torch.inference_mode()
def plainly(model, clip, text):
    """All frames at once, step by step."""
    patches = model.image(to_tensor(clip.rgb, (64, 32)))
    _logits, appearance, mask = model.represent(patches, text)
    maps = appearance * mask
    moving = model.temporal(maps.transpose(0, 1)[None])[0].transpose(0, 1)
    first = torch.relu(model.gait.stem_norm(model.gait.stem(moving)))
    return mask[:, 0], (moving - maps).abs().mean(1), first.mean(1)


@pytest.mark.parametrize("chunk", [1, 9, 64])
@pytest.mark.parametrize("numbers", [[0], [39], [0, 1, 2], [3, 11, 12, 30, 39], list(range(40))])
def test_frames_are_seen_as_in_the_whole_sequence(store, numbers, chunk):
    one, index = loaded(chunk), long_sequence(store)
    seen = look(one, store, index, numbers)
    assert seen.numbers == tuple(numbers)
    whole = store.read(index)
    for view, text in ((seen.model, one.model.text_features()), (seen.textless, None)):
        assert view is not None
        expected = plainly(one.model, whole, text)
        for found, wanted in zip(
            (view.silhouettes, view.motion, view.first_layer), expected, strict=True
        ):
            np.testing.assert_allclose(found, wanted[numbers].numpy(), rtol=1e-4, atol=1e-5)
    assert (seen.rgb == whole.rgb[numbers]).all()
    assert (seen.valid == whole.valid[numbers]).all()
    assert seen.attention is not None
    np.testing.assert_allclose(seen.attention.sum(1), 1, rtol=1e-5)
    assert seen.textless is not None
    assert np.abs(seen.model.first_layer - seen.textless.first_layer).max() > 1e-4


@pytest.mark.parametrize("temporal", [{"kind": "cnn3d"}, {"kind": "off"}, {"kernel": 7}])
def test_any_temporal_module_has_its_context(store, temporal):
    one, index = loaded(temporal=temporal), long_sequence(store)
    seen = look(one, store, index, [5, 20])
    motion = plainly(one.model, store.read(index), one.model.text_features())[1]
    np.testing.assert_allclose(seen.model.motion, motion[[5, 20]].numpy(), rtol=1e-4, atol=1e-5)
    assert (seen.model.motion.max() == 0) == (temporal.get("kind") == "off")


def test_a_long_sequence_passes_in_pieces(store, monkeypatch):
    sizes = []
    read = Store.read

    def noted(self, index, frames=None):
        found = read(self, index, frames)
        sizes.append(len(found.valid))
        return found

    monkeypatch.setattr(Store, "read", noted)
    look(loaded(chunk=10), store, long_sequence(store), range(40))
    assert max(sizes) <= 10
    sizes.clear()
    look(loaded(), store, long_sequence(store), [0, 20, 39])
    assert sum(sizes) <= 3 * (2 * 2 + 1)  # nothing between the frames is read


def test_a_sheet_names_its_rows_and_has_its_words(store):
    one = loaded()
    seen = look(one, store, long_sequence(store), [0, 13, 26, 39])
    words, notes = words_of(one.config, seen)
    assert notes == []
    assert [w.text for w in words] == [w.text for w in prompt_words("designed", "seed")]
    sheet = draw_sheet(seen, words, TOLD)
    assert sheet.dtype == np.uint8
    assert sheet.shape[0] % 2 == sheet.shape[1] % 2 == 0
    film = list(draw_film(seen, words, TOLD))
    assert len(film) == 4
    assert len({picture.shape for picture in film}) == 1
    assert (film[0] != film[1]).any()


def test_without_text_rows_are_left_out(store):
    one = loaded(fusion="off")
    seen = look(one, store, long_sequence(store), [0, 39])
    assert seen.attention is None
    assert seen.textless is None
    assert strongest_word(seen, []) is None
    assert words_of(one.config, seen) == ([], [])
    less = Told("A title", ("A note.",), None)
    assert draw_sheet(seen, [], less).shape[0] < draw_sheet(seen, [], TOLD).shape[0]
    assert len(list(draw_film(seen, [], less))) == 2


def test_the_strongest_word_is_no_begin_and_no_end(store):
    one = loaded()
    seen = look(one, store, 0, [0])
    words, _ = words_of(one.config, seen)
    assert seen.attention is not None
    seen.attention[:] = 0.0
    seen.attention[:, 0] = 0.6
    seen.attention[:, 5, 2, 1] = 0.4
    looked = strongest_word(seen, words)
    assert looked is not None
    assert looked.max() == np.float32(0.4)
    assert np.argwhere(looked).tolist() == [[0, 2, 1]]


def test_tensorboard_s_attention_is_of_words_in_every_sentence(store, tmp_path):
    path = tmp_path / "own.txt"
    path.write_text("Legs move.\nArms swing.")
    model = lively(text={"prompt": str(path)})
    specials = [0, 4, 5, 9]  # begin and end of both sentences
    weights = torch.rand(2, 32, 10)
    weights[..., specials] += 5
    model.attention_maps = lambda patches: weights
    looked = word_attention(model, torch.zeros(2, 32, 1))
    plain = weights[..., [n for n in range(10) if n not in specials]].amax(-1).unflatten(1, (8, 4))
    low, high = plain.amin((1, 2), keepdim=True), plain.amax((1, 2), keepdim=True)
    torch.testing.assert_close(looked, (plain - low) / (high - low))


def test_a_model_that_has_diverged_is_told(workspace, tmp_path, monkeypatch):
    shutil.copytree(workspace.root, tmp_path / "ws")
    copy = Workspace(tmp_path / "ws")
    newest = find_run(copy.runs, name="mute", dataset=None).checkpoints().newest()
    assert newest is not None
    found = load_tensors(newest / "model.safetensors")
    broken = found.tensors | {"gait.stem.weight": found.tensors["gait.stem.weight"] * np.nan}
    save_tensors(newest / "model.safetensors", broken, found.header)
    with pytest.raises(CheckpointError, match="not finite"):
        drawn(copy, "mute")


def test_a_prompt_that_is_gone_gives_numbers(store, tmp_path):
    path = tmp_path / "own.txt"
    path.write_text("Legs move.")
    one = loaded(text={"prompt": str(path)})
    seen = look(one, store, 0, [0])
    assert [word.text for word in words_of(one.config, seen)[0]][1] == "legs"
    for change in ("Arms and legs move.", None):
        path.unlink() if change is None else path.write_text(change)
        words, notes = words_of(one.config, seen)
        assert words[0].text == "token 1"
        assert seen.attention is not None
        assert len(words) == seen.attention.shape[1]
        assert "own.txt" in notes[0]


def test_frames_are_spread_from_first_to_last():
    assert spread(5, 8) == [0, 1, 2, 3, 4]
    assert spread(28, 4) == [0, 9, 18, 27]
    assert spread(1000, 1) == [500]
    for total, most in ((40, 30), (1001, 48), (49, 48)):
        found = spread(total, most)
        assert found == sorted(set(found))
        assert (len(found), found[0], found[-1]) == (most, 0, total - 1)


def test_a_misspelt_sequence_gets_the_nearest_names(store):
    assert find_sequence(store, "001/cl-01/090") == 1
    with pytest.raises(UsageError, match="001/nm-01/090") as failed:
        find_sequence(store, "1/nm-1/90")
    assert "Nearest" in (failed.value.next_step or "")
    with pytest.raises(UsageError, match="Names are like: 001/cl-01/000"):
        find_sequence(store, "zzzzzzzzzzzzz")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    made = Workspace(tmp_path_factory.mktemp("trained") / "ws")
    write_training_store(made.store("casiab"))
    for name, fusion in (("spoken", "attend_add"), ("mute", "off"), ("whole", "gate")):
        config = small_config(model={"fusion": fusion}, train={"iterations": 1, "lr": 0.02})
        train(made, "casiab", config, preset="tiny", name=name, progress=SilentProgress())
    return made


def drawn(workspace, run="spoken", **options):
    return visualize(workspace, run, "075/nm-05/090", progress=SilentProgress(), **options)


def test_a_run_s_sheet_lies_in_its_folder_and_is_the_same_again(workspace, tmp_path):
    done = drawn(workspace)
    assert done.path == workspace.runs / "spoken" / "pictures" / "075-nm-05-090.png"
    with Image.open(done.path) as picture:
        assert picture.format == "PNG"
    assert sum(share for _, share in done.words) == pytest.approx(1, abs=1e-4)
    assert json.dumps(done.words)
    again = drawn(workspace, out=tmp_path / "again.png")
    assert again.path.read_bytes() == done.path.read_bytes()
    assert again.frames == done.frames


def test_a_cached_text_gives_the_same_picture(workspace, tmp_path):
    shutil.copytree(workspace.root, tmp_path / "ws")
    copy = Workspace(tmp_path / "ws")
    live = drawn(copy, out=tmp_path / "live.png")
    cache_text(copy, run_name="spoken", dataset=None, progress=SilentProgress())
    cached = drawn(copy, out=tmp_path / "cached.png")
    assert cached.path.read_bytes() == live.path.read_bytes()


@pytest.mark.parametrize(
    ("run", "told"), [("mute", "no text"), ("whole", "`gate`, takes the text as a whole")]
)
def test_what_a_model_lacks_is_told(workspace, tmp_path, run, told):
    done = drawn(workspace, run, out=tmp_path / "a.gif", frames=2)
    assert told in " ".join(done.notes)
    assert len(done.frames) == 2
    assert done.path.stat().st_size > 1000


def test_nothing_is_computed_for_a_wrong_ending_or_name(workspace, tmp_path):
    with pytest.raises(UsageError, match=r"\.jpg"):
        drawn(workspace, out=tmp_path / "a.jpg")
    with pytest.raises(UsageError, match="no run"):
        drawn(workspace, "spken")


def test_the_contact_sheet_and_its_measure(workspace, tmp_path):
    run = find_run(workspace.runs, name="spoken", dataset=None)
    store, model = Store.open(workspace.store("casiab")), load_model(run, device=CPU)
    embeddings = np.ones((2, 8, 4), np.float32)
    write_contact_sheet(model, store, [0, 5], embeddings, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.size[1] > 2 * 256
    assert 0 <= silhouette_iou(model, store, [0, 5], each=2) <= 1
