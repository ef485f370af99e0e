"""What every test starts from: one thread, unless the environment says how many, and no network."""

import gc
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

# The files that take longest begin first, the longest of them at the very first: the others fill
# the other processors meanwhile, and none is left alone with a long one at the end.
_LONGEST = (
    "test_pages.py",
    "test_mission.py",
    "test_own_videos.py",
    "test_processes.py",
    "test_walkers_in_films.py",
    "test_kills.py",
    "test_train_resume.py",
    "test_offline.py",
    "test_families.py",
    "test_startup.py",
)
_SLOW_TOO = "LMGAIT_FAULTS"


def pytest_collection_modifyitems(items):
    """Put the longest files first, and leave the marked tests to `nox -s faults`.

    Within a file nothing moves.
    """
    place = {name: number for number, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(_LONGEST)))
    for item in [] if os.environ.get(_SLOW_TOO) else items:
        if item.get_closest_marker("faults"):
            item.add_marker(pytest.mark.skip(reason=f"slow: `nox -s faults`, or {_SLOW_TOO}=1"))


@pytest.fixture(scope="module", autouse=True)
def imported_is_no_garbage():
    """Leave what is there as a file begins out of later collections, PyTorch most of all.

    Each model that is made ready for a device has garbage collected, which takes a fifth of a
    second where all that is imported is looked at.
    """
    gc.collect()
    gc.freeze()
