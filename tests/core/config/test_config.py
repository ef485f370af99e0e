import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from core.config import check_config, dump_config, flatten, preset_names, resolve_config
from core.config.resolve import parse_override
from core.config.schema import config_class
from core.config.shipped import merge
from core.errors import ConfigError, UsageError
from core.manifests.load import load_manifest
from core.models.families import FAMILIES
from core.runs.stores import with_frames


def test_every_preset_resolves_and_survives_a_round_trip():
    assert set(preset_names()) >= {"paper", "tiny"}
    for name in preset_names():
        config = resolve_config(name)
        assert check_config(yaml.safe_load(dump_config(config))) == config


def test_the_paper_preset_is_the_schema_itself():
    assert resolve_config("paper") == config_class("lmgait").model_validate({})


@pytest.mark.parametrize(
    ("dataset", "frames"), [("ccpg", 30), ("sustech1k", 24), ("casiab", 24), ("casiab_star", 24)]
)
def test_the_papers_schedule_for_each_dataset(dataset, frames):
    config = with_frames(resolve_config("paper"), load_manifest(dataset))
    train = config.train
    assert (train.iterations, train.milestones) == (40_000, (15_000, 25_000, 30_000, 35_000))
    assert (train.optimizer, train.lr, train.momentum) == ("sgd", 0.1, 0.9)
    assert (train.weight_decay, train.gamma, train.ramp, train.clip_norm) == (5e-4, 0.1, 0, 0.0)
    assert config.warmup.iterations == 5_000
    assert (config.data.identities, config.data.sequences) == (6, 8)
    assert config.data.frames == frames
    losses = config.losses
    assert (losses.silhouette, losses.smoothness, losses.diversity) == (1.0, 0.01, 5.0)
    assert (losses.margin, losses.scale, losses.label_smoothing) == (0.2, 16.0, 0.1)
    image = config.model.image
    assert (image.height, image.width, image.layers) == (448, 224, (3, 6, 9, 12))


def test_a_given_clip_length_is_not_changed():
    config = resolve_config("paper", overrides=["data.frames=7"])
    assert with_frames(config, load_manifest("ccpg")).data.frames == 7


def test_the_later_layer_wins(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("train: {lr: 0.5, iterations: 9}\nseed: 3\n")
    config = resolve_config("tiny", file=path, overrides=["train.lr=1e-3", "train.keep=4"])
    assert (config.seed, config.train.iterations) == (3, 9)
    assert (config.train.lr, config.train.keep) == (1e-3, 4)
    assert config.train.optimizer == "adamw"  # the preset's, not touched by the file


@pytest.mark.parametrize(
    ("override", "near"),
    [
        ("train.iteratoins=4", "train.iteratoins: unknown key; did you mean `iterations`?"),
        ("modle.fusion=add", "modle: unknown key; did you mean `model`?"),
        ("model.image.hight=8", "model.image.hight: unknown key; did you mean `height`?"),
        ("losses.smoothnes=0", "losses.smoothnes: unknown key; did you mean `smoothness`?"),
    ],
)
def test_unknown_keys_are_refused_with_the_nearest(override, near):
    with pytest.raises(ConfigError) as caught:
        resolve_config(overrides=[override])
    assert caught.value.what == near


@pytest.mark.parametrize(
    ("model", "override", "owners"),
    [
        (
            "gaitbase",
            "warmup.iterations=4",
            "warmup: unknown key; a setting of LMGait, BiggerGait, GaitEdge",
        ),
        (
            "gaitset",
            "model.image.weights=x",
            "model.image: unknown key; a setting of LMGait, BigGait, BiggerGait",
        ),
        (
            "biggergait",
            "model.mask_iterations=3",
            "model.mask_iterations: unknown key; a setting of BigGait",
        ),
        ("lmgait", "model.qqq=2", "model.qqq: unknown key"),
    ],
)
def test_a_key_of_other_families_is_refused_with_their_names(model, override, owners):
    with pytest.raises(ConfigError) as caught:
        resolve_config("tiny", model=model, overrides=[override])
    assert caught.value.what == owners
    command = "config show`" if model == "lmgait" else f"config show --model {model}`"
    assert command in (caught.value.next_step or "")


def test_all_errors_are_reported_at_once(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("train: {lr: -1, milestones: [5, 3]}\nmodel: {fusion: sum}\ncolour: red\n")
    with pytest.raises(ConfigError) as caught:
        resolve_config(file=path, overrides=["data.flip=2", "losses.margin=.nan"])
    told = caught.value.what
    for key in ("train.lr", "model.fusion", "colour", "data.flip", "losses.margin"):
        assert key in told
    assert str(path) == caught.value.where
    assert len(told.splitlines()) >= 5


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("train.milestones=[5,3]", "milestones must rise"),
        ("warmup.image_encoder=true", "only an encoder built from a seed"),
        ("model.gait.channels=[1,2,3]", "model.gait.channels"),
        ("data.identities=1", "data.identities"),
        ("train.iterations=0", "train.iterations"),
        ("losses.margin=.inf", "losses.margin"),
        ("train=3", "train"),
    ],
)
def test_values_out_of_range(override, words):
    with pytest.raises(ConfigError) as caught:
        resolve_config(overrides=[override])
    assert words in caught.value.what


def test_an_empty_mtcm_raises_an_error():
    wanted = [f"model.temporal.{part}=false" for part in ("pte", "difference", "conv3d")]
    with pytest.raises(ConfigError, match="use kind: off"):
        resolve_config(overrides=wanted)


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("model.fusion=off", "off"),
        ("model.text.mam=off", "off"),
        ("model.temporal.kind=off", "off"),
        ("model.temporal.pte=off", False),
        ("model.representation.supervise=no", False),
        ("model.temporal.difference=false", False),
        ("train.lr=5e-2", 0.05),
        ("data.frames=null", None),
        ("model.image.layers=[1, 2]", (1, 2)),
        ("model.text.prompt=a: b=c.txt", "a: b=c.txt"),
    ],
)
def test_override_values_are_parsed_as_yaml(override, value):
    if ": " in override:
        with pytest.raises(ConfigError):
            resolve_config(overrides=[override])
        override = override.replace("=a: b=c.txt", "='a: b=c.txt'")
    config = resolve_config(overrides=[override])
    node = config
    for part in override.partition("=")[0].split("."):
        node = getattr(node, part)
    assert node == value
    assert type(node) is type(value)


def test_off_in_a_file_is_a_word_where_a_word_stands(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("model:\n  fusion: off\n  temporal: {kind: off, pte: off}\n")
    model = resolve_config(file=path).model
    assert (model.fusion, model.temporal.kind, model.temporal.pte) == ("off", "off", False)


@pytest.mark.parametrize("text", ["train.lr", "=3", "train..lr=3", ".lr=3"])
def test_unreadable_overrides(text):
    with pytest.raises(ConfigError, match="Cannot read the override"):
        resolve_config(overrides=[text])


@pytest.mark.parametrize(
    "text",
    [
        "seed: !!python/object/apply:os.system ['true']",
        "!!python/object:core.errors.LmgaitError {}",
        "seed: [1",
        "\x00",
        "- 1\n- 2",
        "just words",
        "seed: &a [*a]",
    ],
)
def test_files_that_are_not_plain_settings_raise_an_error(tmp_path, text):
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        resolve_config(file=path)
    assert str(path) in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    for path in (tmp_path / "gone.yaml", tmp_path):
        with pytest.raises(ConfigError, match=str(path)):
            resolve_config(file=path)
    (tmp_path / "latin.yaml").write_bytes(b"seed: \xff")
    (tmp_path / "large.yaml").write_bytes(b"#" * (1 << 21))
    (tmp_path / "empty.yaml").write_bytes(b"")
    for name in ("latin.yaml", "large.yaml"):
        with pytest.raises(ConfigError):
            resolve_config(file=tmp_path / name)
    assert resolve_config(file=tmp_path / "empty.yaml") == resolve_config("paper")


def test_unknown_presets_name_the_nearest():
    with pytest.raises(UsageError, match="Did you mean `paper`"):
        resolve_config("papr")


def test_flatten_names_every_leaf():
    leaves = flatten(resolve_config("tiny"))
    assert leaves["model.image.architecture"] == "tiny-patch8"
    assert leaves["train.milestones"] == [240]
    again: dict[str, Any] = {}
    for key, value in leaves.items():
        tree = value
        for part in reversed(key.split(".")):
            tree = {part: tree}
        again = merge(again, tree)
    assert check_config(again) == resolve_config("tiny")


@given(st.recursive(st.integers(), lambda inner: st.dictionaries(st.text("ab", max_size=2), inner)))
def test_merging_with_nothing_or_itself_changes_nothing(tree):
    base = {"root": tree}
    assert merge(base, {}) == base
    assert merge({}, base) == base
    assert merge(base, base) == base


def test_an_override_is_a_tree():
    assert parse_override("a.b.c=[1, x]") == {"a": {"b": {"c": [1, "x"]}}}


def test_no_setting_is_unused():
    """A leaf of the tree that no code reads would be a switch that does nothing."""
    root = Path(__file__).parents[3] / "core"
    code = "\n".join(
        path.read_text("utf-8") for path in root.rglob("*.py") if path.parent.name != "config"
    )
    keys = [key for name in FAMILIES for key in flatten(resolve_config("paper", model=name))]
    names = {key.rsplit(".", 1)[-1] for key in keys}
    assert not [n for n in sorted(names) if not re.search(rf"(?<!\bre)(?<!torch)\.{n}\b", code)]


def test_settings_need_no_torch():
    """`lmgait --help` and completion read them."""
    code = "import sys, core.config as c; c.resolve_config('tiny', model='gaitbase'); "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
