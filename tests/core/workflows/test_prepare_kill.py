"""SIGKILL in the middle: workers end, no shard is half there, and the same command completes."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.system.files import PARTIAL_SUFFIX
from core.workflows.verify import verify
from core.workspace import Workspace
from tests.fakes import raw_datasets as raw

ROOT = Path(__file__).parents[3]
RUN = """
import sys
from pathlib import Path
import core.workflows.prepare as module
from core.workspace import Workspace
module.SHARD_FRAMES = 20
if __name__ == "__main__":
    module.prepare("ccpg", Path(sys.argv[1]), Workspace(Path(sys.argv[2])), workers=2)
"""


def start(script, source, workspace):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, str(script), str(source), str(workspace)],
        env=environment,
        start_new_session=True,
    )


def members(group):
    """Processes of a session that are still alive."""
    alive = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[3]) == group and fields[0] != "Z":
                alive.append(int(entry.name))
    return alive


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_kills_lose_nothing(tmp_path):
    keys = [(f"{i:03d}", kind, "01_0") for i in range(20) for kind in ("U0_D0", "U1_D1")]
    source = raw.write_ccpg(tmp_path / "raw", keys, frames=20)
    script = tmp_path / "run.py"
    script.write_text(RUN)
    assert start(script, source, tmp_path / "whole").wait() == 0
    whole, broken = (tmp_path / name / "stores" / "ccpg" for name in ("whole", "broken"))
    dice = random.Random(0)
    for number in range(4):
        process = start(script, source, tmp_path / "broken")
        deadline = time.monotonic() + 30
        done = 4 * number
        while len(list(broken.glob("shard-*.json"))) <= done and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(dice.random() * 0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        while members(process.pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert members(process.pid) == []
        if (broken / "store.json").exists():
            break
        assert not [
            p
            for p in broken.iterdir()
            if not p.name.startswith(".") and p.name.endswith(PARTIAL_SUFFIX)
        ]
    assert start(script, source, tmp_path / "broken").wait() == 0
    names = sorted(path.name for path in whole.iterdir())
    assert names == sorted(path.name for path in broken.iterdir())
    for name in names:
        assert (whole / name).read_bytes() == (broken / name).read_bytes(), name
    assert verify("ccpg", Workspace(tmp_path / "broken")).faults == ()
