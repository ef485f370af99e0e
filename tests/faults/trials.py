"""One trial: a command is killed at some moment, run again, and its results compared."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.command import PATIENCE, all_gone, catches, send, start
from tests.faults.observer import Observer
from tests.faults.worlds import Undisturbed, Verb, Worlds, contents, rests

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGTERM, signal.SIGINT)
CALLED_OFF = 130


@dataclass(frozen=True)
class Moment:
    """When and how a command is killed.

    Attributes:
        call: ``NAME:NUMBER:WHEN:WHOM`` of the saboteur; "" for a signal after ``seconds``.
        seconds: After the start.
        number: The signal.
        everyone: To all processes of the session, not only the first.
    """

    call: str = ""
    seconds: float = 0.0
    number: int = signal.SIGKILL
    everyone: bool = True

    def __str__(self) -> str:
        if self.call:
            return f"SIGKILL at os.{self.call}"
        whom = "all" if self.everyone else "alone"
        return f"{signal.Signals(self.number).name} after {self.seconds:.2f} s:{whom}"


def undisturbed(worlds: Worlds, verb: Verb) -> dict[str, Any]:
    """Run a command to its end; its seconds, files, and calls of the busiest process."""
    with tempfile.TemporaryDirectory(dir=worlds.folder) as name:
        root, counts = worlds.copy(verb.world, Path(name) / "world"), Path(name) / "counts"
        counts.mkdir()
        begun = time.monotonic()
        log = Path(name) / "log"
        with Observer(root, {}) as observer:
            process = start(
                verb.words(root),
                log,
                sabotage=True,
                small_shards=verb.small_shards,
                FAULT_COUNT=str(counts),
            )
            code = process.wait(timeout=PATIENCE)
        seconds = time.monotonic() - begun
        assert code == 0, log.read_text()[-2000:]
        assert not observer.faults, observer.faults
        made = [json.loads(path.read_text()) for path in counts.glob("*.json")]
        calls = {name: max(one[name] for one in made) for name in made[0]}
        return {"seconds": seconds, "files": contents(root), "calls": calls}


def draw(dice: random.Random, known: Undisturbed, pace: float = 1.0) -> Moment:
    """A moment of the command's life: often where files are renamed, often at its very end.

    ``pace`` is how long it takes, of the time that it took undisturbed.
    """
    calls = [(name, count) for name, count in known.calls.items() if count]
    if calls and dice.random() < 0.5:
        name, count = dice.choice(calls)
        when, whom = dice.choice(("before", "after")), dice.choice(("all", "all", "alone"))
        return Moment(call=f"{name}:{dice.randint(1, count)}:{when}:{whom}")
    share = dice.uniform(0.9, 1.02) if dice.random() < 0.3 else dice.uniform(0.1, 1.0)
    seconds = share * pace * known.seconds
    return Moment(seconds=seconds, number=dice.choice(SIGNALS), everyone=dice.random() < 0.5)


def trial(worlds: Worlds, verb: Verb, moment: Moment, *, anew: bool = False) -> str:
    """Kill (a command with a Python of its own, where ``anew``), run again, compare.

    Returns:
        How the killed command ended: ``killed``, ``in order`` (a message and 130), ``refused``
        (a worker was killed and it said so), ``at its end`` (all was written), or
        ``done`` where it had ended already and nothing was killed.

    Raises:
        AssertionError: something was lost, half there, or left running.
    """
    known = worlds.undisturbed(verb)
    with tempfile.TemporaryDirectory(dir=worlds.folder) as name:
        root, log = worlds.copy(verb.world, Path(name) / "world"), Path(name) / "log"
        with Observer(root, known.files) as observer:
            outcome = _kill(verb, moment, root, log, known.files, anew)
            code = 0
            if outcome != "done":
                again = start(verb.words(root), log, small_shards=verb.small_shards)
                code = again.wait(timeout=PATIENCE)
        told = log.read_text(errors="replace")
        assert code == 0, f"the same command ends with {code}: {told[-2000:]}"
        assert "Traceback" not in told, told[-3000:]
        assert not observer.faults, observer.faults[:5]
        assert not (left := rests(root)), left
        different = difference(known.files, contents(root))
        assert not different, different
        shutil.rmtree(root)
    return outcome


def _kill(
    verb: Verb, moment: Moment, root: Path, log: Path, expected: dict[str, Any], anew: bool
) -> str:
    sabotage = {"FAULT_CALL": moment.call} if moment.call else {}
    process = start(
        verb.words(root),
        log,
        sabotage=bool(sabotage),
        small_shards=verb.small_shards,
        anew=anew,
        **sabotage,
    )
    if not moment.call:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=moment.seconds)
        if moment.number != signal.SIGKILL:
            while process.poll() is None and not catches(process.pid, signal.SIGTERM):
                time.sleep(0.002)
        if process.poll() is None:
            send(process, moment.number, everyone=moment.everyone)
    code = process.wait(timeout=PATIENCE)
    assert all_gone(process.pid), "processes are left running"
    told = log.read_text(errors="replace")
    if code == -signal.SIGKILL:
        return "killed"
    if code == 0:
        return "done"
    if moment.call and moment.call.endswith("alone"):
        assert code == 5, f"{code}: {told[-2000:]}"
        return "refused"
    if code == -moment.number:
        # Python itself is ending, and catches no signals any more.
        assert not difference(expected, contents(root))
        return "at its end"
    assert code == CALLED_OFF, f"{code}: {told[-2000:]}"
    assert "Error: " in told, told
    assert "Next: " in told, told
    return "in order"


def difference(expected: dict[str, Any], found: dict[str, Any]) -> str:
    """In words, what differs between two :func:`contents`."""
    if missing := sorted(set(expected) - set(found)):
        return f"missing: {missing}"
    if more := sorted(set(found) - set(expected)):
        return f"too many: {more}"
    return ", ".join(name for name in expected if expected[name] != found[name])
