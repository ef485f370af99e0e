"""Nobody reads, nothing can be printed, or not in these letters: the work is done all the same."""

import json
import subprocess

import pytest

from tests.faults import worlds as made
from tests.faults.command import SMALL_SHARDS, environment, python, run_anew, seldom
from tests.faults.trials import difference
from tests.faults.worlds import BY_NAME, contents

SHOWN = [["--help"], ["datasets"], ["config", "show"], ["train", "--help"], ["--version"]]
LOCALES = [
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"LC_ALL": "POSIX", "PYTHONUTF8": "0"},
    {"LANG": "xx", "LC_ALL": "", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"PYTHONIOENCODING": "ascii"},
    {"TERM": "dumb"},
    {"NO_COLOR": "1"},
]


def shell(line, words, **more):
    """Run a shell's line with the command as its arguments."""
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line, "bash", *python(words)],
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("words", [*SHOWN[:2], *seldom(*SHOWN[2:])], ids=" ".join)
def test_a_reader_that_leaves_early_is_no_error(words):
    done = shell('"$@" | head -c 1', words)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", *seldom(">&-", "2>&-", ">&- 2>&-")])
def test_closed_streams_end_no_work(world, worlds, closed):
    verb = BY_NAME["prepare"]
    root = world(verb.world)
    done = shell(f'"$1" "$2" "{SMALL_SHARDS}$3" "${{@:4}}" {closed}', verb.words(root))
    assert done.returncode == 0, done.stderr
    assert not difference(worlds.undisturbed(verb).files, contents(root))


def test_a_file_is_written_though_nobody_reads_the_table(world):
    root = world(made.raw)
    out = root / "out" / "result.json"
    words = [*BY_NAME["prepare"].words(root), "--json", str(out)]
    done = shell('"$@" 2>&1 | true', words)
    assert done.returncode == 0
    assert json.loads(out.read_text())["found_sequences"] == 12


def test_results_that_cannot_be_printed_are_an_error():
    for words in (["datasets"], ["--help"]):
        done = shell('"$@" > /dev/full', words)
        assert done.returncode == 5
        assert "Traceback" not in done.stderr
        assert "No space left" in done.stderr
        assert done.stderr.count("Error") == 1
    assert shell('"$@" 2> /dev/full', ["nonsense"]).returncode == 2


@pytest.mark.parametrize("locale", [LOCALES[0], *seldom(*LOCALES[1:])], ids=" ".join)
def test_any_locale(world, locale):
    root = world(made.raw)
    for words in SHOWN[:2]:
        ended = run_anew(*words, **locale)
        assert (ended.code, ended.stderr) == (0, ""), ended.told
    assert run_anew("prepare", "cçpg", root, **locale).code == 2
    assert run_anew(*BY_NAME["prepare"].words(root), **locale).code == 0
