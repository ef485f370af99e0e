"""`lmgait export`: export a model for other programs."""

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
        typer.Argument(metavar="RUN", help="Run to use. Default: the newest.", autocompletion=runs),
    ] = None,
    format: Annotated[
        Literal["onnx", "torch"], typer.Option("--format", help="onnx, or torch (torch.export).")
    ] = "onnx",
    path: Annotated[
        Path | None,
        typer.Option("--out", help="Output file, .onnx or .pt2. Default: in the run's folder."),
    ] = None,
    pixels: Annotated[
        Literal["uint8", "float32"],
        typer.Option("--pixels", help="Input type; float32 also ranges from 0 to 255."),
    ] = "uint8",
    dataset: DatasetOption = None,
) -> None:
    """Write a run's model as one file that needs neither lmgait nor a text encoder.

    Inputs are RGB frames [batch, length, 3, 256, 128] or silhouettes [batch, length, 64, 44] of any
    batch size and length; outputs are embeddings [batch, channels, strips]. Resizing, normalisation
    and LMGait's text features are included. ONNX needs `pip install 'lmgait[export]'`.

    Example: lmgait export --format onnx --out model.onnx
    """
    from core.workflows.export import export_run

    result = export_run(
        terminal.workspace,
        path,
        run_name=run_name,
        dataset=dataset,
        format=format,
        pixels=pixels,
        progress=terminal.progress,
    )
    comparison = (
        "not compared: onnxruntime is not installed"
        if result.difference is None
        else f"at most {result.difference:.1e} from PyTorch"
    )
    out.print(
        f"{result.path}: {result.bytes / 2**20:.1f} MiB, run {result.run.name}, {comparison}\n"
        f"Takes {result.metadata['input']}\nGives {result.metadata['output']}",
        markup=False,
        soft_wrap=True,
    )
    terminal.write_json(result.to_json())
