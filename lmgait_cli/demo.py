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
    """Run every stage on synthetic walkers, from video to tables; minutes on two cores.

    The model is the `tiny` preset with the encoders that come with the package, beside a GaitBase
    of the same training; the numbers say nothing about the paper's. They differ between processors
    and numbers of threads, which round in other ways.

    Example: lmgait demo
    """
    from core.tables.demo import demo_table, overall_rank1, times_more
    from core.workflows.demo import demo as run

    done = run(terminal.workspace, seed=seed, progress=terminal.progress)
    results = {
        "LMGait, on frames": done.own.result,
        "GaitBase, on silhouettes": done.silhouettes.result,
    }
    print_tables([demo_table(results)])
    designed, wrong = (times_more(done.looks[name]) for name in ("designed", "wrong"))
    out.print(
        "Everybody here is drawn by a computer, and training took a few minutes: the numbers show\n"
        "that all stages work, not how well LMGait knows real people.\n\n"
        f"Another dataset   Rank-1 {overall_rank1(done.cross.result)} on walkers in "
        "SUSTech1K's layout, without training there\n"
        f"Silhouettes       mean IoU {done.iou:.3f} between predicted and true ones\n"
        f"Text              on arms and legs beside the surroundings: the designed sentence "
        f"{designed}, the wrong one {wrong}\n"
        f"Pictures          {done.sheet}\n"
        f"All files         {done.folder} (took {done.seconds / 60:.1f} minutes)\n\n"
        f"Next: lmgait report {done.run.name} --workspace {done.folder}\n"
        f"      lmgait visualize {done.run.name} {done.shown[-1]} --workspace {done.folder}\n"
        f"      or your own videos: docs/own-videos.md",
        markup=False,
        soft_wrap=True,
    )
    content = {
        "folder": str(done.folder),
        "run": done.run.name,
        "iou": done.iou,
        "sheet": str(done.sheet),
        "seconds": done.seconds,
        "own": done.own.result.to_json(),
        "cross": done.cross.result.to_json(),
        "silhouettes": done.silhouettes.result.to_json(),
        "looks": dict(done.looks),
    }
    terminal.write_json(content)
