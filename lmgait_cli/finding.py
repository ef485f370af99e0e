"""Person detection options shared by `enroll` and `identify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

GalleryArgument = Annotated[
    Path, typer.Argument(metavar="GALLERY", help="Gallery file, such as people.safetensors.")
]
CropOption = Annotated[
    bool, typer.Option("--crop", help="The video is already cropped to one person, head to feet.")
]
BoxesOption = Annotated[
    Path | None,
    typer.Option("--boxes", help="Person boxes; each line is frame,track,left,top,width,height."),
]
DetectorOption = Annotated[
    Path | None,
    typer.Option("--detector", help="ONNX person detector in YOLOX's format, for moving cameras."),
]
