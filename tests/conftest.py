"""What every test starts from: one thread for torch, and no network."""

import os

# Set before anything imports the hub's library, which reads it once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

torch.set_num_threads(1)
