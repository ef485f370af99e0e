"""Training on a busy machine with different wait policies of threads.

The tiny preset trains on all cores with a data worker, as `lmgait train` does, alone and beside one
or two processes that only compute. Each wait policy has its own process, because OpenMP reads its
settings once; the processes take turns of some seconds and pause during the others' turns.
`python -m benchmarks.busy COUNT ...` adds other values of GOMP_SPINCOUNT, and `--neighbours N ...`
other numbers of busy processes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Protocol, cast

from lmgait_cli.process import SPINS, set_environment

NEIGHBOURS = (0, 1, 2)
SETTINGS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_NUM_THREADS", "THP_MEM_ALLOC_ENABLE")
OURS, OWN = "lmgait", "openmp's own"

Rates = dict[str, dict[int, list[float]]]


class Trainer(Protocol):
    """A process that trains on request."""

    def turn(self, seconds: float) -> float:
        """Train for at least ``seconds``; return iterations per second."""


def measure(quick: bool) -> dict[str, Any]:
    """``ratio``: rate of training beside one busy process over its rate alone."""
    return compare((), NEIGHBOURS, rounds=2 if quick else 7, seconds=5.0 if quick else 10.0)


def compare(
    counts: Sequence[int], neighbours: Sequence[int], *, rounds: int, seconds: float
) -> dict[str, Any]:
    """Compare the rates of all wait policies.

    Args:
        counts: Further values of GOMP_SPINCOUNT.
        neighbours: Numbers of busy processes; 0 is always included.
        rounds: Turns of each policy for each number of busy processes.
        seconds: Length of a turn.
    """
    ways = {OURS: _environment(), OWN: {}, "passive": {"OMP_WAIT_POLICY": "PASSIVE"}}
    ways |= {f"{count} spins": {"GOMP_SPINCOUNT": str(count)} for count in counts}
    busy_counts = sorted({0, *neighbours})
    rates: Rates = {name: {number: [] for number in busy_counts} for name in ways}
    with TemporaryDirectory() as folder, ExitStack() as stack:
        _walkers(Path(folder))
        trainers = {
            name: stack.enter_context(_trainer(Path(folder), variables))
            for name, variables in ways.items()
        }
        for _ in range(rounds):
            for number in busy_counts:
                with _busy(number):
                    for name, trainer in trainers.items():
                        rates[name][number].append(trainer.turn(seconds))
    return _summary(rates, rounds)


def _summary(rates: Rates, rounds: int) -> dict[str, Any]:
    medians = {
        name: {number: median(values) for number, values in samples.items()}
        for name, samples in rates.items()
    }
    shares = {
        name: {
            number: _pairs(rates[name][number], rates[name][0]) for number in samples if number > 0
        }
        for name, samples in rates.items()
    }
    return {
        "name": f"training at the tiny preset beside busy processes, {_cores()} cores",
        "ratio": shares[OURS].get(1),
        "unit": "of the rate alone, kept beside one busy process",
        "baseline": "the same way to wait without busy processes",
        "spins": SPINS,
        "iterations_per_second": medians,
        "kept": shares,
        "alone_over_openmps_own": {
            name: _pairs(samples[0], rates[OWN][0]) for name, samples in rates.items()
        },
        "over_openmps_own": {
            name: {number: _pairs(values, rates[OWN][number]) for number, values in samples.items()}
            for name, samples in rates.items()
        },
        "rounds": rounds,
    }


def _pairs(rates: Sequence[float], base: Sequence[float]) -> float:
    """The median of the ratios round by round."""
    return median(one / other for one, other in zip(rates, base, strict=True))


def _environment() -> dict[str, str]:
    """Variables that the command line sets if the user has set none."""
    variables: dict[str, str] = {}
    set_environment(variables)
    return variables


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _walkers(root: Path) -> None:
    from benchmarks.features import walkers
    from core.workspace import Workspace

    walkers(Workspace(root), frames=10)


@contextmanager
def _busy(number: int) -> Iterator[None]:
    """Run ``number`` processes that compute without waiting."""
    started = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        if started:
            time.sleep(0.5)
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


@contextmanager
def _trainer(root: Path, variables: dict[str, str]) -> Iterator[Trainer]:
    """A process that trains in turns, with its own environment."""
    plain = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    pages = {"THP_MEM_ALLOC_ENABLE": "1"}  # the same for all
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.busy", "--train", str(root)],
        env={**plain, **pages, **variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    class Requests:
        def turn(self, seconds: float) -> float:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{seconds}\n")
            process.stdin.flush()
            return float(process.stdout.readline())

    try:
        Requests().turn(0.0)
        yield Requests()
    finally:
        if process.stdin is not None:
            process.stdin.close()
        process.wait()


def _train(root: Path) -> None:
    """For each line of the input, train for that number of seconds and print the rate."""
    step = _step(root)
    for line in sys.stdin:
        start, steps = time.perf_counter(), 0
        while steps < 2 or time.perf_counter() - start < float(line):
            step()
            steps += 1
        print(steps / (time.perf_counter() - start), flush=True)


def _step(root: Path) -> Callable[[], None]:
    import torch

    from benchmarks.features import FROM_SEED, steps
    from core.config import resolve_config
    from core.data.loading import loader_workers
    from core.models.build import build_image_encoder
    from core.models.lmgait.build import build_lmgait
    from core.plans.training_inputs import training_sequences
    from core.runs.stores import open_store
    from core.workspace import Workspace

    config = resolve_config("tiny", overrides=[one for one in FROM_SEED if "workers" not in one])
    store, manifest = open_store(Workspace(root), "casiab")
    image = build_image_encoder(config.model.image)
    data = training_sequences(store, manifest, config, image)
    model = build_lmgait(config.model, classes=len(data.subjects), seed=0, image=image)
    cpu = torch.device("cpu")
    workers = loader_workers(config.data.workers, device=cpu, processes=1, item=0)
    return steps(model, config, data, workers=workers)


def main() -> None:
    """Compare policies, or train as one of the compared processes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.busy", description=__doc__)
    parser.add_argument("counts", nargs="*", type=int, help="values of GOMP_SPINCOUNT")
    parser.add_argument("--neighbours", nargs="*", type=int, default=list(NEIGHBOURS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--train", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.train is not None:
        _train(Path(cast(str, arguments.train)))
        return
    result = compare(
        arguments.counts, arguments.neighbours, rounds=arguments.rounds, seconds=arguments.seconds
    )
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
