"""`lmgait pretrain-encoders`: train small encoders from scratch on rendered people."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from lmgait_cli.console import out, print_table
from lmgait_cli.options import SeedOption
from lmgait_cli.verbs import Terminal, verb

_MINUTES = 300.0


@verb(workspace=False, dry_run=True)
def pretrain_encoders(
    terminal: Terminal,
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="Output folder.")],
    minutes: Annotated[
        float | None,
        typer.Option(
            help=f"Total time in minutes; {_MINUTES:.0f} if neither this nor --steps is given.",
            min=0.01,
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Number of steps, instead of a time.", min=1, max=10**9)
    ] = None,
    pictures: Annotated[
        int, typer.Option(help="Pictures to render, 27 kB each.", min=16, max=10**7)
    ] = 49_152,
    image: Annotated[
        str, typer.Option(help="Size of the image encoder: tiny-patch8, tiny-patch4 or tiny.")
    ] = "tiny-patch8",
    seed: SeedOption = 0,
    workers: Annotated[
        int | None, typer.Option(help="Rendering processes. Default: one per processor.", min=1)
    ] = None,
) -> None:
    """Train small image and text encoders from scratch, on a CPU, without real pictures.

    Renders people with a label for every pixel, generates sentences about body parts and
    surroundings, and trains encoders of DINOv2's and CLIP's architectures on both. The result loads
    as model.image.weights and model.text.weights; its README.md gives its accuracy. To resume after
    a stop, run the same command again.

    Example: lmgait pretrain-encoders encoders --steps 4000
    """
    from core.errors import UsageError
    from core.workflows.pretrain_encoders import pretrain_encoders as run
    from core.workflows.pretrain_encoders import recipe_of

    if steps is not None and minutes is not None:
        raise UsageError(
            "--steps and --minutes exclude each other", next_step="Give only one of them."
        )
    recipe = recipe_of(image=image, pictures=pictures, seed=seed, steps=steps or 1)
    time = None if steps else minutes or _MINUTES
    processes = workers or os.cpu_count() or 1
    if terminal.dry_run:
        from core.pretraining.estimate import estimate_pretraining

        estimate = estimate_pretraining(folder, recipe=recipe, minutes=time, workers=processes)
        terminal.show_estimate(estimate)
        return
    result = run(folder, recipe=recipe, minutes=time, workers=processes, progress=terminal.progress)
    rows = [
        (name, f"{own:.3f}", f"{other:.3f}")
        for name, own, other in (
            ("silhouette IoU, linear probe", result.metrics.linear_iou, result.start.linear_iou),
            ("silhouette IoU, decoder", result.metrics.decoder_iou, result.start.decoder_iou),
            ("parts labelled correctly", result.metrics.part_accuracy, result.start.part_accuracy),
            *(
                (f"attention on limbs, {name}", share, result.start.limb_share[name])
                for name, share in result.metrics.limb_share.items()
            ),
        )
    ]
    print_table("On unseen walkers", ("", "trained", "from the seed"), rows)
    out.print(
        f"{result.bytes / 2**20:.1f} MiB of encoders after {result.recipe.steps} steps: "
        f"{result.folder}\nNext: {result.folder / 'README.md'} says how to use them.",
        markup=False,
        soft_wrap=True,
    )
    terminal.write_json(result.to_json())
