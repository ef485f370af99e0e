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

    The model is the `tiny` preset with encoders built from a seed; its numbers say nothing about
    the paper's. They differ between processors and numbers of threads, which round in other ways.

    Example: lmgait demo
    """
    from core.tables.build import cross_table, result_tables
    from core.workflows.demo import demo as run

    done = run(terminal.workspace, seed=seed, progress=terminal.progress)
    print_tables(result_tables(done.own.result) + result_tables(done.cross.result))
    print_tables([cross_table([(done.run.name, done.cross.result)])])
    out.print(
        f"Subjects never seen in training, synthetic walkers, preset tiny (encoders from a seed).\n"
        f"Predicted silhouettes: mean IoU {done.iou:.3f}\n"
        f"Contact sheet: {done.sheet}\n"
        f"Took {done.seconds / 60:.1f} minutes; all of it is in {done.folder}\n"
        f"Next: lmgait report --workspace {done.folder}",
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
    }
    terminal.write_json(content)
