"""Clients of the relay whose sockets the data thread has."""

from __future__ import annotations

import socket
import time
from typing import Any

from mosaic.relay.interface import AdoptingPlane
from mosaic.wire.stun.address import Address, FiveTuple
from mosaic.wire.stun.framing import StreamSplitter
from mosaic.wire.stun.message import Class, Method, encode
from tests.support.plane_case import NativeCase, address_of


def stun(number: int) -> bytes:
    """A message that is no data."""
    return encode(Method.REFRESH, Class.REQUEST, number.to_bytes(12, "big"))


class Lender:
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.lost: list[bool] = []
        self.back: list[tuple[bytes, bytes]] = []

    def lent_received(self, message: bytes) -> None:
        """A message."""
        self.messages.append(message)

    def lent_lost(self, *, broken: bool) -> None:
        """The end."""
        self.lost.append(broken)

    def given_back(self, unread: bytes, unsent: bytes) -> None:
        """Ours again."""
        self.back.append((unread, unsent))


class ClientCase(NativeCase):
    """A client over TCP with a relay, a channel and a peer."""

    queue_bytes, queue_s = 1 << 20, 5.0
    transport = "tcp"

    def setUp(self) -> None:
        """The plane has the connection."""
        super().setUp()
        self.lender = Lender()
        self.sock, self.five_tuple, self.number = self.lent(self.lender)
        self.peer = self.endpoint()
        self.relay, self.relayed = self.number, self.relayed_now
        self.allow(self.relay, address_of(self.peer))

    def dressed(self, client: socket.socket) -> tuple[socket.socket, Any]:
        """The client's side, and what is lent beside `ours`: nothing over TCP."""
        return client, None

    def our_recv(self, size: int) -> bytes:
        """What the reactor would read of `ours`."""
        return self.ours.recv(size)

    def lent(
        self, lender: Lender, unread: bytes = b""
    ) -> tuple[socket.socket, FiveTuple, int]:
        """A client's socket, who it is, and the number of its relay."""
        with socket.create_server((self.host, 0)) as door:
            client = socket.create_connection(door.getsockname())
            ours, _ = door.accept()
        ours.setblocking(False)
        client.settimeout(2)
        self.addCleanup(client.close)
        self.addCleanup(ours.close)
        self.ours = ours
        name = client.getsockname()
        five_tuple = FiveTuple(self.transport, Address(*name[:2]), address_of(ours))
        client, secured = self.dressed(client)
        number, self.relayed_now = self.open(five_tuple)
        self.adopting().adopt(
            five_tuple,
            ours.fileno(),
            unread,
            lender,
            queue_bytes=self.queue_bytes,
            queue_s=self.queue_s,
            secured=secured,
        )
        return client, five_tuple, number

    def adopting(self) -> AdoptingPlane:
        """The plane, as one that adopts."""
        assert isinstance(self.plane, AdoptingPlane)
        return self.plane

    def allow(self, relay: int, peer: Address, channel: int = 0x4000) -> None:
        """A permission and a channel."""
        self.plane.permit(relay, peer.host, self.now + 300, own_only=False)
        self.plane.bind(relay, channel, peer, self.now + 600)

    def frames(self, count: int, sock: socket.socket | None = None) -> list[bytes]:
        """The next messages that the client gets."""
        sock, splitter, found = sock or self.sock, StreamSplitter(), list[bytes]()
        until = time.monotonic() + 5
        sock.settimeout(0.05)
        while len(found) < count:
            assert time.monotonic() < until, f"{len(found)} of {count} came"
            self.pump()
            try:
                found += splitter.feed(sock.recv(65536))
            except TimeoutError:
                continue
        self.same(splitter.pending_bytes, 0)
        return found
