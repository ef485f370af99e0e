"""What every test starts from: one thread, unless the environment says how many, and no network."""

import os
import signal

import pytest

# Set before anything imports torch and the hub's library, which read them once. Processes that
# tests start inherit them, and so compute with as many threads.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell's background jobs are born deaf to these, and so would be what the tests start.
for _name in ("SIGINT", "SIGHUP"):
    _number = getattr(signal, _name, None)
    if _number is not None and signal.getsignal(_number) is signal.SIG_IGN:
        _usual = signal.default_int_handler if _name == "SIGINT" else signal.SIG_DFL
        signal.signal(_number, _usual)

# Files that take minutes begin first: the others fill the other processors meanwhile.
_LONGEST = ("test_mission.py", "test_processes.py")
_SLOW_TOO = "LMGAIT_FAULTS"


def pytest_collection_modifyitems(items):
    """Put the longest files first, and leave the marked tests to `nox -s faults`.

    Within a file nothing moves.
    """
    items.sort(key=lambda item: item.path.name not in _LONGEST)
    for item in [] if os.environ.get(_SLOW_TOO) else items:
        if item.get_closest_marker("faults"):
            item.add_marker(pytest.mark.skip(reason=f"slow: `nox -s faults`, or {_SLOW_TOO}=1"))
