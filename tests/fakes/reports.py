"""A report with everything in it, from made-up numbers; any word in it may be a given one."""

from __future__ import annotations

import numpy as np

from core.metrics.results import VALUES, CellCoverage, ConditionResult, Coverage, EvaluationResult
from core.metrics.results import ProtocolResult as Protocol
from core.records import SequenceKey
from core.report import Report
from core.report.content import (
    ConditionProbes,
    Fact,
    Hit,
    Log,
    Picture,
    Plane,
    Probe,
    Retrievals,
    Settings,
    Sight,
)
from core.report.thumbnails import jpeg_uri
from core.tables.build import Table, result_tables

NO_VALUES: dict[str, float | None] = dict.fromkeys(VALUES)
HOSTILE = "<script>alert('x')</script>\"'&<img src=http://example.org/x onerror=alert(1)>"


def result(word: str = "", views: int = 3) -> EvaluationResult:
    """Scores of two conditions under a protocol by pairs of views and one by galleries."""
    names = tuple(f"{word}{18 * n:03d}" for n in range(views))
    matrix = [
        [None if a + b == 1 else 90.0 - 20 * a - b for b in range(views)] for a in range(views)
    ]
    paired = ConditionResult(
        {**NO_VALUES, "rank1": 62.5, "rank5": 80.0},
        4.0,
        30,
        30,
        0,
        90,
        CellCoverage(6, 4, ()),
        names,
        {"rank1": matrix},
        {"rank1": (51.0, 70.0)},
        tuple(100 - 37.5 / k for k in range(1, 21)),
    )
    whole = ConditionResult(
        {**NO_VALUES, "rank1": 50.0, "rank5": 75.0, "mAP": 40.0, "mINP": 10.0},
        3.0,
        30,
        30,
        1,
        29,
        intervals={"rank1": (45.0, 58.0)},
        cmc=tuple(100 - 50 / k for k in range(1, 21)),
    )
    empty = ConditionResult(NO_VALUES, None, 0, 9, 0, 0)
    mean = {**NO_VALUES, "rank1": 62.5, "rank5": 80.0}
    return EvaluationResult(
        f"{word}set",
        f"{word}Set",
        "euclidean",
        False,
        Coverage((3, 3), (90, 89), (f"{word}a/b/c",), 90, 0, (), (12, 8)),
        {
            "pairs": Protocol(
                f"{word}pairs",
                "view_pairs",
                True,
                {f"{word}NM": paired},
                ("NM",),
                mean,
                4.0,
                {"rank1": (51.0, 70.0)},
            ),
            "whole": Protocol(
                f"{word}whole",
                "gallery",
                True,
                {f"{word}NM": whole, f"{word}CL": empty},
                ("NM",),
                dict(whole.values),
                3.0,
            ),
        },
        f"{word}store",
        f"{word}note",
        200,
    )


def report(word: str = "", pictures: bool = True) -> Report:
    """A report; ``word`` stands in every text that can come from data."""
    rng = np.random.default_rng(0)
    keys = [
        SequenceKey(f"{word}{n // 4:03d}", f"{word}nm-{n % 2}", f"{word}{n % 4}") for n in range(48)
    ]
    frames = rng.integers(0, 255, (48, 16, 8, 3), dtype=np.uint8)
    shown = [
        Picture(key, jpeg_uri(frame) if pictures else "")
        for key, frame in zip(keys, frames, strict=True)
    ]
    hits = tuple(Hit(shown[n], n, n / 8, n == 3) for n in range(1, 6))
    wrong = Probe(shown[0], hits[:2], Hit(shown[7], 17, 1.5, True), 40)
    right = Probe(
        shown[1], (Hit(shown[4], 1, 0.1, True), *hits[1:]), Hit(shown[4], 1, 0.1, True), 40
    )
    table = Table(
        f"{word}left out", (f"{word}reason", f"{word}effect"), ((f"{word}a", f"{word}b"),)
    )
    scored = result(word)
    return Report(
        run=f"{word}run",
        dataset=f"{word}Set",
        summary=(Fact(f"{word}name", f"{word}value"),),
        cautions=(f"{word}mind",),
        result=scored,
        tables=tuple(result_tables(scored)),
        compared=False,
        retrievals=Retrievals(
            f"{word}whole",
            2,
            (
                ConditionProbes(f"{word}NM", 30, 15, (wrong, right)),
                ConditionProbes(f"{word}CL", 0, 0, ()),
            ),
            pictures,
        ),
        plane=Plane(
            tuple(keys),
            tuple((float(x), float(y)) for x, y in rng.normal(size=(48, 2))),
            (0.5, 0.25),
            48,
        ),
        logs=(
            Log(f"{word}Warm-up", {}),
            Log(
                f"{word}Training",
                {
                    f"{word}loss": [(n, 5 / n) for n in range(1, 400)],
                    "lr": [(1, 0.1), (2, 0.001)],
                    "flat": [(3, 0.0)],
                },
            ),
        ),
        silhouettes=f"{word}silhouettes",
        sights=(Sight(keys[2], {f"{word}frame": shown[2].uri}),) if pictures else (),
        settings=Settings(table, f"{word}note", f"{word}yaml: 1"),
        provenance=(Fact(f"{word}from", f"{word}there"),),
        details=(table,),
    )
