# mypy: disable-error-code="no-untyped-call"
# (Twisted's and treq's functions have few annotations)
"""Tries everything a meeting needs, and says where each way ends."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

from mosaic.netcheck.relays import RelayChecks
from mosaic.netcheck.result import (
    Check,
    Outcome,
    Report,
    failed,
    overall,
    verdicts,
)
from mosaic.netcheck.streams import (
    describe_tls,
    open_drcp,
    open_stream,
    open_xmpp,
    who_is_there,
)
from mosaic.proxy.client import Dialler, http_client
from mosaic.proxy.endpoint import Patience, ProxiedEndpoint
from mosaic.proxy.routes import Proxy
from mosaic.wire.hops import HopError, NoAnswer, TlsRefused

MAX_ANSWER_BYTES = 65536
DNS_S = 5.0
STRAIGHT_S = 3.0
NOISE_BYTES = 2 * 1024 * 1024
NEEDS_THE_PORT = ("proxy", "tls", "rest", "drcp", "updates", "bandwidth")
"""Checks that go to the server's own port."""
EARLY = ("dns", "tcp", "proxy")
SLOW_KBIT_S = 1100
"""Below this a call with video suffers."""


class ServerFacts(msgspec.Struct, kw_only=True):
    """What the server says of itself (NetcheckView)."""

    address: str = ""
    urls: list[str] = []
    username: str = ""
    credential: str = ""
    ttl: int = 0
    udp_ports: list[int] = []
    xmpp_port: int | None = None
    xmpp_domain: str = ""
    drcp: bool = True
    spki_sha256: list[str] = []


@dataclass(frozen=True, slots=True)
class Server:
    """The URL to check, taken apart."""

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, url: str) -> Server:
        """`https://host[:port]` or a host. Raises ValueError."""
        parts = urlsplit(url if "://" in url else f"https://{url}")
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise ValueError(f"{url!r} is no https URL; for example https://meet.org")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return cls(parts.scheme, parts.hostname, port)

    @property
    def secure(self) -> bool:
        """Whether there is TLS."""
        return self.scheme == "https"

    @property
    def url(self) -> str:
        """Without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


class NetworkCheck:
    """One run. dialler: how TCP goes out. told: each check as it is done."""

    def __init__(
        self,
        server: Server,
        dialler: Dialler,
        *,
        told: Callable[[Check], None] = lambda check: None,
        quick: bool = False,
    ) -> None:
        self._server = server
        self._dialler = dialler
        self._reactor = dialler.reactor
        self._told = told
        self._quick = quick
        self._checks: list[Check] = []
        self._facts: ServerFacts | None = None
        self._spki = ""
        self._closed: HopError | None = None
        self._hop = f"server {server.host}:{server.port}"

    async def run(self) -> Report:
        """Everything in turn; nothing is raised."""
        began = self._reactor.seconds()
        await self._try("dns", self._dns)
        await self._try("dns-honest", self._dns_honest)
        await self._try("tcp-80", lambda: self._tcp(80))
        await self._try(f"tcp-{self._server.port}", lambda: self._tcp())
        await self._try("proxy", self._proxy)
        await self._try("tls", self._tls)
        await self._try("rest", self._rest)
        self._note_interception()
        await self._try("drcp", self._drcp)
        await self._try("xmpp", self._xmpp)
        await self._try("updates", self._updates)
        relays = RelayChecks(
            self._dialler, self._server.host, self._facts, quick=self._quick
        )
        for name, work in relays.works():
            await self._try(name, work)
        await relays.close()
        await self._try("bandwidth", self._bandwidth)
        found = verdicts(self._checks)
        return Report(
            server=self._server.url,
            via=self._dialler.routes.describe(),
            outcome=overall(found),
            verdicts=found,
            checks=tuple(self._checks),
            took_s=round(self._reactor.seconds() - began, 3),
        )

    async def _try(self, name: str, work: Callable[[], Awaitable[Check]]) -> None:
        began = self._reactor.seconds()
        try:
            if self._closed is not None and name in NEEDS_THE_PORT:
                raise self._closed
            check = await work()
        except Exception as error:
            check = failed(name, error)
            # Nothing else gets through there, and each try takes its time.
            early = isinstance(error, HopError) and error.stage in EARLY
            if early and name in NEEDS_THE_PORT:
                self._closed = cast("HopError", error)
        if check.ms is None and check.outcome != "skipped":
            ms = round((self._reactor.seconds() - began) * 1000, 1)
            check = msgspec.structs.replace(check, ms=ms)
        self._add(check)

    def _add(self, check: Check) -> None:
        self._checks.append(check)
        self._told(check)

    # The way -------------------------------------------------------------
    async def _dns(self) -> Check:
        found = await self._addresses(self._server.host)
        ways = await self._ways()
        proxied = bool(ways) and ways[0].kind != "direct"
        if found:
            return Check(name="dns", outcome="ok", data={"addresses": found})
        if proxied:
            return Check(
                name="dns",
                outcome="ok",
                detail="this machine knows no address; the proxy looks it up",
            )
        return Check(
            name="dns",
            outcome="blocked",
            stage="dns",
            detail=f"the name {self._server.host} has no address here",
            advice=f"check the name {self._server.host} and this network's DNS",
        )

    async def _dns_honest(self) -> Check:
        """A name that cannot exist (RFC 6761 section 6.4)."""
        found = await self._addresses(f"{secrets.token_hex(8)}.invalid")
        if not found:
            return Check(name="dns-honest", outcome="ok")
        return Check(
            name="dns-honest",
            outcome="degraded",
            stage="dns",
            detail=f"names that do not exist resolve to {found[0]}",
            advice="this network's DNS invents answers; errors may look strange",
        )

    async def _addresses(self, name: str) -> list[str]:
        work: Deferred[list[str]] = deferToThreadPool(
            self._reactor, self._reactor.getThreadPool(), _look_up, name
        )
        work.addTimeout(DNS_S, self._reactor)
        try:
            return await work
        except Exception:
            return []

    async def _tcp(self, port: int = 0) -> Check:
        """Straight on, without a proxy: what the firewall lets through."""
        port = port or self._server.port
        name = f"tcp-{port}"
        ways = await self._ways()
        straight = ProxiedEndpoint(
            self._reactor,
            self._server.host,
            port,
            patience=Patience(connect_s=STRAIGHT_S),
        )
        try:
            stream = await open_stream(self._reactor, straight, self._hop)
        except HopError as error:
            proxied = bool(ways) and ways[0].kind != "direct"
            spare = port != self._server.port
            if not proxied and not spare:
                raise
            why = "the proxy is used" if proxied else "only redirects and ACME need it"
            return Check(name=name, outcome="skipped", detail=f"{error.message}; {why}")
        stream.close()
        return Check(name=name, outcome="ok")

    async def _ways(self) -> list[Proxy]:
        try:
            return await self._dialler.routes.proxies_for(
                self._server.scheme, self._server.host, self._server.port
            )
        except HopError:
            return []

    async def _proxy(self) -> Check:
        """Whether there is one, and whether it opens a tunnel."""
        ways = await self._dialler.routes.proxies_for(
            self._server.scheme, self._server.host, self._server.port
        )
        data = {
            "source": self._dialler.routes.describe(),
            "ways": [str(way) for way in ways],
        }
        if all(way.kind == "direct" for way in ways):
            return Check(name="proxy", outcome="skipped", detail="direct", data=data)
        endpoint = self._dialler.endpoint(
            self._server.host, self._server.port, tls=False, scheme=self._server.scheme
        )
        stream = await open_stream(self._reactor, endpoint, self._hop)
        stream.close()
        data["used"] = str(endpoint.used)
        return Check(name="proxy", outcome="ok", data=data)

    # Services ------------------------------------------------------------
    async def _tls(self) -> Check:
        if not self._server.secure:
            return Check(
                name="tls", outcome="skipped", detail="plain HTTP was asked for"
            )
        host, port = self._server.host, self._server.port
        endpoint = self._dialler.endpoint(host, port, tls=True)
        try:
            stream = await open_stream(self._reactor, endpoint, self._hop)
        except TlsRefused as error:
            data = await who_is_there(self._dialler, host, port)
            return Check(
                name="tls",
                outcome="blocked",
                stage="tls",
                detail=f"{error}; the certificate is signed by {data['issuer']}",
                advice="trust that authority if it is your own (--ca), or ask for an "
                f"exception from TLS inspection for {host}",
                data=data,
            )
        data = describe_tls(stream.transport)
        stream.close()
        self._spki = data["spki_sha256"]
        return Check(name="tls", outcome="ok", data=data)

    async def _rest(self) -> Check:
        http = http_client(self._dialler)
        answer = await http.post(f"{self._server.url}/api/v1/netcheck", timeout=15)
        body = await _bounded(answer, MAX_ANSWER_BYTES)
        if answer.code == 429:
            return Check(
                name="rest",
                outcome="degraded",
                stage="application",
                detail="this address has checked too often",
                advice="try again in a minute",
            )
        if answer.code != 200:
            raise NoAnswer(
                self._hop, f"REST answers {answer.code}", stage="application"
            )
        try:
            self._facts = msgspec.json.decode(body, type=ServerFacts)
        except msgspec.MsgspecError as error:
            what = "answers, but not as Mosaic does: a portal may stand in between"
            raise NoAnswer(self._hop, what, stage="application") from error
        return Check(name="rest", outcome="ok", data={"seen_as": self._facts.address})

    def _note_interception(self) -> None:
        """The server says which keys it has; another one was on the wire."""
        known = self._facts.spki_sha256 if self._facts else []
        if not self._spki or not known or self._spki in known:
            return
        for at, check in enumerate(self._checks):
            if check.name == "tls":
                changed = msgspec.structs.replace(
                    check,
                    outcome="degraded",
                    stage="tls",
                    detail=f"TLS is inspected by {check.data['issuer']}",
                    advice="ask for an exception from TLS inspection for "
                    f"{self._server.host}: TURN and XMPP may not pass it",
                    data={**check.data, "intercepted": True},
                )
                self._checks[at] = changed
                self._told(changed)

    async def _drcp(self) -> Check:
        scheme = "wss" if self._server.secure else "ws"
        url = scheme + self._server.url.removeprefix(self._server.scheme) + "/drcp"
        endpoint = self._dialler.endpoint(
            self._server.host,
            self._server.port,
            tls=self._server.secure,
            scheme=scheme,
        )
        await open_drcp(self._reactor, url, endpoint, self._hop)
        return Check(name="drcp", outcome="ok")

    async def _xmpp(self) -> Check:
        facts = self._facts
        if facts is None or facts.xmpp_port is None:
            why = "not known" if facts is None else "this server has no XMPP port"
            return Check(name="xmpp", outcome="skipped", detail=why)
        endpoint = self._dialler.endpoint(
            self._server.host, facts.xmpp_port, tls=True, alpn=b"xmpp-client"
        )
        hop = f"server {self._server.host}:{facts.xmpp_port}"
        stream = await open_stream(self._reactor, endpoint, hop)
        try:
            await open_xmpp(stream, facts.xmpp_domain)
        finally:
            stream.close()
        return Check(name="xmpp", outcome="ok", data={"port": facts.xmpp_port})

    async def _updates(self) -> Check:
        http = http_client(self._dialler)
        url = f"{self._server.url}/updates/timestamp.json"
        answer = await http.get(url, timeout=15, allow_redirects=False)
        await _bounded(answer, MAX_ANSWER_BYTES)
        if answer.code == 404:
            return Check(
                name="updates", outcome="skipped", detail="this server has no updates"
            )
        good = answer.code == 200
        outcome: Outcome = "ok" if good else "blocked"
        return Check(
            name="updates",
            outcome=outcome,
            stage="" if good else "application",
            detail="" if good else f"the server answers {answer.code}",
        )

    async def _bandwidth(self) -> Check:
        if self._quick or self._facts is None:
            return Check(name="bandwidth", outcome="skipped", detail="not measured")
        http = http_client(self._dialler)
        url = f"{self._server.url}/api/v1/netcheck/noise?size_bytes={NOISE_BYTES}"
        answer = await http.get(url, timeout=30)
        began = self._reactor.seconds()
        body = await _bounded(answer, NOISE_BYTES + 1)
        took_s = max(self._reactor.seconds() - began, 1e-6)
        if answer.code != 200:
            return Check(name="bandwidth", outcome="skipped", detail="asked too often")
        kbit_s = round(len(body) * 8 / took_s / 1000)
        slow = kbit_s < SLOW_KBIT_S
        return Check(
            name="bandwidth",
            outcome="degraded" if slow else "ok",
            detail=f"{kbit_s} kbit/s down" if slow else "",
            advice="too slow for video; voice and the whiteboard work" if slow else "",
            data={"down_kbit_s": kbit_s},
        )


async def _bounded(answer: Any, limit: int) -> bytes:
    """The body, cut off past the limit."""
    import treq

    collected = bytearray()

    def add(data: bytes) -> None:
        if len(collected) + len(data) > limit:
            raise ValueError("the answer is too large")
        collected.extend(data)

    await treq.collect(answer, add)
    return bytes(collected)


def _look_up(name: str) -> list[str]:
    rows = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(row[4][0]) for row in rows))
