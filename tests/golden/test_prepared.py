import json
from pathlib import Path

import numpy as np

from tests.golden.prepared import summary

GOLDEN = Path(__file__).parent / "v1" / "prepared.json"


def test_official_forms_give_the_same_stores_as_ever(tmp_path):
    golden, today = json.loads(GOLDEN.read_text()), summary(tmp_path)
    assert today.keys() == golden.keys()
    for name, expected in golden.items():
        form = today[name]
        assert (form["form"], form["frames"]) == (expected["form"], expected["frames"])
        assert form["sequences"].keys() == expected["sequences"].keys()
        for key, frames in expected["sequences"].items():
            own = form["sequences"][key]
            assert own["valid"] == frames["valid"]
            # Processors resize and render differently in the last digit; another frame, crop or
            # silhouette differs by much more.
            np.testing.assert_allclose(own["rgb"], frames["rgb"], atol=1.01)
            np.testing.assert_allclose(own["silhouettes"], frames["silhouettes"], atol=0.001)
