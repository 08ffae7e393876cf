"""DSCP and ECN of a datagram, carried over to the one that is sent for it."""

from __future__ import annotations

import socket
import sys

_RECEIVE = {4: (socket.IPPROTO_IP, 13), 6: (socket.IPPROTO_IPV6, 66)}
_CARRIED = {4: (socket.IPPROTO_IP, 1), 6: (socket.IPPROTO_IPV6, 67)}
ANCILLARY_BYTES = socket.CMSG_SPACE(4)
"""What the kernel needs to tell it."""


class TrafficClass:
    """The eight bits of the datagram at hand (RFC 8656 section 16); sockets share one.

    preserve: whether anybody wants them; they stay 0 otherwise. at_hand: 0
    means the system's default. What this server says itself has none.
    """

    __slots__ = ("at_hand", "preserve")

    def __init__(self, preserve: bool) -> None:
        self.preserve = preserve
        self.at_hand = 0

    def watch(self, sock: socket.socket) -> None:
        """Have the kernel tell it of each datagram."""
        if self.preserve:
            sock.setsockopt(*_RECEIVE[6 if sock.family == socket.AF_INET6 else 4], 1)

    def note(self, ancillary: list[tuple[int, int, bytes]]) -> None:
        """Remember what the kernel told of a datagram."""
        self.at_hand = 0
        for level, kind, value in ancillary:
            if (level, kind) in _CARRIED.values():
                self.at_hand = int.from_bytes(value, sys.byteorder) & 0xFF

    def rows(self, sock: socket.socket) -> list[tuple[int, int, bytes]]:
        """How to tell the kernel of what is sent now."""
        if not self.at_hand:
            return []
        family = 6 if sock.family == socket.AF_INET6 else 4
        return [(*_CARRIED[family], self.at_hand.to_bytes(4, sys.byteorder))]


PLAIN = TrafficClass(preserve=False)
"""For sockets that preserve nothing."""
