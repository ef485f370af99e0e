"""Making what is kept beside a store, in parts, by several processes, and again after a stop."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from accelerate import Accelerator

from core.progress import Progress
from core.storage.parts import Layout, Parts, Rows, part_name, write_part
from core.system.files import output_errors, remove_leftovers
from core.system.locks import writing
from core.training.engine import lock_on_main, run_on_main

# Rows of each dataset of the sequences of a part, in their order.
PartRows = Callable[[Sequence[int]], Iterator[Mapping[str, Rows]]]


def missing_parts(path: Path, parts: Parts) -> list[int]:
    """Numbers of the parts that are not there; those that are there are whole."""
    return [n for n in range(len(parts)) if not (path / part_name(n)).is_file()]


def free_bytes(path: Path) -> int:
    """Free bytes of the disk that a folder is on, or will be."""
    there = next(folder for folder in (path, *path.parents) if folder.is_dir())
    return shutil.disk_usage(there).free


def make_parts(
    path: Path,
    parts: Parts,
    layouts: Mapping[str, Layout],
    rows: PartRows,
    *,
    what: str,
    finish: Callable[[], None],
    engine: Accelerator,
    progress: Progress,
) -> None:
    """Write the parts that are missing, each process its share, and then what makes them complete.

    Args:
        path: The folder.
        parts: All parts.
        layouts: How their datasets lie.
        rows: Makes the content of one part.
        what: Its word in messages and before the progress, such as ``features``.
        finish: Writes the file that makes the folder complete.
        engine: The processes.
        progress: Counts frames.

    Raises:
        OutputError: the disk is full, not writable, or another process writes them.
    """
    run_on_main(engine, lambda: _make_folder(path))
    with lock_on_main(engine, lambda: writing(path, what=f"{what} store", inside=True)):
        run_on_main(engine, lambda: remove_leftovers(path))
        # After the lock is held: another process may have made some of them until then.
        missing = run_on_main(engine, lambda: missing_parts(path, parts))
        mine = missing[engine.process_index :: engine.num_processes]
        total = sum(frames for number in mine for _, frames in parts[number])
        with progress.task(what.capitalize(), total, "frames") as task:

            def counting(chunks: Iterator[Mapping[str, Rows]]) -> Iterator[Mapping[str, Rows]]:
                for chunk in chunks:
                    yield chunk
                    task.advance(len(next(iter(chunk.values()))))

            for number in mine:
                indices = [index for index, _ in parts[number]]
                write_part(path / part_name(number), counting(rows(indices)), layouts)
        engine.wait_for_everyone()
        run_on_main(engine, finish)


def _make_folder(path: Path) -> None:
    with output_errors(path):
        path.mkdir(parents=True, exist_ok=True)
