# mypy: disable-error-code="no-untyped-call"
# (Twisted's protocols have few annotations)
"""Whole STUN messages to and from one relay, over whatever transport."""

from __future__ import annotations

import secrets
from typing import Any

from twisted.internet.defer import Deferred

from mosaic.netcheck.datagrams import RETRIES_S, Datagrams
from mosaic.netcheck.streams import ANSWER_S, Stream, refused
from mosaic.wire.hops import NoAnswer
from mosaic.wire.stun.address import Address
from mosaic.wire.turn.asking import AllocateClient, TurnRefusal, relayed_data


class Talk:
    """One client of one relay. hop: how errors name it.

    Subclasses send, and call `took` with each message.
    """

    waits_s: tuple[float, ...] = RETRIES_S
    """How long each copy of a request waits for its answer."""

    def __init__(self, reactor: Any, hop: str) -> None:
        self.reactor = reactor
        self.hop = hop
        self._asked = b""
        self._answer: Deferred[bytes] | None = None
        self._came: dict[int, float] = {}

    def send(self, message: bytes) -> None:
        """One message."""
        raise NotImplementedError

    @property
    def over(self) -> bool:
        """Whether the other side has hung up; datagrams do not tell."""
        return False

    async def close(self) -> None:
        """Say nothing more."""

    def took(self, message: bytes) -> None:
        """An answer, or something that came through the relay."""
        waiting = self._answer
        if waiting is not None and message[8:20] == self._asked:
            if not waiting.called:
                waiting.callback(message)
            return
        data = relayed_data(message)
        if data is not None and len(data) >= 4:
            number = int.from_bytes(data[:4], "big")
            self._came.setdefault(number, self.reactor.seconds())

    async def ask(self, request: bytes) -> bytes:
        """The answer. Raises NoAnswer."""
        self._asked = request[8:20]
        for wait_s in self.waits_s:
            waiting: Deferred[bytes] = Deferred()
            self._answer = waiting
            self.send(request)
            waiting.addTimeout(wait_s, self.reactor, lambda result, _: b"")
            answer = await waiting
            self._answer = None
            if answer:
                return answer
        raise NoAnswer(self.hop, "no answer", stage="application")

    async def allocate(self, login: tuple[str, str]) -> AllocateClient:
        """A relay; `give_back` ends it. Raises HopError."""
        client = AllocateClient(*login, lambda: secrets.token_bytes(12))
        await self._through(client, client.begin())
        return client

    async def _through(self, client: AllocateClient, request: bytes | None) -> None:
        try:
            while request is not None:
                request = client.receive(await self.ask(request))
        except TurnRefusal as error:
            raise refused(error, self.hop) from error

    async def give_back(self, client: AllocateClient) -> None:
        """End the relay. Raises HopError where nobody answers any more."""
        await self._through(client, client.end())

    async def loop(
        self, client: AllocateClient, *, size: int, gap_s: float, count: int
    ) -> list[float | None]:
        """Packets to our own relayed address, which come back through the relay:
        their round trips in ms, None for those lost. Raises HopError."""
        from twisted.internet.task import deferLater

        peer = client.relayed
        assert peer is not None
        await self._through(client, client.permit(peer))
        self._came = {}
        sent: list[float] = []
        began = self.reactor.seconds()
        for number in range(count):
            late_s = began + number * gap_s - self.reactor.seconds()
            if late_s > 0:
                await deferLater(self.reactor, late_s)
            sent.append(self.reactor.seconds())
            packet = number.to_bytes(4, "big").ljust(size, b"\0")
            self.send(client.send(peer, packet))
        for _ in range(10):
            if len(self._came) == count:
                break
            await deferLater(self.reactor, 0.1)
        return [
            (self._came[number] - at) * 1000 if number in self._came else None
            for number, at in enumerate(sent)
        ]


class UdpTalk(Talk):
    """Over UDP."""

    def __init__(self, reactor: Any, server: Address, hop: str) -> None:
        super().__init__(reactor, hop)
        self._server = server
        self._socket = Datagrams(reactor)
        self._socket.heard = self.took

    def send(self, message: bytes) -> None:
        """One datagram; a firewall of this machine may not let it out."""
        try:
            self._socket.transport.write(
                message, (self._server.host, self._server.port)
            )
        except OSError:
            return

    async def close(self) -> None:
        """Free the port."""
        await self._socket.close()


class StreamTalk(Talk):
    """Over TCP or TLS (RFC 8489 section 6.2.2)."""

    waits_s = (ANSWER_S,)

    def __init__(self, reactor: Any, stream: Stream, hop: str) -> None:
        super().__init__(reactor, hop)
        self._stream = stream
        stream.follow(self._read)

    def _read(self, received: bytearray) -> None:
        while len(received) >= 20:
            size = 20 + int.from_bytes(received[2:4], "big")
            if len(received) < size:
                return
            message = bytes(received[:size])
            del received[:size]
            self.took(message)

    def send(self, message: bytes) -> None:
        """Write."""
        self._stream.send(message)

    @property
    def over(self) -> bool:
        """Whether the other side has hung up."""
        return self._stream.over

    async def ask(self, request: bytes) -> bytes:
        """The answer; at once an error when the connection ends."""
        if self.over:
            raise NoAnswer(self.hop, "hung up", stage="application")
        return await super().ask(request)

    async def close(self) -> None:
        """Cut it."""
        self._stream.close()
