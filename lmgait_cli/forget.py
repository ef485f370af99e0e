"""`lmgait forget`: a subject out of the workspace."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmgait_cli.completion import prepared
from lmgait_cli.console import out
from lmgait_cli.results import write_json
from lmgait_cli.verbs import Terminal, verb

if TYPE_CHECKING:
    from core.workflows.forget import Forgotten

GALLERY = ".safetensors"


@verb()
def forget(
    terminal: Terminal,
    store: Annotated[
        str,
        typer.Argument(
            help="A dataset's name, a store's folder, or a gallery of `lmgait enroll`.",
            autocompletion=prepared,
        ),
    ],
    subject: Annotated[str, typer.Argument(help="The subject's id, or the name in a gallery.")],
    with_runs: Annotated[
        bool,
        typer.Option("--with-runs", help="Also delete models that have learnt from the subject."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and stop.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a subject from a store and from all that the workspace made of it.

    Frames and silhouettes, stored features, embeddings, pictures of runs on this dataset, and names
    in logs. Models that have learnt from the subject are listed, and stay without --with-runs. Raw
    data, files elsewhere and backups are not reached. Run it again after a stop and it goes on.
    With a gallery's file, the walks enrolled under a name are deleted from it.

    Example: lmgait forget ccpg 000 --dry-run
    """
    from core.workflows.forget import forget as run
    from core.workflows.forget import look

    if Path(store).is_file() or Path(store).suffix == GALLERY:
        _from_gallery(Path(store), subject, dry_run, yes, terminal.json_file, terminal.quiet)
        return
    place = terminal.workspace
    if dry_run or not yes:
        found = look(store, subject, place, with_runs=with_runs)
        _show(found, "would be" if dry_run else "will be")
    if not dry_run:
        if not yes:
            _ask()
        found = run(store, subject, place, with_runs=with_runs, progress=terminal.progress)
        if yes:
            _show(found, "were")
        else:
            out.print("Done.")
    terminal.write_json(found.to_json() | {"dry_run": dry_run})


def _walks(count: int, name: str) -> str:
    return f"{count} walk{'s' * (count != 1)} of {name}"


def _from_gallery(
    gallery: Path, name: str, dry_run: bool, yes: bool, json_file: Path | None, quiet: bool
) -> None:
    from core.workflows.forget import enrolled, forget_enrolled

    count = enrolled(gallery, name)
    if not dry_run:
        if count and not yes:
            words = f"{_walks(count, name)} will be deleted from {gallery}."
            out.print(words, markup=False, soft_wrap=True)
            _ask()
        count = forget_enrolled(gallery, name)
    verb = "would be" if dry_run else "was" if count == 1 else "were"
    words = f"{_walks(count, name)} {verb} deleted from {gallery}."
    out.print(words, markup=False, soft_wrap=True)
    plain = {"name": name, "gallery": str(gallery), "dry_run": dry_run, "walks": count}
    write_json(json_file, plain, quiet)


def _ask() -> None:
    from core.errors import UsageError

    if not _at_a_terminal():
        raise UsageError(
            "Nothing was deleted: there is no terminal to ask at", next_step="Add --yes."
        )
    typer.confirm("Delete all this? It cannot be undone.", abort=True)


def _at_a_terminal() -> bool:
    return sys.stdin.isatty()


def _show(found: Forgotten, verb: str) -> None:
    def tell(text: str) -> None:
        out.print(text, markup=False, soft_wrap=True)

    tell(
        f"{found.sequences:,} sequences ({found.frames:,} frames) of subject {found.subject} of "
        f"{found.dataset} {verb} deleted."
    )
    for held in found.stores:
        tell(f"  {held.folder}: {held.shards} shards, {held.findings} lines of left-out.json")
    for (folder, what), count in Counter((t.path.parent, t.what) for t in found.traces).items():
        names = [t.path.name for t in found.traces if (t.path.parent, t.what) == (folder, what)]
        tell(f"  {folder}: {what}: {names[0]}{f' and {count - 1} more' if count > 1 else ''}")
    if found.models:
        tell(
            "These models have learnt from the subject, and nothing takes that out of their "
            "weights; --with-runs deletes them:"
        )
        for folder in found.models:
            tell(f"  {folder}")
    tell("Not reached: raw data, files outside of the workspace, backups.")
