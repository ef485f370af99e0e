"""`lmgait inspect`: what is in a store."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmgait_cli.completion import prepared
from lmgait_cli.console import out, print_table
from lmgait_cli.verbs import Terminal, verb

if TYPE_CHECKING:
    from core.workflows.inspect import InspectResult

# Types or views of which a table is readable; those of some datasets are thousands.
COLUMNS = 60
SHOWN = 10


@verb()
def inspect(
    terminal: Terminal,
    store: Annotated[
        str, typer.Argument(help="A store's folder, or a dataset's name.", autocompletion=prepared)
    ],
    manifest: Annotated[
        str | None, typer.Option("--manifest", help="Your own manifest.yaml, if it is not ours.")
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option("--sheet", help="Contact sheet (PNG); else contact-sheet.png here."),
    ] = None,
    no_sheet: Annotated[
        bool, typer.Option("--no-sheet", help="No contact sheet: it shows people.")
    ] = False,
) -> None:
    """Show a store's counts, sizes and missing sequences, and make a contact sheet of it.

    Example: lmgait inspect ccpg --sheet ccpg.png
    """
    from core.workflows.inspect import inspect as run

    target = None if no_sheet else sheet or Path("contact-sheet.png")
    result = run(store, terminal.workspace, manifest=manifest, sheet=target)
    _show(result)
    plain = {**asdict(result), "path": str(result.path), "sheet": target and str(target)}
    terminal.write_json(plain)


def _show(result: InspectResult) -> None:
    def tell(text: str) -> None:
        out.print(text, markup=False, soft_wrap=True)

    tell(result.description)
    train, test, other = result.subjects
    beside = f", {other} of neither side" if other else ""
    tell(
        f"Subjects: {train} training, {test} test{beside}; official but not here: "
        f"{len(result.missing_subjects)}"
    )
    tell(
        f"Frames: {result.frames:,} ({result.valid:,} with silhouette); a sequence has "
        f"{result.shortest} to {result.longest}, median {result.median}"
    )
    if result.streams:
        tell(f"Beside the frames: {', '.join(result.streams)}")
    share = f"{result.bytes / max(1, result.raw_bytes):.0%} of raw RGB"
    tell(f"Size: {result.bytes / 2**20:,.1f} MiB, {share if result.raw_bytes else 'without RGB'}")
    for word, counts in (("type", result.types), ("view", result.views)):
        if len(counts) > COLUMNS:
            tell(f"Sequences by {word}: of {len(counts):,} {word}s (all of them with --json)")
        else:
            title = f"Sequences by {word}"
            print_table(title, list(counts), [[f"{n:,}" for n in counts.values()]])
    print_table(
        "Sequences of test subjects by condition",
        ["protocol", "condition", "probes", "gallery"],
        [[c.protocol, c.condition, f"{c.probes:,}", f"{c.gallery:,}"] for c in result.conditions],
    )
    tell(
        f"Of {result.expected:,} cells that the official structure has for these subjects, "
        f"{len(result.missing):,} are missing."
    )
    for key in result.missing[:SHOWN]:
        tell(f"  {key}")
    if len(result.missing) > SHOWN:
        tell("  ... (all of them with --json)")
    if result.sheet is not None:
        tell(f"Contact sheet: {result.sheet}")
