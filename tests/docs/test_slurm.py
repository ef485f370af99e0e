"""The batch script of the page on several processes, with programs in the place of Slurm's."""

import os
import shutil
import signal
import subprocess
import time

import pytest

from tests.docs.pages import ROOT, blocks

PROGRAMS = {
    "scontrol": 'if [ "$1" = show ]; then echo gpu01; echo gpu02; else echo "$@" >> requeued; fi',
    # Signals the steps of the job, not the script.
    "scancel": 'kill -s "${1#--signal=}" "$(cat pid)"',
    "srun": 'while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"',
    # Saves for a moment after the signal, and ends as torchrun does then.
    "torchrun": """echo "$@" > arguments; echo $$ > pid
trap 'sleep 0.5; touch saved; exit 1' USR1
while ! [ -e finish ]; do sleep 0.1; done; exit $(cat finish)""",
}


@pytest.fixture
def job(tmp_path):
    """The script at work in a folder of its own."""
    (script,) = [
        block.code
        for block in blocks((ROOT / "docs" / "several-processes.md").read_text("utf-8"))
        if "#SBATCH" in block.code
    ]
    (tmp_path / "bin").mkdir()
    for name, code in PROGRAMS.items():
        program = tmp_path / "bin" / name
        program.write_text(f"#!/bin/bash\n{code}\n")
        program.chmod(0o755)
    (tmp_path / "job.sh").write_text(script)
    told = {"SLURM_JOB_ID": "17", "SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_NODELIST": "gpu[01-02]"}
    process = subprocess.Popen(
        [shutil.which("bash") or "bash", "job.sh"],
        cwd=tmp_path,
        start_new_session=True,
        env={**told, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"},
    )
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
        assert process.poll() is None
        time.sleep(0.02)
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_signalled_job_saves_and_is_queued_again(job, tmp_path):
    time.sleep(0.3)  # the script waits by now
    job.send_signal(signal.SIGUSR1)
    assert job.wait(timeout=60) == 0
    assert (tmp_path / "saved").exists()
    assert (tmp_path / "requeued").read_text() == "requeue 17\n"
    assert "--rdzv_endpoint gpu01:29500 -m lmgait_cli train" in (tmp_path / "arguments").read_text()


@pytest.mark.parametrize("code", [0, 7])
def test_a_finished_or_failed_job_is_not_queued_again(job, tmp_path, code):
    (tmp_path / "new").write_text(str(code))
    (tmp_path / "new").rename(tmp_path / "finish")
    assert job.wait(timeout=60) == code
    assert not (tmp_path / "requeued").exists()
