"""What every test starts from: one thread for torch, and no network."""

import os
import signal

# Set before anything imports the hub's library, which reads it once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

# A shell's background jobs are born deaf to these, and so would be what the tests start.
for _name in ("SIGINT", "SIGHUP"):
    _number = getattr(signal, _name, None)
    if _number is not None and signal.getsignal(_number) is signal.SIG_IGN:
        _usual = signal.default_int_handler if _name == "SIGINT" else signal.SIG_DFL
        signal.signal(_number, _usual)

torch.set_num_threads(1)
