"""Feed mutated files to readers in processes that may die, hang or swallow memory.

A reader (see ``targets.py``) may return or refuse. Everything else is a finding: another exception,
a killed process, processor time beyond :data:`CPU_SECONDS`, memory beyond :data:`PEAK_BYTES`.
Same seed, same cases.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from tests.fuzz.mutate import mutated
from tests.fuzz.targets import TARGETS, Read, Target

CPU_SECONDS = 10.0
WALL_SECONDS = 120.0
# What one case may add to the process's peak, and to its address space.
PEAK_BYTES = 400 * 2**20
SPACE_BYTES = 3 * 2**30


@dataclass(frozen=True)
class Finding:
    """An input that ended in what no input may end in."""

    target: str
    kind: str
    detail: str
    content: bytes

    def __str__(self) -> str:
        return f"{self.target}: {self.kind} on {len(self.content)} bytes: {self.detail}"


@dataclass
class Result:
    """What came of a target's cases."""

    cases: int = 0
    seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)


class Reader:
    """A process that reads one file after the other, and is replaced when it dies."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, self._target.name), daemon=True
        )
        self._process.start()
        theirs.close()
        assert self._ours.recv() == "ready"

    def read(self, content: bytes) -> tuple[str, str]:
        """What came of one file: ``read``, ``refused``, or the kind of a finding; and words."""
        try:
            self._ours.send_bytes(content)
            if self._ours.poll(WALL_SECONDS):
                kind, detail = self._ours.recv()
                return kind, detail
        except (EOFError, OSError):
            pass
        else:
            self._process.kill()
        self._process.join()
        code = self._process.exitcode or 0
        self._start()
        if code in (-signal.SIGPROF, -signal.SIGKILL):
            return "hung", f"{CPU_SECONDS} s of processor time were not enough"
        return "crashed", signal.Signals(-code).name if code < 0 else f"exit {code}"

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._ours.close()


def fuzz(name: str, seconds: float, seed: int = 0) -> Result:
    """Mutate a target's seeds for about ``seconds``; each finding of a kind is kept once."""
    target, result = TARGETS[name], Result()
    seen: set[tuple[str, str]] = set()
    reader = Reader(target)
    cases = _cases(target, seed)
    first = next(cases)  # makes the seeds
    begun = time.monotonic()
    try:
        for content in chain([first], cases):
            if time.monotonic() - begun > seconds:
                break
            kind, detail = reader.read(content)
            result.cases += 1
            result.outcomes[kind] += 1
            if kind not in target.allowed() and (kind, detail) not in seen:
                seen.add((kind, detail))
                result.findings.append(Finding(name, kind, detail, content))
    finally:
        reader.close()
    result.seconds = time.monotonic() - begun
    return result


def _cases(target: Target, seed: int) -> Iterator[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        seeds = target.seeds(Path(folder))
    yield from seeds
    random = np.random.default_rng([seed, *target.name.encode()])
    while True:
        yield mutated(target.form, seeds, random)


def _serve(pipe: Connection, name: str) -> None:
    target = TARGETS[name]
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libraries tell of damage there
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    with tempfile.TemporaryDirectory() as folder:
        read = target.reader(Path(folder))
        path = Path(folder) / f"case{target.ending}"
        _limit_space()
        pipe.send("ready")
        while True:
            try:
                content = pipe.recv_bytes()
            except EOFError:
                return
            path.write_bytes(content)
            pipe.send(_outcome(target, read, path))


def _outcome(target: Target, read: Read, path: Path) -> tuple[str, str]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    try:
        told = read(path)
        kind, detail = ("read", "") if told is None else ("wrong", str(told))
    except target.refusals() as error:
        kind, detail = "refused", type(error).__name__
        if isinstance(error.__cause__, MemoryError):
            kind, detail = "memory", "refused for want of memory"
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        kind = "memory" if isinstance(error, MemoryError) else "escaped"
        detail = f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}: {error}"
        detail = detail[:160]
    signal.setitimer(signal.ITIMER_PROF, 0)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    if grown > PEAK_BYTES:
        return "memory", "the peak grew too much"
    return kind, detail


def _limit_space() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + SPACE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
