"""Files about the repository agree with what they speak of."""

import re
from pathlib import Path

import pytest
import yaml

from core.version import __version__

ROOT = Path(__file__).parents[2]
FORGE = (".github/workflows/*.yml", ".github/ISSUE_TEMPLATE/*.yml", ".pre-commit-config.yaml")


def test_the_citation_names_this_version_and_licence():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == __version__
    assert f'license = "{citation["license"]}"' in (ROOT / "pyproject.toml").read_text("utf-8")
    title = citation["preferred-citation"]["title"]
    assert title in " ".join((ROOT / "README.md").read_text("utf-8").split())


@pytest.mark.parametrize("path", [path for one in FORGE for path in sorted(ROOT.glob(one))])
def test_files_of_the_forge_are_yaml_and_call_what_there_is(path):
    content = yaml.safe_load(path.read_text("utf-8"))
    assert content
    for script in re.findall(r"run: (\S+)", path.read_text("utf-8")):
        assert (ROOT / script).is_file()


def test_links_of_templates_lead_to_files():
    text = (ROOT / ".github" / "pull_request_template.md").read_text("utf-8")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert links
    assert all((ROOT / ".github" / link).resolve().is_file() for link in links)
