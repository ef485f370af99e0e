"""Readers of foreign files on mutated files: they read or refuse, and nothing else happens.

Here for seconds (``LMGAIT_FUZZ_SECONDS`` in all, 20 by default), with a fixed seed; for longer with
``nox -s fuzz``. Whatever was found and mended lies in ``corpus/`` and is read each time.
"""

import os
from pathlib import Path

import pytest

from tests.fuzz.engine import Reader, fuzz
from tests.fuzz.lookup3 import lookup3
from tests.fuzz.targets import TARGETS

SECONDS = float(os.environ.get("LMGAIT_FUZZ_SECONDS", "20"))
SEED = int(os.environ.get("LMGAIT_FUZZ_SEED", "0"))
CORPUS = Path(__file__).parent / "corpus"
KEPT = Path("fuzz-findings")


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.timeout(int(SECONDS) + 300)
def test_no_mutated_file_does_anything_but_be_read_or_refused(name):
    result = fuzz(name, SECONDS / len(TARGETS), SEED)
    for number, finding in enumerate(result.findings):
        path = KEPT / name / f"{finding.kind}-{SEED}-{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(finding.content)
    assert not result.findings, "\n".join(map(str, result.findings))
    assert result.outcomes["read"] > 0


@pytest.mark.parametrize("name", sorted(entry.name for entry in CORPUS.iterdir()))
def test_what_was_found_once_stays_mended(name):
    reader = Reader(TARGETS[name])
    try:
        for path in sorted((CORPUS / name).iterdir()):
            kind, detail = reader.read(path.read_bytes())
            assert kind in TARGETS[name].allowed(), f"{path}: {kind}: {detail}"
    finally:
        reader.close()


def test_the_corpus_stays_small():
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < 200_000


@pytest.mark.parametrize(
    ("text", "expected"), [(b"", 0xDEADBEEF), (b"Four score and seven years ago", 0x17770551)]
)
def test_the_checksum_is_the_published_one(text, expected):
    assert lookup3(text) == expected
