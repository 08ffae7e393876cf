# mypy: disable-error-code="no-untyped-call"
# (Twisted's functions have few annotations)
"""The relay by every transport, the NAT, and how even the way is."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

from mosaic.netcheck.around import Around
from mosaic.netcheck.datagrams import Datagrams, measure, nat_of
from mosaic.netcheck.dtls import open_dtls
from mosaic.netcheck.quality import Evenness, evenness
from mosaic.netcheck.result import Check, Outcome
from mosaic.netcheck.streams import open_stream
from mosaic.netcheck.talk import StreamTalk, Talk, UdpTalk
from mosaic.netcheck.urls import RelayUrl, relay_urls
from mosaic.wire.hops import HopError, NameUnknown, NoAnswer
from mosaic.wire.stun.address import Address

UDP_PORTS = (53, 443, 3478)
"""The mission's and the usual ones; those that the server has not are skipped."""
PINGS, GAP_S = 100, 0.02
GOOD_LOSS = 0.02
GOOD_RTT_MS, GOOD_JITTER_MS = 300.0, 30.0
GOOD_MOS = 3.6
"""Below this many are dissatisfied (G.107 annex B)."""
LOOP_PACKETS, LOOP_BYTES, LOOP_GAP_S = 50, 160, 0.02
"""Voice: 64 kbit/s for a second."""
FULL_PACKETS, FULL_BYTES, FULL_GAP_S = 150, 1000, 0.01
"""800 kbit/s each way for a second and a half: what a visitor's relay carries."""
HOLD_S = 55.0
"""A visitor's allocation lives for 60."""

Work = Callable[[], Awaitable[Check]]


class RelayChecks:
    """Made after REST has said what to try; without facts all is skipped."""

    def __init__(self, around: Around) -> None:
        self._around = around
        self._reactor = around.reactor
        self._host = around.server.host
        self._datagrams: Datagrams | None = None
        self._good_udp: Address | None = None
        self._best: RelayUrl | None = None

    def works(self) -> Iterator[tuple[str, Work]]:
        """Names and what to do, in order."""
        facts = self._around.facts
        if facts is None:
            names = ("turn-udp", "turn-tcp", "turn-tls", "turn-dtls", "nat")
            for name in (*names, "quality", "relay-speed"):
                yield name, skipped(name, "the server did not say where")
            return
        for port in dict.fromkeys((*UDP_PORTS, *facts.udp_ports)):
            name = f"udp-{port}"
            if port in facts.udp_ports:
                yield name, self._bound(self._stun, port)
            else:
                yield name, skipped(name, "this server does not listen there")
        urls = [url for url in relay_urls(facts.urls) if url.relay]
        urls += [RelayUrl("dtls", self._host, port, True) for port in facts.dtls_ports]
        seen: set[str] = set()
        for url in urls:
            # The certificate and the way are those of the host that was asked.
            here = RelayUrl(url.way, self._host, url.port, True)
            name = f"turn-{url.way}"
            name = name if name not in seen else f"{name}-{url.port}"
            seen.add(name)
            yield name, self._bound(self._turn, name, here)
        if "turn-dtls" not in seen:
            why = "this server has no DTLS (endpoints.turn_dtls)"
            yield "turn-dtls", skipped("turn-dtls", why)
        yield "nat", self._nat
        yield "quality", self._quality
        yield "relay-speed", self._relay_speed
        if self._around.long:
            yield "idle", self._idle

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

    async def _stun(self, port: int) -> Check:
        server = await address_of(self._reactor, self._host, port)
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

    async def _turn(self, name: str, url: RelayUrl) -> Check:
        assert self._around.facts is not None
        data = await allocated(self._around, url)
        if self._best is None or (self._best.way != "udp" and url.way == "tls"):
            self._best = url
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
        """By UDP to the server; where that is blocked, through the relay by the
        way that media will take."""
        if self._around.quick:
            return Check(name="quality", outcome="skipped", detail="not measured")
        if self._good_udp is not None:
            found = await measure(
                self._socket(), self._reactor, self._good_udp, count=PINGS, gap_s=GAP_S
            )
            return judged_quality(found, "UDP")
        if self._best is None:
            return Check(name="quality", outcome="skipped", detail="nothing answers")
        found = await self._loop(self._best, LOOP_PACKETS, LOOP_BYTES, LOOP_GAP_S)
        return judged_quality(found, f"the relay over {self._best.way.upper()}")

    async def _relay_speed(self) -> Check:
        """Media there and back through the relay, by the way that it will take."""
        if self._around.quick or self._best is None:
            why = "not measured" if self._around.quick else "no relay answers"
            return Check(name="relay-speed", outcome="skipped", detail=why)
        found = await self._loop(self._best, FULL_PACKETS, FULL_BYTES, FULL_GAP_S)
        sent = FULL_BYTES * 8 / FULL_GAP_S / 1000
        came = round(sent * (1 - found.loss))
        words = f"{came} of {sent:.0f} kbit/s, there and back over "
        words += f"{self._best.way.upper()}, round trip {found.p50_ms:.0f} ms"
        poor = found.loss > GOOD_LOSS
        return Check(
            name="relay-speed",
            outcome="degraded" if poor else "ok",
            detail=words,
            advice=f"the relay's way is too narrow for video: {words}" if poor else "",
            data={"way": self._best.way, "kbit_s": came, **asdict(found)},
        )

    async def _loop(
        self, url: RelayUrl, count: int, size: int, gap_s: float
    ) -> Evenness:
        assert self._around.facts is not None
        talk, _ = await open_talk(self._around, url)
        try:
            client = await talk.allocate(self._around.facts.login)
            trips = await talk.loop(client, size=size, gap_s=gap_s, count=count)
            await talk.give_back(client)
        finally:
            await talk.close()
        return evenness(trips)

    async def _idle(self) -> Check:
        """A minute of silence on a TCP or TLS connection: firewalls and proxies
        forget those that say nothing."""
        from twisted.internet.task import deferLater

        facts = self._around.facts
        urls = [] if facts is None else list(relay_urls(facts.urls))
        ways = {url.way: url for url in urls if url.relay}
        url = ways.get("tls") or ways.get("tcp")
        if facts is None or url is None:
            return Check(name="idle", outcome="skipped", detail="no relay over TCP")
        here = RelayUrl(url.way, self._host, url.port, True)
        talk, way = await open_talk(self._around, here)
        began = self._reactor.seconds()
        try:
            client = await talk.allocate(facts.login)
            while self._reactor.seconds() - began < HOLD_S and not talk.over:
                await deferLater(self._reactor, 0.5)
            held_s = self._reactor.seconds() - began
            try:
                await talk.give_back(client)
            except NoAnswer:
                return Check(
                    name="idle",
                    outcome="degraded",
                    stage="proxy" if way != "direct" else "tcp",
                    detail=f"a silent connection ended within {held_s:.0f} s",
                    advice="something on the way ends silent connections early: ask "
                    "for an idle timeout of two minutes or more",
                    data={"held_s": round(held_s, 1), "way": way},
                )
        finally:
            await talk.close()
        words = f"a silent connection lives for {HOLD_S:.0f} s"
        data = {"held_s": round(held_s, 1), "way": way}
        return Check(name="idle", outcome="ok", detail=words, data=data)


def judged_quality(found: Evenness, way: str) -> Check:
    """Numbers as a check."""
    poor = found.loss > GOOD_LOSS or found.p95_ms > GOOD_RTT_MS
    poor = poor or found.jitter_ms > GOOD_JITTER_MS or found.mos < GOOD_MOS
    words = (
        f"round trip {found.p50_ms:.0f} ms, jitter {found.jitter_ms:.0f} ms, "
        f"loss {found.loss:.1%}"
    )
    if found.burst > 1:
        words += f" (up to {found.burst} in a row)"
    words += f", voice {found.mos:.1f} of 4.5, by {way}"
    outcome: Outcome = "degraded" if poor else "ok"
    return Check(
        name="quality",
        outcome=outcome,
        detail=words,
        advice=f"{words}: expect poor voice and video" if poor else "",
        data={**asdict(found), "way": way},
    )


async def open_talk(around: Around, url: RelayUrl) -> tuple[Talk, str]:
    """A connection to a relay, and by which proxy. Raises HopError."""
    reactor, dialler = around.reactor, around.dialler
    if url.way in ("udp", "dtls"):
        server = await address_of(reactor, url.host, url.port)
        if url.way == "udp":
            return UdpTalk(reactor, server, url.hop), "direct"
        talk = await open_dtls(
            reactor, server, name=url.host, trust=dialler.trust, hop=url.hop
        )
        return talk, "direct"
    endpoint = dialler.endpoint(
        url.host,
        url.port,
        tls=url.way == "tls",
        alpn=b"stun.turn" if url.way == "tls" else b"",
    )
    stream = await open_stream(reactor, endpoint, url.hop)
    return StreamTalk(reactor, stream, url.hop), str(endpoint.used)


async def allocated(around: Around, url: RelayUrl) -> dict[str, Any]:
    """A relay, given back at once: where it was, and the way. Raises HopError."""
    assert around.facts is not None
    talk, way = await open_talk(around, url)
    try:
        client = await talk.allocate(around.facts.login)
        relayed = client.relayed
        try:
            await talk.give_back(client)
        except HopError:
            pass  # it was there; its end comes by itself
    finally:
        await talk.close()
    at = "" if relayed is None else f"{relayed.host} port {relayed.port}"
    return {"relayed": at, "way": way}


def skipped(name: str, why: str) -> Work:
    """Work that is not done."""

    async def skip() -> Check:
        return Check(name=name, outcome="skipped", detail=why)

    return skip


async def address_of(reactor: Any, host: str, port: int) -> Address:
    """For datagrams, which are sent to addresses. Raises NameUnknown."""
    try:
        return Address(str(ip_address(host.strip("[]"))), port)
    except ValueError:
        pass
    work: Deferred[str] = deferToThreadPool(
        reactor, reactor.getThreadPool(), _first_v4, host
    )
    try:
        return Address(await work, port)
    except OSError:
        raise NameUnknown(f"server {host}", host) from None


def _first_v4(name: str) -> str:
    rows = socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_DGRAM)
    return str(rows[0][4][0])
