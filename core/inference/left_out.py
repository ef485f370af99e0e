"""Which sequences of a store a verb does not use, and why: a report beside its output."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from core.errors import DataError
from core.inputs import Input
from core.manifests.schema import DatasetManifest
from core.progress import Progress
from core.records import EmbeddingSet, SequenceKey
from core.storage.build import SEQUENCE_LEFT_OUT, summarise
from core.storage.layout import LEFT_OUT_NAME, Finding, LeftOutFile, read_json, write_json
from core.storage.store import Store
from core.storage.subjects import no_subject_error
from core.system.suggestions import some

NOT_TESTED = "not of a test subject"
NOT_TRAINED = "not of a training subject"
NO_PROTOCOL = "of a type that no protocol uses"
# How reasons begin that tell what of a model's inputs a sequence lacks.
LACKING = "without "
NO_SILHOUETTE = f"{LACKING}a usable silhouette"

Reason = Callable[[SequenceKey], str | None]


def left_out_path(path: Path) -> Path:
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
    tested = set(manifest.subjects.tested)
    rules = [
        rule
        for protocol in manifest.protocols.values()
        for condition in protocol.conditions.values()
        for rule in (condition.probe, condition.gallery)
    ]

    def reason(key: SequenceKey) -> str | None:
        if key.subject not in tested:
            return NOT_TESTED
        return None if any(manifest.takes(rule, key) for rule in rules) else NO_PROTOCOL

    return reason


def missing_inputs(inputs: Collection[Input]) -> str:
    """What a sequence lacks that has nothing a model reads, such as ``without usable poses``.

    Args:
        inputs: What the model reads.
    """
    if set(inputs) <= {"rgb", "masks", "silhouettes"}:
        return NO_SILHOUETTE
    if len(inputs) == 1:
        return f"{LACKING}usable {next(iter(inputs))}"
    return f"{LACKING}{' and '.join(sorted(inputs))} of one frame"


def unused_in_training(
    manifest: DatasetManifest,
    used: Collection[SequenceKey] | None = None,
    lack: str = NO_SILHOUETTE,
) -> Reason:
    """Why a sequence is not trained on; None where it is.

    Args:
        manifest: The dataset.
        used: The sequences that clips are drawn from; None: all of the training subjects.
        lack: What the others lack (:func:`missing_inputs`).
    """
    train = set(manifest.subjects.train)

    def reason(key: SequenceKey) -> str | None:
        if key.subject not in train:
            return NOT_TRAINED
        return None if used is None or key in used else lack

    return reason


def not_embedded(unused: Reason, embeddings: EmbeddingSet, lack: str) -> Reason:
    """Why a sequence is not in ``embeddings``: as ``unused`` says, or for what it lacks."""
    keys = set(zip(embeddings.labels, embeddings.types, embeddings.views, strict=True))
    return lambda key: unused(key) or (None if key in keys else lack)


def in_words(absent: int, lack: str) -> str:
    """How many sequences lack what a model reads (:func:`missing_inputs`)."""
    return f"{absent:,} sequence{'' if absent == 1 else 's'} {lack}"


def no_sequence_error(store: Store, manifest: DatasetManifest) -> DataError:
    """The error that there is nothing to embed, with its cause: the subjects or their types."""
    tested = set(manifest.subjects.tested)
    types = sorted({info.key.type for info in store.sequences if info.key.subject in tested})
    if not types:
        return no_subject_error(store, manifest.subjects.tested, "test")
    return DataError(
        "The store holds no sequence of a test subject that a protocol uses: the types of theirs "
        f"are {some(types)}",
        where=store.path,
        next_step="Correct the protocols' types in the manifest, or prepare the other types too.",
    )


def count_absent(
    store: Store, used: int, embedded: int, inputs: Collection[Input], progress: Progress
) -> int:
    """How many of ``used`` sequences have no embedding, for want of what the model reads.

    Args:
        store: The store.
        used: Sequences that were to be embedded.
        embedded: Those that were.
        inputs: What the model reads.
        progress: Told the number, where it is not zero.

    Raises:
        DataError: none was embedded.
    """
    absent = used - embedded
    lack = missing_inputs(inputs)
    if not embedded:
        held = "its silhouettes" if lack == NO_SILHOUETTE else " and ".join(sorted(inputs))
        raise DataError(
            f"None of the {used:,} sequences to embed has {lack.removeprefix(LACKING)}",
            where=store.path,
            next_step=f"Prepare the dataset with {held}, or take a run of another --model.",
        )
    if absent:
        progress.say(f"{in_words(absent, lack)}: missing in the embeddings.")
    return absent


def without_inputs(path: Path) -> frozenset[str]:
    """The sequences that a report names as without what the model reads; empty without a report.

    Raises:
        StoreError: the report is damaged.
    """
    if not path.is_file():
        return frozenset()
    report = read_json(path, LeftOutFile, "Delete it.")
    return frozenset(one.sequence for one in report.findings if one.reason.startswith(LACKING))
