"""Loaded by Python itself in every process of a command that is to be killed at a certain call.

``FAULT_CALL`` is ``NAME:NUMBER:WHEN:WHOM``: at the NUMBER-th call of ``os.NAME`` in a process,
``before`` or ``after`` it, ``all`` processes of the session die, or this one ``alone``;
``FAULT_SIGNALS`` names other signals than SIGKILL, sent one after the other.
``FAULT_COUNT`` is a folder: each process leaves there how often it made each call.
"""

import atexit
import json
import os
import signal
import subprocess

CALLS = ("replace", "rename", "fsync", "mkdir", "unlink", "rmdir", "link")
counts = dict.fromkeys(CALLS, 0)


def watch(name: str, number: int, when: str, whom: str) -> None:
    real = getattr(os, name)

    def die() -> None:
        if whom == "all" and "FAULT_SIGNALS" in os.environ:
            # From outside, as a terminal or a scheduler does.
            for word in os.environ["FAULT_SIGNALS"].split():
                subprocess.run(
                    ["kill", f"-{word[3:]}", "--", f"-{os.getpgid(0)}"], start_new_session=True
                )
        elif whom == "all":
            os.killpg(0, signal.SIGKILL)
        else:
            os.kill(os.getpid(), signal.SIGKILL)

    def called(*arguments: object, **named: object) -> object:
        counts[name] += 1
        if counts[name] == number and when == "before":
            die()
        result = real(*arguments, **named)
        if counts[name] == number and when == "after":
            die()
        return result

    setattr(os, name, called)


def leave_counts(folder: str) -> None:
    # Whole or not at all: a helper process may end while the counts of others are read.
    path = os.path.join(folder, str(os.getpid()))  # noqa: PTH118
    with open(path, "w") as file:  # noqa: PTH123
        json.dump(counts, file)
    os.replace(path, f"{path}.json")  # noqa: PTH105


if "FAULT_CALL" in os.environ:
    name, number, when, whom = os.environ["FAULT_CALL"].split(":")
    watch(name, int(number), when, whom)
elif "FAULT_COUNT" in os.environ:
    for name in CALLS:
        watch(name, 0, "", "")
    atexit.register(leave_counts, os.environ["FAULT_COUNT"])
