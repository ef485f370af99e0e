"""Kills spread over all long verbs: ``python -m tests.faults.campaign --kills 200 --seed 1``.

It may be done in pieces: ``--seconds 170`` stops after so long, and the same command with the same
``--folder`` goes on. Each kill is a line of ``results.jsonl`` there; the table is over all of them.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.faults.trials import draw, trial
from tests.faults.worlds import BY_NAME, VERBS, Worlds

ORDER = [verb.name for verb in VERBS for _ in range(verb.share)]


def one_kill(worlds: Worlds, seed: int, number: int) -> dict[str, object]:
    """The ``number``-th kill of a campaign; a moment that comes too late is drawn again."""
    dice = random.Random(f"{seed} {number}")
    deck = ORDER.copy()
    random.Random(f"{seed} {number // len(ORDER)}").shuffle(deck)
    verb = BY_NAME[deck[number % len(ORDER)]]
    known = worlds.undisturbed(verb)
    begun = time.monotonic()
    for late in range(8):
        moment = draw(dice, known, pace=0.8**late)  # the machine may be quicker now
        try:
            outcome = trial(worlds, verb, moment)
        except AssertionError as error:
            outcome = f"FAULT {error}"
        if outcome != "done":
            break
    return {
        "number": number,
        "verb": verb.name,
        "moment": str(moment),
        "outcome": outcome,
        "seconds": round(time.monotonic() - begun, 1),
    }


def table(results: list[dict[str, str]]) -> str:
    """Verb by verb: how many kills, where they hit, and how they ended."""
    lines = ["| Verb | Kills | Moments | Killed command | Faults |", "|---|---|---|---|---|"]
    for verb in VERBS:
        mine = [result for result in results if result["verb"] == verb.name]
        faults = sum(result["outcome"].startswith("FAULT") for result in mine)
        moments = Counter(_moment(result["moment"]) for result in mine)
        outcomes = Counter(result["outcome"][:12] for result in mine)
        shown = [", ".join(f"{k} {v}" for k, v in sorted(c.items())) for c in (moments, outcomes)]
        lines.append(f"| `{verb.name}` | {len(mine)} | {shown[0]} | {shown[1]} | {faults} |")
    return "\n".join(lines)


def _moment(text: str) -> str:
    return text.split(":")[0].split(" at ")[-1] if " at " in text else text.split()[0]


def main() -> None:
    """Run the campaign, or a piece of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="lmgait-faults-"))
    folder.mkdir(parents=True, exist_ok=True)
    worlds, log = Worlds(folder), folder / "results.jsonl"
    log.touch()
    begun = time.monotonic()
    for number in range(len(log.read_text().splitlines()), given.kills):
        if time.monotonic() - begun > given.seconds:
            break
        result = one_kill(worlds, given.seed, number)
        print(*result.values(), flush=True)
        with log.open("a") as file:
            file.write(json.dumps(result) + "\n")
    results = [json.loads(line) for line in log.read_text().splitlines()]
    print(table(results))
    if any(str(result["outcome"]).startswith("FAULT") for result in results):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
