"""Numbers of decoded pictures, and whether each shows the recorded scene.

Frame k is the k-th picture of a decode from the start. Where packets are damaged or missing, the
pictures that are lost keep their numbers, so that those behind them keep theirs, and everything
from the damage to the next picture that needs no other one is unusable: decoders fill it with
copies and guesses.
"""

from __future__ import annotations

import numpy as np

from core.video.container import HOLE, Packets


class Numbering:
    """Numbering of the pictures of one decode, in presentation order.

    A packet's number is its place in decode order; the decoder reports the packet that each
    picture came from. Where the container has a clock, lost pictures are counted by times; else by
    the packets between two pictures that need no other one.

    Args:
        packets: What the stream declares.
    """

    def __init__(self, packets: Packets) -> None:
        self._packets = packets
        self._delivered = np.zeros(len(packets), np.bool_)
        self._resolved = ~packets.plain
        self._unresolved = 0  # the first unresolved packet
        # Nothing is usable before the first picture that needs no other one.
        self._damaged_from: int | None = 0
        self._unusable: set[int] = set()
        self._next = 0
        # The last picture from which decoding began: its packet, its number, and how many pictures
        # were given before it whose packets come after it.
        self._key, self._key_number, self._key_ahead = 0, 0, 0
        self._timed = packets.timed
        self._by_time = np.argsort(packets.stamps, kind="stable")
        # Packets by time: number passed, and number of those that never were pictures.
        self._passed = self._passed_empty = 0
        self._displaced_before = 0
        self._ended = False

    def lose(self, packet: int, *, displaces: bool = False) -> None:
        """Note that a packet cannot be decoded.

        Args:
            packet: Its number.
            displaces: Whether its picture may be shown before one of an earlier packet.
        """
        self.doubt(packet)
        if packet < len(self._resolved):
            self._resolved[packet] = True
        if displaces and not self._timed:
            self._displaced_before = packet

    def doubt(self, packet: int) -> None:
        """Note that pictures from this packet on may need something that is missing."""
        first = self._damaged_from
        self._damaged_from = packet if first is None else min(first, packet)

    def hide(self, *, key: bool) -> None:
        """Note that a picture was decoded that is not shown: an edit list begins behind it.

        Args:
            key: Whether it needs no other picture.
        """
        if key and not self._delivered.any():
            self._damaged_from = None

    def end(self, *, displaces: bool) -> None:
        """Note that all packets are read and only buffered pictures remain."""
        self._ended = True
        if displaces and self._packets.cut_off:
            self._displaced_before = len(self._packets)

    def place(self, packet: int, *, key: bool, corrupt: bool, field: bool) -> int:
        """Return the next picture's number, counted from 0.

        Args:
            packet: The packet that it came from.
            key: Whether it was decoded without any other picture.
            corrupt: Whether the decoder reports that parts of it are guesses.
            field: Whether it is interlaced; then two packets may make one picture.
        """
        self._delivered[packet] = self._resolved[packet] = True
        self._timed = self._timed and not field
        number = self._number_by_time(packet, key) if self._timed else self._next
        if corrupt:
            self.lose(packet)
        first = self._damaged_from
        if first is not None and key and packet >= first and not corrupt:
            if not self._timed:
                number = max(self._after_damage(packet, first), self._key_number + (packet > 0))
            self._damaged_from = None
        elif (first is not None and packet >= first) or packet < self._displaced_before:
            self._unusable.add(packet)
        if key and not corrupt:
            self._key, self._key_number = packet, number
            self._key_ahead = int(self._delivered[packet + 1 :].sum())
        self._next = number + 1
        return number

    def is_known(self, packet: int) -> bool:
        """Whether all packets that a picture may need are decoded or lost."""
        while self._unresolved < packet and self._resolved[self._unresolved]:
            self._unresolved += 1
        return self._unresolved >= packet

    def is_usable(self, packet: int) -> bool:
        """Whether a picture that has a number shows the recorded scene, as far as is known now."""
        first = self._damaged_from
        return packet not in self._unusable and (first is None or packet < first)

    def count(self) -> int:
        """Number of pictures, once all packets are decoded."""
        if self._timed:
            rest = self._by_time[self._passed :]
            none = int((~self._delivered[rest] & ~self._packets.plain[rest]).sum())
            return len(self._packets) - self._passed_empty - none
        if self._damaged_from is None:
            return self._next
        return max(self._after_damage(len(self._packets), self._damaged_from), self._next)

    def _after_damage(self, packet: int, damaged: int) -> int:
        """Number of a picture from which decoding restarts.

        All packets since the last such one have a number between the two, delivered or lost, except
        those that never were pictures.
        """
        delivered, plain = self._delivered, self._packets.plain
        none = int((~delivered[self._key : damaged]).sum())
        none += int((~delivered[damaged:packet] & ~plain[damaged:packet]).sum())
        ahead = int(delivered[packet + 1 :].sum())
        return self._key_number + packet - self._key - self._key_ahead + ahead - none

    def _number_by_time(self, packet: int, key: bool) -> int:
        """Count the packets whose time has passed; those that gave no picture are lost."""
        packets = self._packets
        stamps = packets.stamps
        start = packet if key else self._key
        now, before = stamps[packet], -np.inf
        if self._passed and stamps[self._by_time[self._passed - 1]] >= now:
            self._unusable.add(packet)  # later than it should be: the decoder lost track
            return self._next
        while stamps[self._by_time[self._passed]] < now:
            other = int(self._by_time[self._passed])
            self._passed += 1
            before = stamps[other]
            if self._delivered[other]:
                continue
            # Pictures shown before the one that decoding began from may need earlier ones: a decode
            # from the start does not give them.
            if not packets.plain[other] or (other > start and stamps[other] < stamps[start]):
                self._passed_empty += 1
            elif other >= self._key:
                self.lose(other)
        if self._ended and packets.step is not None and now - before > HOLE * packets.step:
            self._unusable.add(packet)  # the file is cut off between it and the one before
        return self._passed - self._passed_empty
