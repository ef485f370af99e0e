"""`lmgait prepare`: convert raw data to a store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from core.storage.codec_names import FrameCodec
from lmgait_cli.completion import known
from lmgait_cli.console import out, print_table
from lmgait_cli.verbs import Terminal, verb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.preparation.plan import PrepareResult
    from core.preparation.split import Comparison
    from core.storage.basics import ReasonCount


@verb(dry_run=True)
def prepare(
    terminal: Terminal,
    dataset: Annotated[
        str,
        typer.Argument(help="A dataset's name, or your own manifest.yaml.", autocompletion=known),
    ],
    source: Annotated[Path, typer.Argument(help="Folder of the dataset as delivered.")],
    codec: Annotated[
        FrameCodec,
        typer.Option(
            "--codec",
            help="lossless; compact: also exact, half the size, four times slower to read; "
            "jpeg: a tenth of the size, with its error measured.",
        ),
    ] = "lossless",
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", help="Worker processes. Default: one per core. 0: use this process.", min=0
        ),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            "--part", help="Prepare only part i of n, such as 3/16; then run `lmgait merge`."
        ),
    ] = None,
    form: Annotated[
        str | None, typer.Option("--form", help="Delivered form. Default: detected.")
    ] = None,
    without: Annotated[
        str | None,
        typer.Option(
            "--without",
            help="Comma-separated streams to skip: rgb (for models on silhouettes), silhouettes, "
            "aligned, pose, parsing.",
        ),
    ] = None,
    flow: Annotated[
        bool,
        typer.Option(
            "--flow", help="Compute optical flow from the frames; tables call it own flow."
        ),
    ] = False,
    parsing_cut: Annotated[
        Literal["itself", "silhouettes"] | None,  # ParsingCut, whose module is slow to load
        typer.Option(
            "--parsing-cut",
            help="Cut parsing that comes whole by its own outline (itself), or where the "
            "silhouettes of its frames are cut; else as the form says.",
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Delete an existing store with other contents.")
    ] = False,
) -> None:
    """Read a raw dataset, crop and resize its frames, and write a store for training and testing.

    RGB and silhouette share one geometry: the person's box, 256 pixels high, centred in 128.
    Unusable data are skipped and listed in left-out.json. To resume after a stop, run the same
    command again; the result is byte-identical.

    Example: lmgait prepare ccpg /data/CCPG --workspace /data/lmgait
    """
    from core.workflows.prepare import plan_preparation

    progress = terminal.progress
    plan = plan_preparation(
        dataset,
        source,
        terminal.workspace,
        codec=codec,
        part=_part(part),
        form=form,
        without=[name.strip() for name in (without or "").split(",") if name.strip()],
        flow=flow,
        parsing_cut=parsing_cut,
        progress=progress,
    )
    if terminal.dry_run:
        _show_split(plan.comparison, plan.left_out())
        _print_line(
            f"Found the form `{plan.form}`: {plan.sequences:,} sequences, about "
            f"{plan.frames:,} frames. Nothing was written."
        )
        terminal.show_estimate(plan.estimate(workers), plan.to_json())
        return
    result = plan.run(workers=workers, replace=replace, progress=progress)
    _show(result)
    terminal.write_json(result.to_json())


def _part(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    number, slash, count = text.partition("/")
    if not (slash and number.strip().isdecimal() and count.strip().isdecimal()):
        from core.errors import UsageError

        raise UsageError(
            f"{text!r} is not of the form i/n",
            where="--part",
            next_step="For the third of 16 parts, write 3/16.",
        )
    return int(number), int(count)


def _print_line(text: str, style: str | None = None) -> None:
    out.print(text, style=style, markup=False, soft_wrap=True)


def _show_split(
    comparison: Comparison, left_out: Sequence[ReasonCount], report: Path | None = None
) -> None:
    if left_out:
        print_table(
            "Skipped or noted",
            ["reason", "effect", "sequences", "frames"],
            [[r.reason, r.effect, f"{r.sequences:,}", f"{r.frames:,}"] for r in left_out],
        )
        if report is not None:
            _print_line(f"Details in {report}")
    _print_line(comparison.counts())
    for line in comparison.warnings():
        _print_line(line, "bold yellow")


def _show(result: PrepareResult) -> None:
    info = result.info
    _show_split(result.comparison, result.left_out, result.report)
    status = "Already complete, nothing to do" if result.already else _speed(result)
    loss = "" if info.psnr is None else f", PSNR {info.psnr:.1f} dB"
    share = f"{info.bytes / max(1, info.raw_bytes):.0%} of raw ({info.plan.codec}{loss})"
    streams = "".join(f", {line}" for line in result.streams)
    _print_line(
        f"{result.store}: {info.sequences:,} sequences, {info.frames:,} frames "
        f"({info.valid:,} with silhouette){streams}, {info.bytes / 2**20:,.1f} MiB, "
        f"{share if info.raw_bytes else 'without RGB'}, form `{info.plan.form}`. {status}."
    )


def _speed(result: PrepareResult) -> str:
    rate = result.found_frames / max(result.seconds, 1e-9)
    return f"Took {result.seconds:.1f} s ({rate:,.0f} frames/s)"
