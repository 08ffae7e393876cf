"""A data plane of either kind on loopback, and clients and peers around it."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorFDSet
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from mosaic.relay.interface import RelayPlane
from mosaic.wire.stun.address import Address, FiveTuple
from tests.support.native_plane import need_native, prompt_plane

PORTS = (32000, 60000)


@implementer(IReactorFDSet)
class Readers:
    """The part of a reactor that a plane on the reactor needs."""

    def __init__(self) -> None:
        self.readers: list[Any] = []

    def addReader(self, reader: Any) -> None:
        """Watch a reader."""
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        """Watch it no more."""
        self.readers.remove(reader)

    def addWriter(self, writer: Any) -> None:
        """Planes write without waiting."""
        raise NotImplementedError

    removeWriter = addWriter

    def removeAll(self) -> list[Any]:
        """Not used by planes."""
        raise NotImplementedError

    getReaders = getWriters = removeAll

    def pump(self) -> None:
        """Read what is there."""
        ready, _, _ = select.select(list(self.readers), [], [], 0.01)
        for reader in ready:
            if reader in self.readers:
                reader.doRead()


class PlaneFixture:
    """A plane, clients and peers on loopback; a subclass makes the plane."""

    host = "127.0.0.1"
    listen_host = "127.0.0.1"
    ports = PORTS
    plane: RelayPlane
    pump: Callable[[], None]
    now: float

    def make(self) -> None:
        """Set `plane`, with `self.clock` as its clock, and `pump`."""
        raise NotImplementedError

    def clock(self) -> float:
        """The plane's clock."""
        return self.now

    def setUp(self) -> None:
        """A plane that listens, and a record of what it hands over."""
        self.now = 100.0
        self.relays = 0
        self.controls: list[tuple[bytes, FiveTuple]] = []
        self.make()
        self.addCleanup(self.plane.stop)  # type: ignore[attr-defined] # of TestCase
        self.plane.start(lambda data, five: self.controls.append((data, five)))
        bound = self.plane.listen(self.listen_host, 0)
        self.server = Address(self.host, bound.port)

    def endpoint(self) -> socket.socket:
        """A UDP socket of a client or peer."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        made = socket.socket(family, socket.SOCK_DGRAM)
        made.bind((self.host, 0))
        made.setblocking(False)
        self.addCleanup(made.close)  # type: ignore[attr-defined] # of TestCase
        return made

    def receive(self, sock: socket.socket) -> tuple[bytes, Address]:
        """The next datagram; fails after two seconds."""
        until = time.monotonic() + 2.0
        while time.monotonic() < until:
            try:
                data, sender = sock.recvfrom(65536)
            except BlockingIOError:
                self.pump()
                continue
            return data, Address(sender[0], sender[1])
        raise AssertionError("nothing came")

    def settle(self, done: Callable[[], bool]) -> None:
        """Pump until something is so; fails after two seconds."""
        until = time.monotonic() + 2.0
        while not done():
            self.pump()
            assert time.monotonic() < until, "it never happened"

    def client(self, **relay: Any) -> tuple[socket.socket, int, Address]:
        """A UDP client with an allocation: socket, number, relayed address."""
        sock = self.endpoint()
        five_tuple = FiveTuple("udp", address_of(sock), self.server)
        number, relayed = self.open(five_tuple, **relay)
        return sock, number, relayed

    def open(self, five_tuple: FiveTuple, **relay: Any) -> tuple[int, Address]:
        """An allocation of 600 seconds."""
        self.relays += 1
        options = {
            "bind": self.host,
            "advertise": self.host,
            "expires_at": self.now + 600.0,
            **relay,
        }
        relayed = self.plane.open_relay(self.relays, five_tuple, **options)
        return self.relays, relayed

    def same(self, first: Any, second: Any) -> None:
        """Equal, or the test fails."""
        self.assertEqual(first, second)  # type: ignore[attr-defined] # of TestCase


def address_of(sock: socket.socket) -> Address:
    """What a socket is bound to."""
    name = sock.getsockname()
    return Address(name[0], name[1])


class NativeCase(PlaneFixture, SynchronousTestCase):
    """The native plane: a thread of its own, and its own clock."""

    _now = 0.0

    def setUp(self) -> None:
        """Not where it was not built."""
        need_native()
        super().setUp()

    def make(self) -> None:
        """What it hands over is taken when it is pumped."""
        readers = Readers()
        self.pump = readers.pump
        self.plane = prompt_plane(readers, ports=self.ports, clock=self.clock)

    @property
    def now(self) -> float:
        """The clock of the test, and of the thread."""
        return self._now

    @now.setter
    def now(self, value: float) -> None:
        if self._now:
            self.plane.turn_forward(value - self._now)  # type: ignore[attr-defined] # of NativePlane
        self._now = value
