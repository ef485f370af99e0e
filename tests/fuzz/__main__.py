"""``python -m tests.fuzz SECONDS [TARGET ...]``: fuzz, print counts, keep findings."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from tests.fuzz.engine import fuzz
from tests.fuzz.targets import TARGETS


def main(seconds: float, names: list[str], seed: int, folder: Path) -> int:
    """Fuzz each target for its share of ``seconds``; the number of findings."""
    count = 0
    for name in names:
        result = fuzz(name, seconds / len(names), seed)
        rate = result.cases / max(result.seconds, 1e-9)
        print(f"{name}: {result.cases} cases, {rate:.0f}/s, {dict(result.outcomes)}", flush=True)
        for finding in result.findings:
            count += 1
            short = hashlib.sha256(finding.content).hexdigest()[:8]
            path = folder / name / f"{finding.kind}-{short}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(finding.content)
            print(f"  {finding} -> {path}", flush=True)
    return count


if __name__ == "__main__":
    words = sys.argv[1:]
    chosen = [word for word in words[2:] if word in TARGETS] or list(TARGETS)
    sys.exit(min(1, main(float(words[0]), chosen, int(words[1]), Path("fuzz-findings"))))
