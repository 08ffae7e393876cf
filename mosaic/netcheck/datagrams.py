# mypy: disable-error-code="no-untyped-call"
# (Twisted's protocols have few annotations)
"""Probes over UDP: Bindings, what the NAT does, and how even the way is."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol

from mosaic.netcheck.quality import Evenness, evenness
from mosaic.wire.stun.address import Address
from mosaic.wire.stun.discovery import CHANGE_IP, CHANGE_PORT
from mosaic.wire.turn.asking import Seen, binding, read_binding

RETRIES_S = (0.3, 0.6, 1.2)
"""How long each copy of a request waits (RFC 8489 section 6.2.1, shortened)."""


class Datagrams(DatagramProtocol):
    """One socket; answers are told apart by their transaction, and what nobody
    waits for goes to `heard`."""

    transport: Any

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._waiting: dict[bytes, Deferred[bytes]] = {}
        self.heard: Callable[[bytes], None] = lambda datagram: None
        self._port = reactor.listenUDP(0, self)

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """An answer, or something else."""
        waiting = self._waiting.pop(datagram[8:20], None)
        if waiting is None:
            self.heard(datagram)
        elif not waiting.called:
            waiting.callback(datagram)

    async def ask(
        self, request: bytes, to: Address, waits_s: tuple[float, ...] = RETRIES_S
    ) -> bytes | None:
        """The answer; None if there is none after all copies, or if this machine's
        own firewall does not let the request out."""
        for wait_s in waits_s:
            waiting: Deferred[bytes] = Deferred()
            self._waiting[request[8:20]] = waiting
            try:
                self.transport.write(request, (to.host, to.port))
            except OSError:
                self._waiting.pop(request[8:20], None)
                return None
            waiting.addTimeout(wait_s, self._reactor, lambda result, _: b"")
            answer = await waiting
            self._waiting.pop(request[8:20], None)
            if answer:
                return answer
        return None

    async def seen_at(self, to: Address, change: int = 0) -> Seen | None:
        """Where a server sees us; None without an answer."""
        transaction = secrets.token_bytes(12)
        answer = await self.ask(binding(transaction, change), to)
        return None if answer is None else read_binding(answer, transaction)

    async def close(self) -> None:
        """Free the port."""
        from twisted.internet.defer import maybeDeferred

        await maybeDeferred(self._port.stopListening)


@dataclass(frozen=True, slots=True)
class Nat:
    """RFC 5780's words; "" for what could not be found out."""

    mapped: Address
    mapping: str
    filtering: str


async def nat_of(reactor: Any, datagrams: Datagrams, server: Address) -> Nat | None:
    """What the NAT in front of us does (RFC 5780 sections 4.3 and 4.4)."""
    first = await datagrams.seen_at(server)
    if first is None:
        return None
    if first.other is None:
        return Nat(first.mapped, "", "")
    second = await datagrams.seen_at(Address(first.other.host, server.port))
    mapping = ""
    if second is not None and second.mapped == first.mapped:
        mapping = "endpoint-independent"
    elif second is not None:
        third = await datagrams.seen_at(first.other)
        if third is not None:
            same = third.mapped == second.mapped
            mapping = "address-dependent" if same else "address-and-port-dependent"
    return Nat(first.mapped, mapping, await _filtering(reactor, server))


async def _filtering(reactor: Any, server: Address) -> str:
    """Whom the NAT lets in, by a socket that has written to nobody else."""
    fresh = Datagrams(reactor)
    try:
        if await fresh.seen_at(server, CHANGE_IP | CHANGE_PORT) is not None:
            return "endpoint-independent"
        if await fresh.seen_at(server, CHANGE_PORT) is not None:
            return "address-dependent"
    finally:
        await fresh.close()
    return "address-and-port-dependent"


async def measure(
    datagrams: Datagrams, reactor: Any, server: Address, *, count: int, gap_s: float
) -> Evenness:
    """Bindings at even times; each is lost that has no answer within a second."""
    from twisted.internet.defer import gatherResults
    from twisted.internet.task import deferLater

    async def one(number: int) -> float | None:
        await deferLater(reactor, number * gap_s)
        transaction = secrets.token_bytes(12)
        began = reactor.seconds()
        answer = await datagrams.ask(binding(transaction), server, (1.0,))
        if answer is None or read_binding(answer, transaction) is None:
            return None
        return float(reactor.seconds() - began) * 1000

    trips = await gatherResults(
        [Deferred.fromCoroutine(one(number)) for number in range(count)],
        consumeErrors=True,
    )
    return evenness(trips)
