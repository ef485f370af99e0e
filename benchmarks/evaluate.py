"""Time of scoring CCPG under both protocols, compared with an evaluator of plain loops.

The embeddings are random, in the official structure; timed is everything from embeddings in memory
to the numbers: distances, ranks, mAP, mINP, matrices. Both score the same embeddings in the same
run and must agree.
"""

from __future__ import annotations

import resource
import sys
import time
from statistics import median
from typing import Any

import numpy as np

from benchmarks import plain_evaluator
from core.evaluation.score import score
from core.manifests import load_manifest
from core.metrics.results import EvaluationResult
from core.records import EmbeddingSet

SEQUENCES_PER_SUBJECT = 80
QUICK_SUBJECTS = 12
AGREEMENT = 1e-6


def measure(quick: bool) -> dict[str, Any]:
    """Time both evaluators.

    Full size is CCPG's test part: 100 subjects, 8,000 sequences of [256, 16]; the plain loops take
    minutes and run once, between two runs of ours. ``quick`` uses 12 subjects for both and three
    rounds; its ratio is smaller, because fixed costs matter more.
    """
    embeddings = sample(QUICK_SUBJECTS if quick else 100)
    keys = list(zip(embeddings.labels, embeddings.types, embeddings.views, strict=True))
    manifest = load_manifest("ccpg")
    score(sample(2), manifest)  # start threads and load libraries outside the timing
    before = _peak_megabytes()
    ours, plain = [], []
    started = time.perf_counter()
    result = score(embeddings, manifest)
    ours.append(time.perf_counter() - started)
    growth = _peak_megabytes() - before
    difference = 0.0
    for _ in range(3 if quick else 1):
        started = time.perf_counter()
        expected = plain_evaluator.evaluate("ccpg", embeddings.embeddings, keys)
        plain.append(time.perf_counter() - started)
        started = time.perf_counter()
        result = score(embeddings, manifest)
        ours.append(time.perf_counter() - started)
        difference = max(difference, _difference(result, expected))
    if difference > AGREEMENT:
        raise AssertionError(f"the evaluators differ by {difference} points")
    return {
        "name": "evaluate",
        "ratio": median(plain) / median(ours),
        "unit": "times faster than plain loops",
        "baseline": "one pair, one probe, one cell at a time (NumPy per pair), same embeddings, "
        "all of them",
        "sequences": len(embeddings),
        "seconds_ours": median(ours),
        "seconds_baseline": median(plain),
        "rounds": {"ours": ours, "baseline": plain},
        "peak_memory_growth_mb": growth,
        "largest_difference_points": difference,
    }


def sample(subjects: int) -> EmbeddingSet:
    """Return random embeddings of CCPG's structure: 80 sequences a subject, at ten cameras."""
    manifest = load_manifest("ccpg")
    pairs = [(kind, view) for kind in manifest.structure.types for view in manifest.structure.views]
    walked = [(kind, f"{view}_0") for kind, view in pairs]
    walked += [(kind, f"{view}_1") for kind, view in pairs][: SEQUENCES_PER_SUBJECT - len(pairs)]
    people = manifest.subjects.test[:subjects]
    keys = [(subject, kind, view) for subject in people for kind, view in walked]
    values = np.random.default_rng(0).standard_normal((len(keys), 256, 16), dtype=np.float32)
    labels, types, views = (tuple(column) for column in zip(*keys, strict=True))
    return EmbeddingSet(values, labels, types, views, "random")


def _difference(
    result: EvaluationResult, expected: dict[str, dict[str, plain_evaluator.Result]]
) -> float:
    worst = 0.0
    for protocol, conditions in expected.items():
        for condition, values in conditions.items():
            ours = result.protocols[protocol].conditions[condition].values
            for name, value in values.items():
                own = ours[name]
                if value is None or own is None:
                    worst = worst if value is own else np.inf
                else:
                    worst = max(worst, abs(own - value))
    return worst


def _peak_megabytes() -> float:
    # Kilobytes on Linux, bytes on macOS.
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
