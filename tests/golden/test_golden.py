"""Files of every format, written once by lmgait 0.1.0, are read; other formats say the way out."""

import json
import shutil
from importlib import resources
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import yaml

import core.manifests.published as published
from core.config import resolve_config
from core.errors import CheckpointError, DataError, LmgaitError, StoreError
from core.evaluation.score import score
from core.manifests.load import load_manifest
from core.models.base import implementation_of
from core.models.lmgait.build import build_lmgait
from core.models.lmgait.config import lmgait_settings
from core.runs.load import LoadedModel, load_cache, load_model, newest_weights
from core.runs.run import find_run
from core.storage.embeddings import read_embeddings
from core.storage.features import FeatureStore
from core.storage.forget import held_in_store
from core.storage.layout import LeftOutFile, Plan, ShardFile, StoreFile, read_json
from core.storage.silhouettes import SilhouetteStore
from core.storage.store import Store
from core.tables.formats import to_json
from core.training.checkpoint import load_tensors
from core.workflows.export import describe
from core.workflows.verify import verify
from core.workspace import Workspace
from tests.golden import make

V1 = Path(__file__).parent / "v1"
CPU = torch.device("cpu")


def of_those(found, wanted):
    """``found`` without the keys that ``wanted`` has not: those of later versions."""
    if isinstance(wanted, dict):
        return {key: of_those(found[key], value) for key, value in wanted.items()}
    return found


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(V1, tmp_path / "v1")
    return tmp_path / "v1"


def test_they_are_small():
    assert sum(path.stat().st_size for path in V1.rglob("*") if path.is_file()) < 300_000


@pytest.mark.parametrize("codec", make.CODECS)
def test_stores(codec):
    store = Store.open(V1 / "stores" / codec)
    wanted = make.content(codec)
    assert [info.key for info in store.sequences] == list(wanted)
    for index, frames in enumerate(wanted.values()):
        found = store.read(index)
        far = np.abs(found.rgb.astype(int) - frames.rgb).mean()
        assert far < 2 if codec == "jpeg" else far == 0
        assert (found.silhouettes == frames.silhouettes).all()
        assert (found.valid == frames.valid).all()
    assert store.fingerprint.startswith(
        {"lossless": "e20abd", "compact": "b2fcef", "jpeg": "180db7"}[codec]
    )
    assert verify(V1 / "stores" / codec, Workspace(V1)).faults == ()
    report = read_json(V1 / "stores" / codec / "left-out.json", LeftOutFile, "")
    assert report.listing[0].sequence == "001/nm-01/180"


def test_today_s_code_writes_the_same_stores(tmp_path):
    make.stores(tmp_path)
    for codec in ("lossless", "compact"):  # JPEG's bytes are the library's
        for path in sorted((V1 / "stores" / codec).iterdir()):
            assert path.read_bytes() == (tmp_path / "stores" / codec / path.name).read_bytes()


def test_a_store_that_is_forgetting(copy):
    folder = copy / "stores" / "compact"
    shutil.copy(copy / "forgetting.json", folder)
    assert held_in_store(folder, "001").pending
    with pytest.raises(StoreError, match="being forgotten"):
        Store.open(folder)


def test_features():
    store = FeatureStore.open(V1 / "features")
    assert store.read(0, [1], mirrored=False).tolist() == [[[6, 7, 8], [9, 10, 11]]]
    assert store.read(3, [0], mirrored=True).tolist() == [[[-12, -13, -14], [-15, -16, -17]]]


def test_cut_silhouettes():
    store = SilhouetteStore.open(V1 / "silhouettes")
    assert store.usable(0).tolist() == [0]
    assert (store.read(0, [0]) == make.cuts()[:1]).all()
    assert (store.read(3, [0]) == make.cuts()[2:]).all()


@pytest.mark.parametrize("ending", [".npz", ".h5"])
def test_embeddings(ending):
    found, wanted = read_embeddings(V1 / f"embeddings{ending}"), make.embeddings()
    assert (found.embeddings == wanted.embeddings).all()
    assert (found.labels, found.types, found.views, found.source) == (
        wanted.labels,
        wanted.types,
        wanted.views,
        wanted.source,
    )


def test_a_run_with_checkpoint_and_text_cache():
    run = find_run(V1, name="run", dataset=None)
    assert (run.name, run.dataset, run.facts["number"]) == ("run", "casiab", 1)
    assert run.config == resolve_config("tiny", overrides=make.V1_SETTINGS)
    path, weights = newest_weights(run)
    assert path.name == "step-000006"
    assert weights.tensors["a"].tolist() == [0, 1, 2]
    assert weights.header["labels"] == ["001", "002"]
    assert load_cache(V1 / "run" / "text.safetensors", weights.header).tensors["text"].trace() == 2
    assert load_tensors(path / "training.safetensors").header["step"] == 6


def test_manifests(monkeypatch):
    assert load_manifest(V1 / "manifest.yaml").protocols["single"].counting == "gallery"
    monkeypatch.setattr(resources, "files", lambda package: V1)
    monkeypatch.setattr(published, "files", lambda package: V1)
    assert published.load_published()[0].rows[0].values == (12.5,)


def test_an_evaluation_has_the_keys_it_had():
    wanted = json.loads((V1 / "evaluation.json").read_text())
    found = json.loads(to_json(score(make.embeddings(), load_manifest("casiab"))))
    found["coverage"]["missing"] = found["coverage"]["missing"][:2]
    assert of_those(found, wanted) == wanted


def test_an_export_says_what_it_said():
    """Nothing here reads a model's metadata back; a consumer finds these keys."""
    run = find_run(V1, name=None, dataset=None)
    model = build_lmgait(lmgait_settings(run.config.model), classes=None, seed=0, with_text=True)
    loaded = LoadedModel(model, run.config, newest_weights(run)[1].header, CPU, False)
    graph = implementation_of(run.config.model).graph(run.config.model, model)
    told = describe(run, loaded, graph, "uint8")
    assert told["format"] == "1"
    assert set(told) == {
        "format",
        "lmgait",
        "family",
        "run",
        "dataset",
        "iteration",
        "text_fingerprint",
        "prompt",
        "input",
        "output",
        "encoder_size",
        "normalisation",
        "distance",
    }


# --- other formats ---


def in_json(path, number):
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "format": number}))


def in_yaml(path, number):
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "format": number}))


def in_safetensors(path, number):
    content = path.read_bytes()
    old, new = b'\\"format\\": 1', b'\\"format\\": %d' % number
    size = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + size].replace(old, new).rstrip()
    assert new in header
    header += b" " * (-len(header) % 8)
    path.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + size :])


def in_npz(path, number):
    with np.load(path) as file:
        members = {**file, "lmgait_format": np.array(number)}
    np.savez(path, **members)


def in_h5(path, number):
    with h5py.File(path, "r+") as file:
        file["lmgait_format"][...] = number


def opened(folder):
    return lambda: Store.open(folder / "stores" / "compact")


STORE = "stores/compact/"
CASES = {
    "stores/compact/plan.json": (
        in_json,
        lambda v: read_json(v / STORE / "plan.json", Plan, "Prepare it again."),
    ),
    "stores/compact/shard-00000.json": (in_json, lambda v: held_in_store(v / STORE, "001")),
    "stores/compact/index.json": (in_json, lambda v: Store.open(v / STORE)),
    "stores/compact/store.json": (in_json, lambda v: Store.open(v / STORE)),
    "stores/compact/left-out.json": (in_json, lambda v: held_in_store(v / STORE, "001")),
    "forgetting.json": (
        in_json,
        lambda v: held_in_store(Path(shutil.copy(v / "forgetting.json", v / STORE)).parent, "001"),
    ),
    "features/features.json": (in_json, lambda v: FeatureStore.open(v / "features")),
    "silhouettes/silhouettes.json": (in_json, lambda v: SilhouetteStore.open(v / "silhouettes")),
    "embeddings.npz": (in_npz, lambda v: read_embeddings(v / "embeddings.npz")),
    "embeddings.h5": (in_h5, lambda v: read_embeddings(v / "embeddings.h5")),
    "run/run.json": (in_json, lambda v: find_run(v, name="run", dataset=None)),
    "run/checkpoints/step-000006/model.safetensors": (
        in_safetensors,
        lambda v: newest_weights(find_run(v, name="run", dataset=None)),
    ),
    "run/text.safetensors": (
        in_safetensors,
        lambda v: load_cache(v / "run/text.safetensors", {"text_fingerprint": "def"}),
    ),
    "manifest.yaml": (in_yaml, lambda v: load_manifest(v / "manifest.yaml")),
}
WAYS_OUT = ("again", "anew", "Use lmgait", "the lmgait that", "made again")


@pytest.mark.parametrize("number", [0, 99])
@pytest.mark.parametrize("name", CASES)
def test_another_format_is_refused_with_the_way_out(copy, name, number):
    change, read = CASES[name]
    change(copy / name, number)
    with pytest.raises(LmgaitError, match=f"format {number}") as caught:
        read(copy)
    assert any(way in (caught.value.next_step or "") for way in WAYS_OUT), caught.value.next_step
    assert caught.value.where is not None


def test_files_without_a_number_are_of_the_first_format(copy):
    info = json.loads((copy / STORE / "store.json").read_text())
    del info["format"]
    (copy / STORE / "store.json").write_text(json.dumps(info))
    assert read_json(copy / STORE / "store.json", StoreFile, "").format == 1
    assert read_json(copy / STORE / "shard-00000.json", ShardFile, "").format == 1


def test_embeddings_of_other_models_need_no_number(copy):
    with np.load(copy / "embeddings.npz") as file:
        members = {name: file[name] for name in file if name not in ("lmgait_format", "source")}
    np.savez(copy / "embeddings.npz", **members)
    assert len(read_embeddings(copy / "embeddings.npz")) == 8
    with h5py.File(copy / "embeddings.h5", "r+") as file:
        del file["lmgait_format"]
    assert len(read_embeddings(copy / "embeddings.h5")) == 8
    np.savez(copy / "embeddings.npz", **members, lmgait_format=np.array(["a", "b"]))
    with pytest.raises(DataError, match=r"format \['a', 'b'\]"):
        read_embeddings(copy / "embeddings.npz")


def test_a_run_of_an_older_lmgait_has_defaults_for_younger_keys(copy):
    path = copy / "run" / "config.yaml"
    tree = yaml.safe_load(path.read_text())
    del tree["train"]["clip_norm"], tree["evaluate"]
    path.write_text(yaml.safe_dump(tree))
    run = find_run(copy, name="run", dataset=None)
    assert run.config.evaluate == resolve_config("paper").evaluate


def test_a_run_with_a_key_that_is_gone_says_which_and_what_to_do(copy):
    path, facts = copy / "run" / "config.yaml", copy / "run" / "run.json"
    path.write_text(path.read_text() + "former: 1\n")
    facts.write_text(json.dumps({**json.loads(facts.read_text()), "version": "0.0.9"}))
    with pytest.raises(CheckpointError, match=r"is of lmgait 0\.0\.9") as caught:
        find_run(copy, name="run", dataset=None)
    assert "former: unknown key" in caught.value.what
    assert "Use that lmgait" in (caught.value.next_step or "")


def test_a_checkpoint_with_a_key_that_is_gone_says_so(copy, monkeypatch):
    run = find_run(copy, name="run", dataset=None)
    path, weights = newest_weights(run)
    weights.header["config"]["former"] = 1
    monkeypatch.setattr("core.runs.load.newest_weights", lambda *_: (path, weights))
    with pytest.raises(CheckpointError, match="former: unknown key") as caught:
        load_model(run, device=CPU)
    assert "train again" in (caught.value.next_step or "")
