"""Relay ports: random, within a range, and not the same one again too soon."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Iterator
from errno import EADDRINUSE, EADDRNOTAVAIL, EMFILE, ENFILE

from mosaic.relay.interface import HostUnavailable, NoRelayPort
from mosaic.relay.sockets import RELAY_BUFFER_BYTES, open_udp
from mosaic.wire.stun.address import Address

QUARANTINE_S = 30.0
_RANDOM_TRIES = 32
_SWEEP = 1024


class RelayPorts:
    """Opens relay sockets on unpredictable ports of [first, last].

    A freed port rests for `QUARANTINE_S`, since peers of the last owner may
    still send to it; it is taken before that only when nothing else is free.
    """

    def __init__(self, ports: tuple[int, int], clock: Callable[[], float]) -> None:
        self._first, self._last = ports
        self._clock = clock
        self._taken: set[Address] = set()
        self._resting: dict[Address, float] = {}

    def open(
        self, bind: str, advertise: str, *, even: bool
    ) -> tuple[socket.socket, Address]:
        """A bound socket and how peers see it.

        Raises NoRelayPort or HostUnavailable.
        """
        self._wake_rested()
        for may_rest in (True, False) if self._resting else (False,):
            for port in self._candidates():
                relayed = Address(advertise, port)
                if (even and port & 1) or relayed in self._taken:
                    continue
                if may_rest and relayed in self._resting:
                    continue
                sock = self._try(bind, port)
                if sock is not None:
                    self._taken.add(relayed)
                    self._resting.pop(relayed, None)
                    return sock, relayed
        raise NoRelayPort(f"no port of {self._first}-{self._last} is free on {bind}")

    def freed(self, relayed: Address) -> None:
        """An allocation's port is no longer in use."""
        self._taken.discard(relayed)
        self._resting.pop(relayed, None)
        self._resting[relayed] = self._clock() + QUARANTINE_S

    def _wake_rested(self) -> None:
        now = self._clock()
        while self._resting:
            oldest = next(iter(self._resting))
            if self._resting[oldest] > now:
                return
            del self._resting[oldest]

    def _candidates(self) -> Iterator[int]:
        size = self._last - self._first + 1
        for _ in range(_RANDOM_TRIES):
            yield self._first + secrets.randbelow(size)
        start = secrets.randbelow(size)
        for step in range(min(size, _SWEEP)):
            yield self._first + (start + step) % size

    def _try(self, bind: str, port: int) -> socket.socket | None:
        try:
            return open_udp(bind, port, RELAY_BUFFER_BYTES)
        except OSError as error:
            if error.errno == EADDRNOTAVAIL:
                raise HostUnavailable(bind) from error
            if error.errno in (EMFILE, ENFILE):
                raise NoRelayPort("no descriptor is left") from error
            if error.errno != EADDRINUSE:
                return None
        return None
