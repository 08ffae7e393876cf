# mypy: disable-error-code="no-untyped-call"
# (Twisted's functions have few annotations)
"""The relay by every transport, the NAT, and the evenness of the way."""

from __future__ import annotations

import re
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict
from ipaddress import ip_address
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

from mosaic.netcheck.datagrams import Datagrams, measure, nat_of
from mosaic.netcheck.result import Check, Outcome
from mosaic.netcheck.streams import allocate, open_stream
from mosaic.proxy.client import Dialler
from mosaic.wire.hops import NameUnknown
from mosaic.wire.stun.address import Address

UDP_PORTS = (53, 443, 3478)
"""The mission's and the usual ones; those that the server has not are skipped."""
PINGS, GAP_S = 50, 0.02
GOOD_LOSS = 0.02
GOOD_RTT_MS, GOOD_JITTER_MS = 300.0, 30.0

_URL = re.compile(r"(turns?):(\[[^\]]+\]|[^:?]+)(?::(\d+))?(?:\?transport=(udp|tcp))?$")

Work = Callable[[], Awaitable[Check]]


class Facts(Protocol):
    """What is needed of the server's own words."""

    urls: list[str]
    username: str
    credential: str
    udp_ports: list[int]


class RelayChecks:
    """Made after REST has said what to try; without facts all is skipped."""

    def __init__(
        self, dialler: Dialler, host: str, facts: Facts | None, *, quick: bool
    ) -> None:
        self._dialler = dialler
        self._reactor = dialler.reactor
        self._host = host
        self._facts = facts
        self._quick = quick
        self._datagrams: Datagrams | None = None
        self._good_udp: Address | None = None

    def works(self) -> Iterator[tuple[str, Work]]:
        """Names and what to do, in order."""
        facts = self._facts
        if facts is None:
            for name in ("turn-udp", "turn-tcp", "turn-tls", "nat", "quality"):
                yield name, _skipped(name, "the server did not say where")
            return
        ports = dict.fromkeys((*UDP_PORTS, *facts.udp_ports))
        for port in ports:
            name = f"udp-{port}"
            if port in facts.udp_ports:
                yield name, self._bound(self._stun, port)
            else:
                yield name, _skipped(name, "this server does not listen there")
        seen: set[str] = set()
        for url in facts.urls:
            match = _URL.match(url)
            if match is None:
                continue
            port = int(match[3] or (5349 if match[1] == "turns" else 3478))
            way = "tls" if match[1] == "turns" else match[4] or "udp"
            name = f"turn-{way}" if f"turn-{way}" not in seen else f"turn-{way}-{port}"
            seen.add(name)
            if way == "udp":
                yield name, self._bound(self._turn_udp, name, port)
            else:
                yield name, self._bound(self._turn_stream, name, port, way == "tls")
        yield "nat", self._nat
        yield "quality", self._quality

    @staticmethod
    def _bound(method: Any, *args: Any) -> Work:
        return lambda: method(*args)

    async def close(self) -> None:
        """Free the socket."""
        if self._datagrams is not None:
            await self._datagrams.close()

    def _socket(self) -> Datagrams:
        if self._datagrams is None:
            self._datagrams = Datagrams(self._reactor)
        return self._datagrams

    async def _server(self, port: int) -> Address:
        try:
            return Address(str(ip_address(self._host.strip("[]"))), port)
        except ValueError:
            pass
        work: Deferred[str] = deferToThreadPool(
            self._reactor, self._reactor.getThreadPool(), _first_v4, self._host
        )
        try:
            return Address(await work, port)
        except OSError:
            raise NameUnknown(f"server {self._host}", self._host) from None

    async def _stun(self, port: int) -> Check:
        server = await self._server(port)
        seen = await self._socket().seen_at(server)
        name = f"udp-{port}"
        if seen is None:
            return Check(
                name=name,
                outcome="blocked",
                stage="application",
                detail="no answer over UDP",
                advice=f"ask for UDP port {port} to {self._host} to be opened",
            )
        self._good_udp = self._good_udp or server
        mapped = f"{seen.mapped.host} port {seen.mapped.port}"
        return Check(name=name, outcome="ok", data={"seen_as": mapped})

    def _login(self) -> tuple[str, str]:
        assert self._facts is not None
        return self._facts.username, self._facts.credential

    async def _turn_udp(self, name: str, port: int) -> Check:
        server = await self._server(port)
        hop = f"relay {self._host}:{port} over UDP"
        relayed = await self._socket().allocate(server, self._login(), hop)
        return Check(name=name, outcome="ok", data={"relayed": relayed})

    async def _turn_stream(self, name: str, port: int, tls: bool) -> Check:
        endpoint = self._dialler.endpoint(
            self._host, port, tls=tls, scheme="https", alpn=b"stun.turn" if tls else b""
        )
        hop = f"relay {self._host}:{port} over {'TLS' if tls else 'TCP'}"
        stream = await open_stream(self._reactor, endpoint, hop)
        try:
            relayed = await allocate(stream, self._login(), hop)
        finally:
            stream.close()
        data = {"relayed": relayed, "way": str(endpoint.used)}
        return Check(name=name, outcome="ok", data=data)

    async def _nat(self) -> Check:
        if self._good_udp is None:
            return Check(name="nat", outcome="skipped", detail="UDP is blocked")
        nat = await nat_of(self._reactor, self._socket(), self._good_udp)
        if nat is None:
            return Check(name="nat", outcome="skipped", detail="no answer")
        data = {
            "mapped": f"{nat.mapped.host} port {nat.mapped.port}",
            "mapping": nat.mapping,
            "filtering": nat.filtering,
        }
        if not nat.mapping:
            why = "the server has one address alone (turn.nat_discovery)"
            return Check(name="nat", outcome="skipped", detail=why, data=data)
        direct = nat.mapping == "endpoint-independent"
        return Check(
            name="nat",
            outcome="ok" if direct else "degraded",
            detail=f"mapping {nat.mapping}, filtering {nat.filtering}",
            advice=""
            if direct
            else "calls between two such networks go through the relay",
            data=data,
        )

    async def _quality(self) -> Check:
        if self._good_udp is None or self._quick:
            why = "not measured" if self._quick else "UDP is blocked"
            return Check(name="quality", outcome="skipped", detail=why)
        found = await measure(
            self._socket(), self._reactor, self._good_udp, count=PINGS, gap_s=GAP_S
        )
        poor = found.loss > GOOD_LOSS or found.p95_ms > GOOD_RTT_MS
        poor = poor or found.jitter_ms > GOOD_JITTER_MS
        words = (
            f"round trip {found.p50_ms:.0f} ms, jitter {found.jitter_ms:.0f} ms, "
            f"loss {found.loss:.1%}"
        )
        outcome: Outcome = "degraded" if poor else "ok"
        return Check(
            name="quality",
            outcome=outcome,
            detail=words,
            advice=f"{words}: expect poor voice and video" if poor else "",
            data=asdict(found),
        )


def _skipped(name: str, why: str) -> Work:
    async def skip() -> Check:
        return Check(name=name, outcome="skipped", detail=why)

    return skip


def _first_v4(name: str) -> str:
    rows = socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_DGRAM)
    return str(rows[0][4][0])
