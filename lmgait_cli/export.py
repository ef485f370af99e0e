"""`lmgait export`: a model for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from lmgait_cli.completion import runs
from lmgait_cli.console import out
from lmgait_cli.options import DatasetOption
from lmgait_cli.verbs import Terminal, verb


@verb()
def export(
    terminal: Terminal,
    run_name: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="Which run; else the newest.", autocompletion=runs),
    ] = None,
    format: Annotated[
        Literal["onnx", "torch"], typer.Option("--format", help="onnx, or torch (torch.export).")
    ] = "onnx",
    path: Annotated[
        Path | None,
        typer.Option("--out", help="The file, .onnx or .pt2; else in the run's folder."),
    ] = None,
    pixels: Annotated[
        Literal["uint8", "float32"],
        typer.Option("--pixels", help="Type of the input; float32 has 0 to 255 as well."),
    ] = "uint8",
    dataset: DatasetOption = None,
) -> None:
    """Write a run's model as one file that needs neither lmgait nor a text encoder.

    It takes RGB frames [batch, length, 3, 256, 128], or silhouettes [batch, length, 64, 44], of any
    batch and length, and gives embeddings [batch, channels, strips]. Resizing, normalisation and
    LMGait's text features are inside. ONNX needs `pip install 'lmgait[export]'`.

    Example: lmgait export --format onnx --out model.onnx
    """
    from core.workflows.export import export_run

    done = export_run(
        terminal.workspace,
        path,
        run_name=run_name,
        dataset=dataset,
        format=format,
        pixels=pixels,
        progress=terminal.progress,
    )
    checked = (
        "not compared: onnxruntime is not installed"
        if done.difference is None
        else f"at most {done.difference:.1e} from PyTorch"
    )
    out.print(
        f"{done.path}: {done.bytes / 2**20:.1f} MiB, run {done.run.name}, {checked}\n"
        f"Takes {done.metadata['input']}\nGives {done.metadata['output']}",
        markup=False,
        soft_wrap=True,
    )
    terminal.write_json(done.to_json())
