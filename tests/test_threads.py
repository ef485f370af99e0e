"""The settings that the tests run under are real ones."""

import os

import torch


def test_the_environment_says_how_many_threads_compute():
    assert torch.get_num_threads() == int(os.environ["OMP_NUM_THREADS"])
