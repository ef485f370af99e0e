"""What tests compute in processes of their own compares with what they compute themselves."""

import subprocess
import sys

import torch


def test_processes_that_tests_start_compute_with_as_many_threads():
    code = "import torch; print(torch.get_num_threads())"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(shown.stdout) == torch.get_num_threads()
