"""`lmgait demo`: all stages on synthetic walkers."""

from __future__ import annotations

from lmgait_cli.console import out
from lmgait_cli.options import SeedOption
from lmgait_cli.results import print_tables
from lmgait_cli.verbs import Terminal, verb


@verb()
def demo(
    terminal: Terminal,
    seed: SeedOption = 0,
) -> None:
    """Run every stage on synthetic walkers, from video to tables; takes minutes on two cores.

    The model is the `tiny` preset with the package's encoders, compared with a GaitBase of the same
    training. The numbers cannot be compared with the paper's. They vary with the processor and the
    number of threads, because rounding does.

    Example: lmgait demo
    """
    from core.tables.demo import demo_table, overall_rank1, times_more
    from core.workflows.demo import demo as run

    result = run(terminal.workspace, seed=seed, progress=terminal.progress)
    results = {
        "LMGait, on frames": result.own.result,
        "GaitBase, on silhouettes": result.silhouettes.result,
    }
    print_tables([demo_table(results)])
    designed, wrong = (times_more(result.looks[name]) for name in ("designed", "wrong"))
    out.print(
        "The walkers are synthetic and training took a few minutes: the numbers show that all\n"
        "stages work, not how well LMGait recognises real people.\n\n"
        f"Another dataset   Rank-1 {overall_rank1(result.cross.result)} on walkers in "
        "SUSTech1K's layout, without training there\n"
        f"Silhouettes       mean IoU {result.iou:.3f} between predicted and true ones\n"
        f"Text              on arms and legs beside the surroundings: the designed sentence "
        f"{designed}, the wrong one {wrong}\n"
        f"Pictures          {result.sheet}\n"
        f"All files         {result.folder} (took {result.seconds / 60:.1f} minutes)\n\n"
        f"Next: lmgait report {result.run.name} --workspace {result.folder}\n"
        f"      lmgait visualize {result.run.name} {result.shown[-1]} --workspace {result.folder}\n"
        f"      or your own videos: docs/own-videos.md",
        markup=False,
        soft_wrap=True,
    )
    content = {
        "folder": str(result.folder),
        "run": result.run.name,
        "iou": result.iou,
        "sheet": str(result.sheet),
        "seconds": result.seconds,
        "own": result.own.result.to_json(),
        "cross": result.cross.result.to_json(),
        "silhouettes": result.silhouettes.result.to_json(),
        "looks": dict(result.looks),
    }
    terminal.write_json(content)
