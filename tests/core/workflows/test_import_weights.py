"""Checkpoints of other programs become runs whose embeddings are those of the source."""

import json
import re

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

from core.config import resolve_config
from core.errors import CheckpointError, LmgaitError, UsageError, WeightsError
from core.manifests.load import load_manifest
from core.models.backbones.config import encoder_settings
from core.models.base import implementation_of
from core.models.build import build_image_encoder
from core.progress import SilentProgress
from core.runs.load import load_model
from core.runs.registry import data_facts, training_key, trainings
from core.runs.run import find_run, list_runs
from core.storage.embeddings import read_embeddings
from core.storage.store import Store
from core.workflows.import_weights import NAMES_FILE, import_weights
from core.workspace import Workspace
from lmgait_cli.main import app
from tests.fakes.families import model_of, stirred
from tests.fakes.foreign import Residual, Sets, save, stir
from tests.fakes.training import write_training_store

CHANNELS, CLASSES = (8, 12, 16, 20), 74
SMALL = ("model.channels=[8,12,16,20]", "model.embedding=24", "model.strips=8")
GRAPH = torch.Generator().manual_seed(3)
# What a user has to say, as shapes do not: two branches of GaitSet.
SETS = {"frame2": "each2", "frame3": "each3"}
MAPS = (
    "model.image.height=64",
    "model.image.width=32",
    "model.channels=[8,8,8,8]",
    "model.strips=4",
    "model.embedding=8",
    "model.maps=4",
)


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "lmgait-workspace")


def residual(*, moving, depths=(1, 1, 1, 1), classes=CLASSES):
    torch.manual_seed(1)
    return stir(Residual(CHANNELS, depths, 8, 24, classes, moving=moving))


def sets():
    torch.manual_seed(1)
    return stir(Sets((8, 12, 16), (4, 2, 1), 24))


def config_of(name, *more):
    sizes = ("model.channels=[8,12,16]",) if name == "gaitset" else SMALL[::2]
    settings = ("model.input.shrink=1", "model.embedding=24", *sizes, *more)
    return resolve_config("tiny", model=name, dataset="casiab", overrides=settings)


def taken(workspace, path, name, config=None, **more):
    config = config or config_of(name)
    more = {"dataset": "casiab", "preset": "tiny", "progress": SilentProgress(), **more}
    return import_weights(workspace, path, config=config, **more)


def names_file(folder, names):
    path = folder / "names.yaml"
    path.write_text(yaml.safe_dump(names))
    return path


def embedding_of(run, clip):
    return load_model(run, device=torch.device("cpu")).embed([clip])


@pytest.mark.parametrize(
    ("name", "network", "names", "more"),
    [
        ("gaitbase", lambda: residual(moving=False), {}, ()),
        ("deepgaitv2", lambda: residual(moving=True), {}, ()),
        (
            "deepgaitv2",
            lambda: residual(moving=True, depths=(1, 3, 2, 1)),
            {},
            ("model.depths=[1,3,2,1]",),
        ),
        ("deepgaitv2", lambda: residual(moving=False), {}, ("model.blocks=2d",)),
        ("gaitset", sets, SETS, ()),
    ],
)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_foreign_network_s_embeddings_are_those_of_its_run(
    workspace, tmp_path, name, network, names, more, prefix
):
    source = network()
    tensors = {f"{prefix}{key}": value for key, value in source.state_dict().items()}
    path = save(tmp_path / "net-40000.pt", tensors)
    given = names_file(tmp_path, names) if names else None
    done = taken(workspace, path, name, config_of(name, *more), names=given)
    assert done.tensors == len(tensors)
    assert (done.step, done.classes) == (40_000, None if name == "gaitset" else CLASSES)
    clip = torch.randint(0, 256, (5, 64, 44), generator=GRAPH, dtype=torch.uint8)
    with torch.inference_mode():
        expected = source(clip[None].float() / 255)[0].numpy()
    embedding = embedding_of(done.run, clip)
    assert np.ptp(expected) > 0.01
    assert np.abs(embedding - expected).max() <= 1e-6 * np.abs(expected).max()


def test_only_a_number_behind_a_hyphen_is_of_iterations(workspace, tmp_path):
    tensors = residual(moving=False).state_dict()
    config = config_of("gaitbase")
    for name, step in (
        ("net_20240115", None),
        ("net-20240115", None),
        ("net-2024-01-15", None),
        ("rank1", None),
        ("my-net-7", 7),
    ):
        done = taken(workspace, save(tmp_path / f"{name}.pt", tensors), "gaitbase", config)
        assert done.step == (step or config.train.iterations), name


@pytest.mark.parametrize("compare", ["linear", "neck"])
def test_a_foreign_network_on_skeleton_maps(workspace, tmp_path, compare):
    torch.manual_seed(1)
    source = stir(
        Residual(
            CHANNELS, (1, 2, 1, 1), 8, 24, CLASSES, moving=True, maps=2, normed=compare == "neck"
        )
    )
    path = save(tmp_path / "net-60000.pt", source.state_dict())
    config = config_of("skeletongait", "model.depths=[1,2,1,1]", f"model.compare={compare}")
    done = taken(workspace, path, "skeletongait", config)
    assert (done.step, done.classes) == (60_000, CLASSES)
    clip = torch.randint(0, 256, (5, 2, 64, 44), generator=GRAPH, dtype=torch.uint8)
    with torch.inference_mode():
        expected = source(clip[None].float() / 255)[0].numpy()
    assert np.ptp(expected) > 0.01
    assert np.abs(embedding_of(done.run, clip) - expected).max() <= 1e-6 * np.abs(expected).max()


def theirs(state, *, branches):
    """Our state under names of another program, in which two branches have names like ours."""
    renamed = {}
    for name, value in state.items():
        if name.startswith("image."):
            continue
        for ours, other in branches.items():
            name = re.sub(rf"^{re.escape(ours)}\.", f"{other}.", name)
        renamed[f"net.{name}"] = value[..., None, None] if value.dim() == 2 else value
    return renamed


@pytest.mark.parametrize(
    ("name", "branches", "more"),
    [
        ("biggait", {"gait.first": "noise", "gait.second": "look"}, ()),
        ("biggergait", {}, ("model.image.layers=[1,2]", "model.per_group=1", "model.networks=2")),
    ],
)
@pytest.mark.parametrize("encoder", [None, "backbone.", "net.vit."])
def test_a_model_on_a_frozen_encoder_is_the_same_bit_for_bit(
    workspace, tmp_path, name, branches, more, encoder
):
    config = resolve_config("tiny", model=name, dataset="casiab", overrides=(*MAPS, *more))
    source = stirred(model_of(config, CLASSES))
    image = build_image_encoder(encoder_settings(config.model), final=True)
    frozen = image.encoder.state_dict()
    tensors = theirs(source.state_dict(), branches=branches)
    if encoder is not None:
        tensors |= {f"{encoder}{key}": value for key, value in frozen.items()}
    names = names_file(tmp_path, {ours: f"net.{other}" for ours, other in branches.items()})
    path = save(tmp_path / "net.pt", tensors)
    done = taken(workspace, path, name, config, names=names if branches else None)
    assert done.step == config.train.iterations  # the file's name says nothing
    source.get_submodule("image.encoder").load_state_dict(frozen)
    clip = torch.randint(0, 256, (4, 3, 64, 32), generator=GRAPH, dtype=torch.uint8)
    with torch.inference_mode():
        expected = implementation_of(config.model).embed(source, [clip]).numpy()
    assert np.ptp(expected) > 1e-3
    assert np.array_equal(embedding_of(done.run, clip), expected)


@pytest.mark.parametrize("compare", ["linear", "neck"])
def test_a_model_on_silhouettes_and_maps_is_the_same_bit_for_bit(workspace, tmp_path, compare):
    branches = {"first": "outline", "second": "bones"}
    config = config_of("skeletongait++", f"model.compare={compare}")
    source = stirred(model_of(config, CLASSES))
    path = save(tmp_path / "net-50000.pt", theirs(source.state_dict(), branches=branches))
    names = names_file(tmp_path, {ours: f"net.{other}" for ours, other in branches.items()})
    done = taken(workspace, path, "skeletongait++", config, names=names)
    assert (done.step, done.classes) == (50_000, CLASSES)
    draws = torch.randint(0, 256, (5, 3, 64, 44), generator=GRAPH, dtype=torch.uint8)
    clip = {"silhouettes": draws[:, 0], "skeleton maps": draws[:, 1:]}
    with torch.inference_mode():
        expected = implementation_of(config.model).embed(source, [clip]).numpy()
    assert np.ptp(expected) > 1e-3
    assert np.array_equal(embedding_of(done.run, clip), expected)


def test_another_encoder_in_the_file_is_refused(workspace, tmp_path):
    config = resolve_config("tiny", model="biggergait", dataset="casiab", overrides=MAPS)
    source = model_of(config, CLASSES)
    image = build_image_encoder(encoder_settings(config.model), final=True)
    frozen = image.encoder.state_dict()
    name = next(key for key in frozen if key.endswith("fc1.weight"))
    frozen[name] = frozen[name] + 1
    tensors = theirs(source.state_dict(), branches={})
    path = save(tmp_path / "net.pt", tensors | {f"vit.{k}": v for k, v in frozen.items()})
    with pytest.raises(
        WeightsError, match=rf"1 tensors of the file's image encoder .* vit\.{name}"
    ):
        taken(workspace, path, "biggergait", config)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda t: t.pop("trunk.2.0.conv2.weight"),
            r"1 tensors of the model are missing.*stages\.2\.conv2\.weight \[16, 16, 3, 3\]",
        ),
        (
            lambda t: t.update(gone=torch.zeros(3)),
            r"1 tensors of the file have no place.*gone \[3\]",
        ),
        (lambda t: t.update({"heads.matrices": torch.zeros(8, 20, 23)}), r"matrices \[8, 20, 23\]"),
        (lambda t: t.update({"necks.vectors": torch.zeros(8, 24, 100)}), "100 identities.*74"),
    ],
)
def test_what_does_not_match_exactly_is_named_and_no_run_is_made(
    workspace, tmp_path, change, words
):
    tensors = dict(residual(moving=False).state_dict())
    change(tensors)
    path = save(tmp_path / "net.pt", tensors)
    with pytest.raises(CheckpointError, match=words):
        taken(workspace, path, "gaitbase")
    assert not list_runs(workspace.runs)


def test_equal_parts_without_an_order_have_to_be_named(workspace, tmp_path):
    path = save(tmp_path / "net.pt", sets().state_dict())
    with pytest.raises(CheckpointError, match=r"frame2 and set2 apart; .*whole2.*each2"):
        taken(workspace, path, "gaitset")
    state = residual(moving=False).state_dict()
    renamed = {re.sub(r"0\.0\.conv2", "0.0.second", name): v for name, v in state.items()}
    path = save(tmp_path / "other.pt", renamed)
    with pytest.raises(CheckpointError, match="2 parts of the file have the same shapes"):
        taken(workspace, path, "gaitbase")
    names = {"gait.stages.0.conv1.weight": "trunk.0.0.conv1.weight"}
    done = taken(workspace, path, "gaitbase", names=names_file(tmp_path, names))
    matches = json.loads((done.run.folder / NAMES_FILE).read_text())["names"]
    assert matches["gait.stages.0.conv2.weight"] == "trunk.0.0.second.weight"


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({"frame9": "each2"}, "The model has nothing named `frame9`"),
        ({"frame2": "each9"}, "The file has nothing named `each9`"),
        ({"frame2": ["each2"]}, "not pairs of texts"),
        ([], "not pairs of texts"),
    ],
)
def test_names_that_nothing_has_are_refused(workspace, tmp_path, names, words):
    path = save(tmp_path / "net.pt", sets().state_dict())
    with pytest.raises(UsageError, match=words):
        taken(workspace, path, "gaitset", names=names_file(tmp_path, names))


@pytest.mark.parametrize("name", ["lmgait"])
def test_families_without_published_checkpoints_are_refused(workspace, tmp_path, name):
    path = save(tmp_path / "net.pt", sets().state_dict())
    with pytest.raises(UsageError, match="not read for LMGait"):
        taken(workspace, path, name, resolve_config("tiny"))


def test_a_write_that_fails_leaves_no_run(workspace, tmp_path, monkeypatch):
    path = save(tmp_path / "net.pt", residual(moving=False).state_dict())
    monkeypatch.setattr("core.training.checkpoint.save_file", _full)
    with pytest.raises(LmgaitError, match=r"disk is full|No space"):
        taken(workspace, path, "gaitbase")
    assert not list_runs(workspace.runs)
    assert not [entry for entry in workspace.runs.iterdir() if not entry.name.startswith(".")]


def _full(*_, **__):
    raise OSError(28, "No space left on device")


def test_every_verb_takes_an_imported_run(workspace, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LMGAIT_WORKSPACE", raising=False)
    write_training_store(workspace.store("casiab"))
    write_training_store(workspace.store("casiab_star"), dataset="casiab_star")
    path = save(tmp_path / "GaitBase-60000.pt", residual(moving=False).state_dict())

    def run(*words):
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code == 0, done.output
        return " ".join(done.output.split())

    settings = [w for s in ("model.input.shrink=2", *SMALL[:2]) for w in ("--set", s)]
    report = tmp_path / "told.json"
    printed = run(
        "import-weights",
        path,
        "--model",
        "gaitbase",
        "--dataset",
        "casiab",
        "--preset",
        "tiny",
        *settings,
        "--json",
        report,
    )
    name = "casiab-gaitbase-imported"
    content = json.loads(report.read_text())
    assert content["run"] == name
    assert content["sha256"] in printed
    origin = f"imported from GaitBase-60000.pt (SHA-256 {content['sha256'][:12]})"
    assert origin in run("evaluate", "--run", name)
    run("embed", "e.npz", "--run", name)
    source = read_embeddings(tmp_path / "e.npz").source
    assert source.startswith(f"{name}, iteration 60000, {origin}")
    assert name in run("cross-eval", "--train", "casiab", "--test", "casiab_star")
    exported = run("export", name, "--format", "torch", "--out", "m.pt2")
    assert f"run {name}" in exported
    run("report", name, "--bootstrap", "0", "--out", "r.html")
    page = (tmp_path / "r.html").read_text()
    assert origin in page
    assert "prepared again since" not in page
    # The same settings on the store are a training of their own: it is not done, and begins anew.
    imported = find_run(workspace.runs, name=name, dataset=None)
    assert imported.facts["imported"]["identities"] == CLASSES
    store = Store.open(workspace.store("casiab"))
    key = training_key(imported.config, **data_facts(store, load_manifest("casiab")))
    assert trainings(workspace).matching(key) is None
