"""Messages between processes: lines of JSON over a socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

_LINE = 1 << 16  # bytes of the longest message


class Connection:
    """Messages to and from one process."""

    def __init__(self, own: socket.socket) -> None:
        self._socket = own
        self._reader = own.makefile("rb")
        # A machine that is gone closes nothing: its silence counts after a minute.
        own.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
            if hasattr(socket, option):
                own.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)

    def send(self, message: Mapping[str, Any]) -> None:
        """Send, if the connection is open."""
        with suppress(OSError):
            self._socket.sendall(json.dumps(message).encode() + b"\n")

    def messages(self) -> Iterator[dict[str, Any]]:
        """Received messages, until the other side closes or sends anything else."""
        while True:
            try:
                line = self._reader.readline(_LINE)
                message = json.loads(line) if line.endswith(b"\n") else None
            except (OSError, ValueError, RecursionError):
                return
            if not isinstance(message, dict):
                return
            yield message

    def close(self, *, reading: bool = False) -> None:
        """Close it, or with ``reading`` only the way out."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR if reading else socket.SHUT_RDWR)
        if not reading:
            self._socket.close()


def listen() -> socket.socket:
    """A socket on a free port, for both families of addresses where the system has them."""
    with suppress(OSError):
        if socket.has_dualstack_ipv6():
            return socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", 0))
