"""Verbs ask a family for what it can do, and know no family by name."""

import numpy as np
import pytest
import torch

from core import load_run
from core.config import check_config
from core.errors import UsageError
from core.models.base import implementation_of
from core.models.capabilities import Films, StoredFeatures, TextCache, Views
from core.models.families import FAMILIES
from core.progress import SilentProgress
from core.runs.load import load_model
from core.runs.run import find_run
from core.storage.store import Store
from core.tracking.find import Finding
from core.workflows.cache_features import cache_features
from core.workflows.cache_text import cache_text
from core.workflows.enroll import enroll
from core.workflows.evaluate import Scoring, evaluate_run
from core.workflows.report import report_run
from core.workflows.train import train
from core.workflows.visualize import visualize
from core.workspace import Workspace
from tests.core.workflows.test_train_resume import Watcher
from tests.fakes.training import write_training_store
from tests.fakes.twin import TWIN
from tests.fakes.videos import moving_square, write_stream

ABILITIES = (StoredFeatures, Films, TextCache, Views)


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    """A workspace with a run of another family than LMGait that can do the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FAMILIES, "twin", TWIN)
        workspace = Workspace(tmp_path_factory.mktemp("twin"))
        write_training_store(workspace.store("casiab"))
        image = {"architecture": "tiny", "weights": "seed", "height": 64, "width": 32}
        config = check_config(
            {
                "model": {"family": "twin", "image": {**image, "layers": [1, 2]}},
                "data": {
                    "frames": 2,
                    "identities": 2,
                    "sequences": 2,
                    "workers": 0,
                    "features": "float32",
                },
                "train": {"iterations": 2, "milestones": [], "lr": 0.01},
            }
        )
        train(workspace, "casiab", config, preset="tiny", name="one", progress=SilentProgress())
        yield workspace, config


def test_stored_features_of_another_family_are_those_that_training_made(twin):
    workspace, config = twin
    progress = Watcher()
    done = cache_features(workspace, "casiab", config, preset="tiny", progress=progress)
    assert done.plan.complete
    assert done.frames == 0
    assert len(list(workspace.features.iterdir())) == 1


def test_a_text_cache_of_another_family(twin):
    workspace, _ = twin
    run = find_run(workspace.runs, name="one", dataset=None)
    live = load_model(run, device=torch.device("cpu"))
    chunk = torch.randint(0, 256, (3, 3, 64, 32), dtype=torch.uint8)
    scored, said = Watcher(), "The text branch runs live; `lmgait cache-text` spares it."
    first = evaluate_run(
        workspace,
        run_name="one",
        train_dataset=None,
        test_dataset=None,
        scoring=Scoring(),
        progress=scored,
    )
    assert said in scored.said
    done = cache_text(workspace, run_name=None, dataset=None, progress=SilentProgress())
    assert (done.tokens, done.channels) == (2, 2 * 48)
    cached = load_model(run, device=torch.device("cpu"))
    assert (live.cached, cached.cached) == (False, True)
    assert [name for name, _ in cached.model.named_children()] == ["image", "linear"]
    assert np.array_equal(live.embed([chunk]), cached.embed([chunk]))
    scored = Watcher()
    again = evaluate_run(
        workspace,
        run_name="one",
        train_dataset=None,
        test_dataset=None,
        scoring=Scoring(),
        progress=scored,
    )
    assert said not in scored.said
    assert again.result.to_json() == first.result.to_json()


def test_views_of_another_family(twin, tmp_path):
    workspace, _ = twin
    done = visualize(
        workspace,
        "one",
        "075/nm-01/000",
        out=tmp_path / "a.png",
        frames=2,
        progress=SilentProgress(),
    )
    assert done.path.stat().st_size > 1000
    assert [word for word, _ in done.words] == ["legs", "arms"]
    assert done.notes == ("The twin has no temporal module.",)
    report_run(
        workspace,
        tmp_path / "r.html",
        run_name="one",
        dataset=None,
        bootstrap=0,
        pictures=False,
        progress=SilentProgress(),
    )
    page = (tmp_path / "r.html").read_text()
    assert "a table of two words" in page
    assert "Predicted silhouettes: mean intersection over union" in page


def test_films_of_another_family(twin, tmp_path):
    workspace, _ = twin
    trained = load_run("one", workspace=workspace.root)
    frames = np.full((2, 60, 30, 3), 90, np.uint8)
    assert trained.embed(frames).shape == (4, 1)
    film = tmp_path / "a.mp4"
    write_stream(film, moving_square())
    done = enroll(
        workspace,
        tmp_path / "people.st",
        "Anna",
        [film],
        run_name="one",
        finding=Finding(crop=True),
        track=None,
        progress=SilentProgress(),
    )
    assert [entry.name for entry in done.entries] == ["Anna"]


@pytest.mark.parametrize("name", [*FAMILIES, "twin"])
def test_what_a_family_names_it_provides(twin, name):
    config = FAMILIES[name].model(family=name)
    provided = [one.capability for one in implementation_of(config).abilities]
    assert len(set(provided)) == len(provided)
    assert set(provided) <= FAMILIES[name].capabilities
    for kind in ABILITIES:
        ability = kind.find(config)
        assert (ability is not None) == (kind.capability in FAMILIES[name].capabilities)
        if ability is None:
            with pytest.raises(UsageError, match=f"A test is not for {FAMILIES[name].title}"):
                kind.of(config, "A test")
        else:
            assert type(kind.of(config, "A test")) is type(ability)


def test_a_capability_that_is_named_and_not_provided(monkeypatch):
    config = FAMILIES["lmgait"].model(family="lmgait")
    monkeypatch.setattr(type(implementation_of(config)), "abilities", ())
    with pytest.raises(TypeError, match="lmgait names `views` and has no Views"):
        Views.of(config, "A test")


def test_frames_are_reduced_as_a_store_s(twin):
    workspace, config = twin
    assert Films.of(config.model, "A test").frame_size(config.model) == (64, 32)
    full = FAMILIES["lmgait"].model(family="lmgait")
    assert Films.of(full, "A test").frame_size(full) == (256, 128)
    assert Store.open(workspace.store("casiab")).sequences
