"""`lmgait forget`: delete a subject from the workspace."""

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
            help="Dataset name, store folder, or gallery of `lmgait enroll`.",
            autocompletion=prepared,
        ),
    ],
    subject: Annotated[str, typer.Argument(help="Subject id, or name in a gallery.")],
    with_runs: Annotated[
        bool,
        typer.Option("--with-runs", help="Also delete models trained on the subject."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would be deleted.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Delete a subject from a store and from everything that the workspace derived from it.

    Deletes frames and silhouettes, stored features, embeddings, pictures of runs on this dataset,
    and names in logs. Models trained on the subject are listed, and deleted only with --with-runs.
    Raw data, files elsewhere and backups are not touched. To resume after a stop, run the same
    command again.
    With a gallery's file, the walks enrolled under a name are deleted from it.

    Example: lmgait forget ccpg 000 --dry-run
    """
    from core.workflows.forget import forget as run
    from core.workflows.forget import look

    if Path(store).is_file() or Path(store).suffix == GALLERY:
        _from_gallery(Path(store), subject, dry_run, yes, terminal.json_file, terminal.quiet)
        return
    workspace = terminal.workspace
    if dry_run or not yes:
        summary = look(store, subject, workspace, with_runs=with_runs)
        _show(summary, "would be" if dry_run else "will be")
    if not dry_run:
        if not yes:
            _ask()
        summary = run(store, subject, workspace, with_runs=with_runs, progress=terminal.progress)
        if yes:
            _show(summary, "were")
        else:
            out.print("Done.")
    terminal.write_json(summary.to_json() | {"dry_run": dry_run})


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
            "Nothing was deleted: there is no terminal for the confirmation", next_step="Add --yes."
        )
    typer.confirm("Delete all this? It cannot be undone.", abort=True)


def _at_a_terminal() -> bool:
    return sys.stdin.isatty()


def _show(summary: Forgotten, verb: str) -> None:
    def write_line(text: str) -> None:
        out.print(text, markup=False, soft_wrap=True)

    write_line(
        f"{summary.sequences:,} sequences ({summary.frames:,} frames) of subject "
        f"{summary.subject} of {summary.dataset} {verb} deleted."
    )
    for store in summary.stores:
        write_line(
            f"  {store.folder}: {store.shards} shards, {store.findings} lines of left-out.json"
        )
    for (folder, what), count in Counter((t.path.parent, t.what) for t in summary.traces).items():
        names = [t.path.name for t in summary.traces if (t.path.parent, t.what) == (folder, what)]
        write_line(f"  {folder}: {what}: {names[0]}{f' and {count - 1} more' if count > 1 else ''}")
    if summary.models:
        write_line(
            "These models were trained on the subject, and their weights cannot be "
            "cleaned of that; --with-runs deletes them:"
        )
        for folder in summary.models:
            write_line(f"  {folder}")
    write_line("Not deleted: raw data, files outside the workspace, backups.")
