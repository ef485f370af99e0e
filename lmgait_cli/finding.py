"""Options on how persons are found in a video, shared by `enroll` and `identify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

GalleryArgument = Annotated[
    Path, typer.Argument(metavar="GALLERY", help="The gallery's file, such as people.safetensors.")
]
CropOption = Annotated[
    bool, typer.Option("--crop", help="The video is cut to one person already: head to feet.")
]
BoxesOption = Annotated[
    Path | None,
    typer.Option("--boxes", help="Boxes of persons: frame,track,left,top,width,height a line."),
]
DetectorOption = Annotated[
    Path | None,
    typer.Option("--detector", help="ONNX person detector in YOLOX's form, for moving cameras."),
]
