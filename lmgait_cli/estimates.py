"""Output of `--dry-run` estimates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmgait_cli.console import out, print_table
from lmgait_cli.results import write_json

if TYPE_CHECKING:
    from core.estimates.stages import Estimate


def show_estimate(
    estimate: Estimate,
    json_file: Path | None,
    quiet: bool,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Print an estimate and its basis; ``extra`` is added to the JSON."""
    from core.estimates.stages import counted, size

    if estimate.stages:
        rows = [
            (
                stage.name,
                counted(stage.amount, stage.unit),
                duration(stage.seconds),
                size(stage.bytes),
            )
            for stage in estimate.stages
        ]
        if len(rows) > 1:
            rows.append(("All", "", duration(estimate.seconds), size(estimate.bytes)))
        print_table("Estimate", ("stage", "left", "time", "disk"), rows)
    else:
        out.print("Nothing to do.")
    for basis in dict.fromkeys(f"Based on {stage.basis}." for stage in estimate.stages):
        out.print(basis, markup=False, soft_wrap=True)
    free = f"{size(estimate.free)} free; nothing was written. Times are at the current load."
    for note in (*estimate.notes, free) if estimate.stages else ():
        out.print(note, markup=False, soft_wrap=True)
    content = {
        **(extra or {}),
        "dry_run": True,
        "seconds": estimate.seconds,
        "bytes": estimate.bytes,
        "free": estimate.free,
        "stages": [
            {key: value for key, value in asdict(stage).items() if key != "shared"}
            for stage in estimate.stages
        ],
        "notes": estimate.notes,
    }
    write_json(json_file, content, quiet)


def duration(seconds: float) -> str:
    """Seconds in the unit that suits them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
