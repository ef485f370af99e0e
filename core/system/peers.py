"""End several processes of one job together, with the reason of the first.

A process that fails is missing from the next operation that all of them take part in. The others
would wait there for hours, deaf to signals. So each keeps a connection to the main process, with a
thread that reads it: an ending travels to all of them at once, and the system closes the connection
of a process that was killed. Messages are lines of JSON; the main process listens on a free port,
and takes only those who know the word that it gave out through the process group.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, NoReturn

from core.errors import EXIT_RESOURCE, ResourceError
from core.system.messages import Connection, listen

_CONNECT, _ANSWER, _GOODBYE = 60.0, 5.0, 10.0  # seconds to wait for each


@dataclass(frozen=True, slots=True)
class Ending:
    """Reason why all processes end.

    Attributes:
        rank: Which of them ended first.
        host: Its machine.
        code: Exit code of all.
        what, where, next_step: As in :class:`core.errors.LmgaitError`.
        silent: It could not tell of it.
    """

    rank: int
    host: str
    code: int
    what: str
    where: str | None = None
    next_step: str | None = None
    silent: bool = False


# Called in a process that another one ends, with whether this process reports it.
EndedElsewhere = Callable[[Ending, bool], None]
_ended_elsewhere: EndedElsewhere | None = None
_peers: Main | Member | None = None


def when_ended_elsewhere(call: EndedElsewhere) -> None:
    """Set a callback (run in a thread) just before another process's ending ends this one."""
    global _ended_elsewhere
    _ended_elsewhere = call


def watched() -> bool:
    """Whether this process ends with others."""
    return _peers is not None


def end_together(ending: Ending, tell: Callable[[], None], patience: float = 0.0) -> NoReturn:
    """End this process and all others for a reason of this process.

    Args:
        ending: What happened; its rank and host are set here.
        tell: Tells of it; called unless another process's ending came first.
        patience: Seconds to wait for another process's ending, which may be the cause.
    """
    assert _peers is not None, "this process is alone"
    time.sleep(patience)
    _peers.fail(replace(ending, rank=_peers.rank, host=socket.gethostname()), tell)


def watch_peers(rank: int, count: int, exchange: Callable[[object], Any]) -> None:
    """Begin to end together with ``count`` processes, of which this is number ``rank``.

    Args:
        rank: 0 is the main process.
        count: More than one.
        exchange: From the main process's object (None elsewhere) to that object, in all.

    Raises:
        ResourceError: the main process cannot be reached.
    """
    global _peers
    if rank == 0:
        _peers = Main(count)
        exchange((_peers.port, _peers.token, socket.gethostname()))
    else:
        _peers = Member(rank, *exchange(None))
    _peers.join()


def part() -> bool:
    """Wait at the exit of Python until the others have finished, too.

    Returns:
        Whether all is well. Where an error ends Python, the connection that closes says so to the
        others.
    """
    well = getattr(sys, "last_value", None) is None
    if well and _peers is not None:
        _peers.goodbye()
    return well


class Main:
    """In the main process: one connection to each of the others.

    Attributes:
        rank: 0.
        port: Where it listens.
        token: What those who connect have to send first.
    """

    rank = 0

    def __init__(self, count: int) -> None:
        self._server = listen()
        self.port: int = self._server.getsockname()[1]
        self.token = secrets.token_hex(16)
        self._others = set(range(1, count))
        self._changed = threading.Condition()
        self._connections: dict[int, Connection] = {}
        self._left: set[int] = set()  # said goodbye
        self._closed: set[int] = set()  # closed their connection
        self._ending: Ending | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def join(self) -> None:
        """Wait until all are connected: from then on an ending reaches each of them."""
        with self._changed:
            self._changed.wait_for(lambda: self._connections.keys() >= self._others, _CONNECT)
            for connection in self._connections.values():
                connection.send({"joined": True})

    def fail(self, ending: Ending, tell: Callable[[], None]) -> NoReturn:
        """End all for a reason of this process, unless they end already."""
        if self._first(ending):
            tell()
            self._end(ending)
        time.sleep(_ANSWER)  # the thread that was first ends this process
        os._exit(ending.code)

    def goodbye(self) -> None:
        """Wait until all have finished, and let them go."""
        with self._changed:
            self._changed.wait_for(lambda: self._left | self._closed >= self._others, _GOODBYE)
            for connection in self._connections.values():
                connection.send({"goodbye": True})

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                own, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(Connection(own),), daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        messages = connection.messages()
        hello = next(messages, {})
        rank, host = hello.get("rank"), str(hello.get("host"))
        authorized = secrets.compare_digest(str(hello.get("token")), self.token)
        if not authorized or rank not in self._others:
            connection.close()
            return
        with self._changed:
            self._connections[rank] = connection
            self._changed.notify_all()
        for message in messages:
            if "goodbye" in message:
                with self._changed:
                    self._left.add(rank)
                    self._changed.notify_all()
            elif "ending" in message:
                ending = Ending(**message["ending"])
                first = self._first(ending)
                connection.send({"tell": first})
                if first:
                    self._end(ending)
        with self._changed:
            self._closed.add(rank)
            self._changed.notify_all()
        killed = _killed(rank, host)
        if rank not in self._left and self._first(killed):
            self._end(killed)

    def _first(self, ending: Ending) -> bool:
        with self._changed:
            first = self._ending is None
            self._ending = self._ending or ending
            return first

    def _end(self, ending: Ending) -> NoReturn:
        with self._changed:
            connections = dict(self._connections)
        for rank, connection in connections.items():
            if rank != ending.rank:
                connection.send({"ended": asdict(ending)})
            connection.close(reading=True)
        # A connection closed with something unread would take back what was sent.
        with self._changed:
            self._changed.wait_for(lambda: self._closed >= set(connections) - {ending.rank}, 2.0)
        elsewhere = ending.rank != self.rank
        _end_here(ending, elsewhere and (ending.silent or ending.host != socket.gethostname()))


class Member:
    """In another process: the connection to the main one.

    Attributes:
        rank: Number of this process.
    """

    def __init__(self, rank: int, port: int, token: str, main_host: str) -> None:
        self.rank, self._main_host = rank, main_host
        host = os.environ.get("MASTER_ADDR", "127.0.0.1")
        try:
            own = socket.create_connection((host, port), timeout=_CONNECT)
        except OSError as error:
            raise ResourceError(
                f"The main process cannot be reached: {error.strerror or error}",
                where=f"{host}:{port}",
                next_step="Let the machines reach each other on all ports, and set MASTER_ADDR "
                "(--master-addr, --rdzv-endpoint) to an address that all of them know.",
            ) from None
        own.settimeout(None)
        self._connection = Connection(own)
        self._joined, self._answer, self._let_go = (threading.Event() for _ in range(3))
        self._tell, self._failing = True, False
        self._connection.send({"token": token, "rank": rank, "host": socket.gethostname()})
        threading.Thread(target=self._listen, daemon=True).start()

    def join(self) -> None:
        """Wait until all are connected."""
        self._joined.wait(_CONNECT)

    def fail(self, ending: Ending, tell: Callable[[], None]) -> NoReturn:
        """End all for what happened here, unless they end already."""
        self._failing = True
        self._connection.send({"ending": asdict(ending)})
        self._answer.wait(_ANSWER)
        if self._tell:
            tell()
        _flush()
        os._exit(ending.code)

    def goodbye(self) -> None:
        """Report that this process has finished, and wait until all have."""
        self._connection.send({"goodbye": True})
        self._let_go.wait(_GOODBYE)

    def _listen(self) -> None:
        for message in self._connection.messages():
            if "joined" in message:
                self._joined.set()
            elif "goodbye" in message:
                self._let_go.set()
            elif "tell" in message:
                self._tell = bool(message["tell"])
                self._answer.set()
            elif "ended" in message:
                _end_here(Ending(**message["ended"]), False)
        if self._failing:
            self._answer.set()  # no process remains to report to
        elif not self._let_go.is_set():
            _end_here(_killed(0, self._main_host), self.rank == 1)


def _killed(rank: int, host: str) -> Ending:
    return Ending(
        rank,
        host,
        EXIT_RESOURCE,
        "It ended without a message, as a process that is killed does",
        next_step="See that machine's log for the cause, such as too little memory (dmesg). Run "
        "the same command again: training goes on from its last checkpoint.",
        silent=True,
    )


def _end_here(ending: Ending, tell: bool) -> NoReturn:
    """End this process from a thread: the main thread may wait forever."""
    try:
        if _ended_elsewhere is not None:
            _ended_elsewhere(ending, tell)
        _flush()
    finally:
        os._exit(ending.code)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
