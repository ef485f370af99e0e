"""``lmgait prepare``: a raw dataset to a store.

The source is listed, its sequences are sorted by key and cut into shards, and worker processes make
a shard each. A shard appears whole or not at all, so a run that was stopped goes on with the first
shard that is missing, and the result is the same, byte for byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path
from time import monotonic

from core.errors import DataError, UsageError
from core.manifests.forms import Form
from core.manifests.load import load_manifest, load_outline
from core.manifests.streams import ParsingCut
from core.preparation.parsing import with_parsing_cut
from core.preparation.partitions import find_partition, lacks_partition
from core.preparation.plan import PreparationPlan, PrepareResult
from core.preparation.shard_jobs import ShardJob, findings
from core.preparation.split import compare, known_names
from core.progress import Progress, SilentProgress
from core.records import POSE_SHAPE, StreamName
from core.sources.raw import RawSequence
from core.sources.recognise import find_or_name
from core.sources.roots import FoundForm
from core.sources.sequences import scan
from core.storage.codec_names import CodecName
from core.storage.formats import format_of
from core.storage.layout import READING, SHARD_FRAMES, Plan
from core.storage.stream_plan import NewStream, StreamPlan
from core.version import __version__
from core.video.flow import FLOW_SIZE, MAKER
from core.workspace import Workspace


def plan_preparation(
    dataset: str,
    source: Path,
    workspace: Workspace,
    *,
    codec: CodecName = "lossless",
    part: tuple[int, int] | None = None,
    form: str | None = None,
    without: Collection[str] = (),
    flow: bool = False,
    parsing_cut: ParsingCut | None = None,
    progress: Progress | None = None,
) -> PreparationPlan:
    """List a source and decide what a preparation is to make; reads only.

    Args:
        dataset: Name of a dataset, or the path of your own manifest (``.yaml``).
        source: Folder that holds it as it was delivered.
        workspace: Where the store goes.
        codec: ``lossless``, ``compact`` (exact too) or ``jpeg``.
        part: ``(i, n)``: only the i-th of n parts, to be joined by :func:`core.workflows.merge`.
        form: Name of the form, where the source could be read in several.
        without: Streams that are left out: ``rgb``, ``silhouettes``, ``aligned``, ``pose``,
            ``parsing``.
        flow: Compute optical flow from the frames.
        parsing_cut: Where parsing that comes whole is cut; None: as the form says.
        progress: Told of the listing.

    Raises:
        UsageError: an unknown dataset or form, a part that does not exist, nothing left of it, flow
            of a source without frames or silhouettes, or parsing that cannot be cut so.
        DataError: the source is missing, empty, or holds none of the dataset's forms.
        ManifestError: the dataset's split is in a file that is not here.
    """
    begun = monotonic()
    progress = progress or SilentProgress()
    source = Path(source).expanduser().absolute()
    _check_part(part)
    partition = find_partition(dataset, source, workspace)
    if partition is None and lacks_partition(dataset, workspace):
        # A folder that does not hold the dataset is the nearer cause, and is told first.
        outline = load_outline(dataset)
        find_or_name(outline.name, source, outline.forms, form, without)
    manifest = load_manifest(
        dataset, workspace, partition=None if partition is None else partition.source
    )
    delivered = find_or_name(manifest.name, source, manifest.forms, form, without)
    if flow:
        _check_flow(delivered)
    delivered = with_parsing_cut(delivered, parsing_cut)
    for note in delivered.notes:
        progress.say(note)
    with progress.task(f"Listing {manifest.name}", None, "sequences") as task:
        sequences, beside = scan(source, delivered, known_names(manifest))
        task.advance(len(sequences))
    if not sequences:
        raise DataError(
            "No sequence can be used",
            where=source,
            next_step=_where_to_look(delivered),
        )
    shards = plan_shards(sequences)
    content = _content(manifest.name, delivered, codec, sequences, len(shards), part, flow=flow)
    folder = part_folder(workspace, manifest.name, part)
    jobs = tuple(
        ShardJob(
            number,
            folder,
            source,
            delivered.form,
            content,
            tuple(shards[number]),
            manifest.silhouette_cut,
            flow,
        )
        for number in content.shard_numbers()
    )
    return PreparationPlan(
        folder,
        delivered.form.name,
        compare((sequence.key for sequence in sequences), manifest),
        findings(beside),
        len(sequences),
        content,
        jobs,
        monotonic() - begun,
        partition,
    )


def prepare(
    dataset: str,
    source: Path,
    workspace: Workspace,
    *,
    codec: CodecName = "lossless",
    workers: int | None = None,
    part: tuple[int, int] | None = None,
    form: str | None = None,
    without: Collection[str] = (),
    flow: bool = False,
    parsing_cut: ParsingCut | None = None,
    replace: bool = False,
    progress: Progress | None = None,
) -> PrepareResult:
    """Prepare a dataset, or resume that.

    Arguments and errors are those of :func:`plan_preparation` and :meth:`PreparationPlan.run`.
    """
    plan = plan_preparation(
        dataset,
        source,
        workspace,
        codec=codec,
        part=part,
        form=form,
        without=without,
        flow=flow,
        parsing_cut=parsing_cut,
        progress=progress,
    )
    return plan.run(workers=workers, replace=replace, progress=progress)


def plan_shards(sequences: list[RawSequence]) -> list[list[RawSequence]]:
    """Cut sorted sequences into shards of about :data:`SHARD_FRAMES` frames, in order."""
    shards: list[list[RawSequence]] = []
    room = 0
    for sequence in sequences:
        if not shards or sequence.weight > room:
            shards.append([])
            room = SHARD_FRAMES
        shards[-1].append(sequence)
        room -= sequence.weight
    return shards


def part_folder(workspace: Workspace, dataset: str, part: tuple[int, int] | None) -> Path:
    """Folder of a store, or of one part of it."""
    whole = workspace.store(dataset)
    return whole if part is None else whole.with_name(f"{whole.name}.part-{part[0]}-of-{part[1]}")


def _check_part(part: tuple[int, int] | None) -> None:
    if part is not None and not 1 <= part[0] <= part[1] <= 100_000:
        raise UsageError(
            f"There is no part {part[0]} of {part[1]}",
            where="--part",
            next_step="Parts are counted from 1: --part 1/16 to --part 16/16.",
        )


def _where_to_look(delivered: FoundForm) -> str:
    """What to do about a source without a sequence."""
    pose = delivered.form.pose
    if set(delivered.streams) == {"pose"} and pose is not None and pose.key is not None:
        return (
            f"Look at the first lines of {pose.path}: each begins with the path of an image in a "
            f"folder {pose.key}, with / between folders and commas between fields, in UTF-8."
        )
    return "Look at the folder: every sequence in it lacks its frames."


def _check_flow(delivered: FoundForm) -> None:
    lacking = sorted({"rgb", "silhouettes"} - set(delivered.streams))
    if lacking:
        raise UsageError(
            f"Optical flow is computed from frames with silhouettes; there are no "
            f"{' and no '.join(lacking)}",
            where="--flow",
            next_step="Leave --flow out, or give a source that holds both.",
        )


def _content(
    dataset: str,
    delivered: FoundForm,
    codec: CodecName,
    sequences: list[RawSequence],
    shards: int,
    part: tuple[int, int] | None,
    *,
    flow: bool,
) -> Plan:
    digest = hashlib.sha256()
    for sequence in sequences:
        digest.update(f"{sequence.key} {sequence.weight} {sequence.digest}\n".encode())
    form = delivered.form
    stored_as: CodecName = codec if "rgb" in delivered.streams else "none"
    aligned = form.aligned if "aligned" in delivered.streams else None
    streams = _streams(form, delivered.streams)
    if flow:
        streams["flow"] = StreamPlan(shape=(3, FLOW_SIZE, FLOW_SIZE), maker=MAKER)
    beside: list[StreamName] = [*streams] if aligned is None else ["aligned", *streams]
    return Plan(
        format=format_of(stored_as, beside),
        dataset=dataset,
        form=form.name,
        label=form.label,
        framing=form.framing,
        codec=stored_as,
        source=digest.hexdigest(),
        shards=shards,
        part=part,
        tool=__version__,
        reading=READING,
        aligned=None if aligned is None else aligned.size,
        streams=streams,
    )


def _streams(form: Form, names: Collection[str]) -> dict[NewStream, StreamPlan]:
    """What lies beside the frames of a source, apart from aligned silhouettes."""
    streams: dict[NewStream, StreamPlan] = {}
    if form.pose is not None and "pose" in names:
        pose = form.pose
        streams["pose"] = StreamPlan(shape=POSE_SHAPE, maker=pose.estimator, file=pose.path)
    if form.parsing is not None and "parsing" in names:
        parsing = form.parsing
        streams["parsing"] = StreamPlan(shape=parsing.size, maker=parsing.maker, file=parsing.path)
    return streams
