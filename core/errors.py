"""Errors a user can act on: what happened, where, and what to do next.

Every error that leaves ``core`` on purpose derives from :class:`LmgaitError`. Its class decides the
process's exit code; its fields make the one message that the command line prints. What the system
raises (no memory, no disk, no permission) becomes one of them in
:func:`core.system.failures.explain_failure`; anything else
that escapes is a defect and ends in the exit code of an internal error. ``docs/errors.md`` has the
whole tree.
"""

from __future__ import annotations

from pathlib import Path

EXIT_USAGE = 2
EXIT_DATA = 3
EXIT_WEIGHTS = 4
EXIT_OUTPUT = 5
EXIT_TRAINING = 6
EXIT_RESOURCE = 7
EXIT_INTERNAL = 70
EXIT_INTERRUPTED = 130


class LmgaitError(Exception):
    """Base of all errors with a message for the user.

    Args:
        what: What is wrong, as one sentence without its full stop.
        where: The file, key or argument that it was found in.
        next_step: What to do about it, as one sentence.

    Attributes:
        everywhere: All processes that work together raise it, so that one has to tell it.
    """

    exit_code = EXIT_INTERNAL
    everywhere = False

    def __init__(
        self, what: str, *, where: str | Path | None = None, next_step: str | None = None
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = None if where is None else str(where)
        self.next_step = next_step

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        then = f" {self.next_step}" if self.next_step else ""
        return f"{self.what}{place}.{then}"

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only fields have to survive the way back from a worker process.
        return (_rebuild, (type(self), self.what, self.where, self.next_step))


def _rebuild(
    kind: type[LmgaitError], what: str, where: str | None, next_step: str | None
) -> LmgaitError:
    return kind(what, where=where, next_step=next_step)


class UsageError(LmgaitError):
    """An invalid argument or name."""

    exit_code = EXIT_USAGE


class ConfigError(UsageError):
    """A configuration with faults; ``what`` lists all of them, one a line."""


class DataError(LmgaitError):
    """Input data that is missing, empty or malformed."""

    exit_code = EXIT_DATA


class ManifestError(DataError):
    """A dataset manifest with faults; ``what`` lists all of them, one a line."""


class StoreError(DataError):
    """A prepared store (or a file in it) that is missing, damaged or of another version."""


class WeightsError(LmgaitError):
    """Encoder weights that are missing or of another architecture."""

    exit_code = EXIT_WEIGHTS


class CheckpointError(WeightsError):
    """A checkpoint or text cache that is missing, damaged, stale or foreign."""


class OutputError(LmgaitError):
    """An output that cannot be written: disk full, no permission, or in use by another process."""

    exit_code = EXIT_OUTPUT


class TrainingError(LmgaitError):
    """Training that cannot continue: a loss that is not finite, or too few identities."""

    exit_code = EXIT_TRAINING


class ResourceError(LmgaitError):
    """The machine has too little: memory, open files, processes."""

    exit_code = EXIT_RESOURCE


class PeerError(ResourceError):
    """Another process of the same work did not take part any more: what ended it is the cause."""


class Interrupted(LmgaitError):  # noqa: N818 - not a fault: the user asked for it
    """Work stopped by a signal after it was saved."""

    exit_code = EXIT_INTERRUPTED
