"""`lmgait inspect`: the contents of a store."""

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

# Largest number of types or views shown as a table; some datasets have thousands.
COLUMNS = 60
MAX_MISSING_LINES = 10


@verb()
def inspect(
    terminal: Terminal,
    store: Annotated[
        str, typer.Argument(help="A store's folder, or a dataset's name.", autocompletion=prepared)
    ],
    manifest: Annotated[
        str | None,
        typer.Option(
            "--manifest", help="Your own manifest.yaml, for a dataset that lmgait does not include."
        ),
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option("--sheet", help="Contact sheet (PNG). Default: ./contact-sheet.png."),
    ] = None,
    no_sheet: Annotated[
        bool, typer.Option("--no-sheet", help="Do not write a contact sheet; it shows people.")
    ] = False,
) -> None:
    """Show a store's counts, sizes and missing sequences, and write a contact sheet.

    Example: lmgait inspect ccpg --sheet ccpg.png
    """
    from core.workflows.inspect import inspect as run

    target = None if no_sheet else sheet or Path("contact-sheet.png")
    result = run(store, terminal.workspace, manifest=manifest, sheet=target)
    _show(result)
    plain = {**asdict(result), "path": str(result.path), "sheet": target and str(target)}
    terminal.write_json(plain)


def _show(result: InspectResult) -> None:
    def write_line(text: str) -> None:
        out.print(text, markup=False, soft_wrap=True)

    write_line(result.description)
    train, test, other = result.subjects
    other_part = f", {other} in neither set" if other else ""
    write_line(
        f"Subjects: {train} training, {test} test{other_part}; official but missing here: "
        f"{len(result.missing_subjects)}"
    )
    write_line(
        f"Frames: {result.frames:,} ({result.valid:,} with silhouette); a sequence has "
        f"{result.shortest} to {result.longest}, median {result.median}"
    )
    if result.streams:
        write_line(f"Other streams: {', '.join(result.streams)}")
    share = f"{result.bytes / max(1, result.raw_bytes):.0%} of raw RGB"
    write_line(
        f"Size: {result.bytes / 2**20:,.1f} MiB, {share if result.raw_bytes else 'without RGB'}"
    )
    for word, counts in (("type", result.types), ("view", result.views)):
        if len(counts) > COLUMNS:
            write_line(f"Sequences by {word}: of {len(counts):,} {word}s (all of them with --json)")
        else:
            title = f"Sequences by {word}"
            print_table(title, list(counts), [[f"{n:,}" for n in counts.values()]])
    print_table(
        "Sequences of test subjects by condition",
        ["protocol", "condition", "probes", "gallery"],
        [[c.protocol, c.condition, f"{c.probes:,}", f"{c.gallery:,}"] for c in result.conditions],
    )
    write_line(
        f"Of {result.expected:,} cells that the official structure has for these subjects, "
        f"{len(result.missing):,} are missing."
    )
    for key in result.missing[:MAX_MISSING_LINES]:
        write_line(f"  {key}")
    if len(result.missing) > MAX_MISSING_LINES:
        write_line("  ... (all of them with --json)")
    if result.sheet is not None:
        write_line(f"Contact sheet: {result.sheet}")
