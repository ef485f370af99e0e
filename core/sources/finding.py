"""Find the form of a folder, and the place of each stream below it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from core.errors import DataError, UsageError
from core.manifests.forms import Form
from core.manifests.streams import BESIDE, AlignedStream
from core.sources.cut_images import holds_stated_images
from core.sources.poses import holds_poses
from core.sources.roots import FoundForm, FoundStream, expected_place, find_streams, samples
from core.sources.settling import SAMPLES, SILHOUETTES_ALONE, settle

# Streams that a user may leave out.
LEFT_OUT = ("rgb", "silhouettes", *BESIDE)


def find_form(
    dataset: str,
    source: Path,
    forms: Sequence[Form],
    name: str | None,
    without: Collection[str] = (),
) -> FoundForm:
    """Find the form in which ``source`` holds the dataset.

    Args:
        dataset: The dataset's name, for messages.
        source: The folder given by the user.
        forms: The dataset's forms, preferred ones first.
        name: The only form to look for; all of them without it.
        without: Streams that are left out, of :data:`LEFT_OUT`.

    Raises:
        UsageError: ``name`` is none of the forms, or nothing remains of them.
        DataError: ``source`` is missing, empty, or holds none of the forms.
    """
    _check_folder(dataset, source)
    candidates = [form for form in forms if name in (None, form.name)]
    if not candidates:
        raise UsageError(
            f"{dataset} has no form {name!r}",
            next_step=f"Choose one of: {', '.join(form.name for form in forms)}.",
        )
    candidates = _remaining(dataset, candidates, without)
    partial: list[tuple[str, str]] = []
    matches: list[FoundForm] = []
    misfits: list[DataError] = []
    for number, form in enumerate(candidates):
        # Only names of folders, or other sizes of the same files, could go before.
        if matches and not any(_may_go_before(later, matches) for later in candidates[number:]):
            break
        parts = [(part, true_streams(source, part)) for part in form.wholes()]
        required = form.required_names(without)
        streams = {name: one for _, part in parts for name, one in part.items()}
        whole = [(part, present) for part, present in parts if required <= set(present)]
        if whole:
            try:
                forms_here = [settle(source, part, present, without) for part, present in whole]
                matches.append(replace(forms_here[0], others=tuple(forms_here[1:])))
            except DataError as error:
                if any(form.streams()[stream].media == "arrays" for stream in required):
                    raise
                # Half of the archives may lie beside what was packed of both.
                misfits.append(error)
        elif streams:
            lacking = required - set(streams)
            content = f"{' and '.join(sorted(streams))} but no {' and '.join(sorted(lacking))}"
            partial.append((content, _option(form, lacking, streams)))
    if len(matches) == 1:
        return matches[0]
    if matches:
        return max(matches, key=lambda one: (holds_stated_images(one), one.by_name))
    if misfits:
        raise misfits[0]
    raise _nothing_found(dataset, source, candidates, partial, without)


def _may_go_before(later: Form, candidates: Sequence[FoundForm]) -> bool:
    if any(stream.folders for stream in later.streams().values()):
        return True
    # The same files may be silhouettes or labels, of one size or another.
    here = [stream.path for one in candidates for stream in _cut_streams(one.form)]
    return any(stream.path in here for stream in _cut_streams(later))


def _cut_streams(form: Form) -> list[AlignedStream]:
    return [stream for stream in (form.aligned, form.parsing) if stream is not None]


def true_streams(source: Path, form: Form) -> dict[str, FoundStream]:
    """The streams of a form below ``source``; of array files of poses only roots that hold some.

    Names of poses are seldom their own: whether what they match is poses, only content tells.
    """
    streams = find_streams(source, form)
    poses = streams.get("pose")
    if poses is None or poses.stream.media != "arrays":
        return streams
    roots = tuple(
        root
        for root in poses.roots
        if any(map(holds_poses, islice(samples(root, poses.stream, form), SAMPLES)))
    )
    others = {name: stream for name, stream in streams.items() if name != "pose"}
    return others | ({"pose": replace(poses, roots=roots)} if roots else {})


def _remaining(dataset: str, forms: Sequence[Form], without: Collection[str]) -> list[Form]:
    """The forms that can do without some streams."""
    if unknown := sorted(set(without) - set(LEFT_OUT)):
        raise UsageError(
            f"There is no stream {unknown[0]!r} to leave out",
            where="--without",
            next_step=f"Known: {', '.join(LEFT_OUT)}.",
        )
    scenes = [form for form in forms if form.framing == "scene" and "silhouettes" in without]
    pictures = {"rgb", "silhouettes"}
    possible = [
        form
        for form in forms
        if form not in scenes
        and form.required_names(without)
        and (not pictures & set(without) or pictures & set(form.streams()))
    ]
    if not possible:
        reason = "whole scenes are cut by the silhouettes' boxes" if scenes else "nothing is left"
        raise UsageError(
            f"{dataset} cannot be prepared without {', '.join(sorted(without))}: {reason}",
            where="--without",
            next_step="Leave out less.",
        )
    return possible


def _option(form: Form, lacking: Collection[str], streams: Collection[str]) -> str:
    """Hint to prepare silhouettes alone, to end a sentence; empty where impossible."""
    pictures = {"rgb", "silhouettes"} & set(lacking)
    possible = "silhouettes" not in pictures or form.framing == "crop"
    required = form.required_names(pictures)
    if "rgb" not in pictures or not possible or not required or not required <= set(streams):
        return ""
    return f"; or add `--without {','.join(sorted(pictures))}`: {SILHOUETTES_ALONE}"


def _check_folder(dataset: str, source: Path) -> None:
    if not source.exists():
        raise DataError(
            f"No such folder for {dataset}",
            where=source,
            next_step="Give the folder that holds the dataset as it was delivered.",
        )
    if not source.is_dir():
        raise DataError(
            "This is a file, not a folder",
            where=source,
            next_step="Unpack the dataset's archives and give the folder that holds them.",
        )
    if not any(source.iterdir()):
        raise DataError(
            "The folder is empty",
            where=source,
            next_step=f"Give the folder that holds {dataset} as it was delivered.",
        )


def _nothing_found(
    dataset: str,
    source: Path,
    forms: Sequence[Form],
    partial: Sequence[tuple[str, str]],
    without: Collection[str],
) -> DataError:
    layouts = "; ".join(
        " + ".join(
            expected_place(stream)
            for stream_name, stream in form.streams().items()
            if stream_name in form.required_names(without)
        )
        for whole in forms
        for form in whole.wholes()
    )
    if partial:
        content, option = partial[0]
        return DataError(
            f"The folder holds {content} of {dataset}",
            where=source,
            next_step="Give the folder above both archives (or unpack the missing one): "
            f"{layouts}{option}.",
        )
    return DataError(
        f"The folder holds no {dataset} data in a known layout",
        where=source,
        next_step=f"Expected below it: {layouts}.",
    )
