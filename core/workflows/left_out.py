"""Which sequences of a store a verb does not use, and why: a report beside its output."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from core.manifests.schema import DatasetManifest
from core.records import SequenceKey
from core.storage.build import SEQUENCE_LEFT_OUT, summarise
from core.storage.layout import LEFT_OUT_NAME, Finding, LeftOutFile, write_json
from core.storage.store import Store

NOT_TESTED = "not of a test subject"
NOT_TRAINED = "not of a training subject"
NO_PROTOCOL = "of a type that no protocol uses"

Reason = Callable[[SequenceKey], str | None]


def beside(path: Path) -> Path:
    """Where the report on a file of embeddings lies."""
    return path.with_name(f"{path.name}.{LEFT_OUT_NAME}")


def write_once(folder: Path, store: Store, reason: Reason) -> None:
    """Write a run's report, unless it is there: it follows from the store alone."""
    if not (folder / LEFT_OUT_NAME).is_file():
        write_left_out(folder / LEFT_OUT_NAME, store, reason)


def write_left_out(path: Path, store: Store, reason: Reason) -> None:
    """Write the sequences for which there is a reason (raises ``OutputError``)."""
    findings = tuple(
        Finding(sequence=str(info.key), reason=why, effect=SEQUENCE_LEFT_OUT, frames=info.frames)
        for info in store.sequences
        if (why := reason(info.key)) is not None
    )
    write_json(path, LeftOutFile(summary=summarise(findings), listing=(), findings=findings))


def unused_in_tests(manifest: DatasetManifest) -> Reason:
    """Why a sequence takes no part in the protocols; None where it does."""
    test = set(manifest.subjects.test)
    rules = [
        rule
        for protocol in manifest.protocols.values()
        for condition in protocol.conditions.values()
        for rule in (condition.probe, condition.gallery)
    ]

    def reason(key: SequenceKey) -> str | None:
        if key.subject not in test:
            return NOT_TESTED
        return None if any(rule.takes(key.type) for rule in rules) else NO_PROTOCOL

    return reason


def unused_in_training(manifest: DatasetManifest) -> Reason:
    """Why a sequence is not trained on; None where it is."""
    train = set(manifest.subjects.train)
    return lambda key: None if key.subject in train else NOT_TRAINED
