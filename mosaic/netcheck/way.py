# mypy: disable-error-code="no-untyped-call"
# (Twisted's functions have few annotations)
"""The way to the server: names, ports, what answers in its place, the proxy."""

from __future__ import annotations

import re
import secrets
import socket
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

from mosaic.netcheck.around import Around
from mosaic.netcheck.result import Check
from mosaic.netcheck.streams import Stream, open_stream
from mosaic.proxy.endpoint import Patience, ProxiedEndpoint
from mosaic.wire.hops import HopError, NoAnswer

DNS_S = 5.0
STRAIGHT_S = 3.0
HTTP_PORT = 80
MAX_HEAD_BYTES = 16384


class WayChecks:
    """Each gives one Check or raises."""

    def __init__(self, around: Around) -> None:
        self._around = around
        self._server = around.server
        self._reactor = around.reactor

    async def dns(self) -> Check:
        """Addresses of the server's name."""
        name = self._server.host
        found = await self._addresses(name)
        if found:
            return Check(name="dns", outcome="ok", data={"addresses": found})
        if await self._around.proxied():
            return Check(
                name="dns",
                outcome="ok",
                detail="this machine knows no address; the proxy looks it up",
            )
        return Check(
            name="dns",
            outcome="blocked",
            stage="dns",
            detail=f"the name {name} has no address here",
            advice=f"check the name {name} and this network's DNS",
        )

    async def dns_honest(self) -> Check:
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

    async def tcp(self) -> Check:
        """The server's port straight on: what the firewall lets through."""
        name = f"tcp-{self._server.port}"
        try:
            stream = await self._straight(self._server.port)
        except HopError as error:
            if not await self._around.proxied():
                raise
            why = f"{error.message}; the proxy is used"
            return Check(name=name, outcome="skipped", detail=why)
        stream.close()
        return Check(name=name, outcome="ok")

    async def tcp_80(self) -> Check:
        """Plain HTTP straight on. Meetings do without it, but a captive portal
        shows itself there (RFC 8910 has the better way; few have it)."""
        try:
            stream = await self._straight(HTTP_PORT)
        except HopError as error:
            why = f"{error.message}; only redirects and certificates need it"
            return Check(name="tcp-80", outcome="skipped", detail=why)
        try:
            status, where = await self._front_page(stream)
        except HopError as error:
            if self._server.port == HTTP_PORT:
                return Check(name="tcp-80", outcome="ok")
            return Check(name="tcp-80", outcome="ok", detail=error.message)
        finally:
            stream.close()
        portal = portal_sign(self._server.host, status, where)
        if not portal:
            detail = "redirects to https" if where else ""
            return Check(name="tcp-80", outcome="ok", detail=detail)
        return Check(
            name="tcp-80",
            outcome="degraded",
            stage="application",
            detail=f"somebody else answers in the server's place: {portal}",
            advice="this network wants a login first (a captive portal): open "
            f"{where if where.startswith('http') else f'http://{self._server.host}/'}"
            " in a browser, then check again",
            data={"portal": portal},
        )

    async def _straight(self, port: int) -> Stream:
        endpoint = ProxiedEndpoint(
            self._reactor,
            self._server.host,
            port,
            patience=Patience(connect_s=STRAIGHT_S),
        )
        hop = f"server {self._server.host}:{port}"
        return await open_stream(self._reactor, endpoint, hop)

    async def _front_page(self, stream: Stream) -> tuple[int, str]:
        """Status and Location of http://server/."""
        host = self._server.host
        host = f"[{host}]" if ":" in host else host
        stream.send(
            f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
        )
        head = await stream.until(
            lambda data: data.partition(b"\r\n\r\n")[0] if b"\r\n\r\n" in data else None
        )
        match = re.match(rb"HTTP/1\.[01] (\d{3})", head[:MAX_HEAD_BYTES])
        if match is None:
            raise NoAnswer(self._server.hop, "speaks no HTTP", stage="application")
        where = re.search(rb"\r\nlocation:[ \t]*([^\r\n]{1,300})", head, re.IGNORECASE)
        return int(match[1]), where[1].decode("ascii", "replace") if where else ""

    async def proxy(self) -> Check:
        """Whether there is one, and whether it opens a tunnel."""
        server, dialler = self._server, self._around.dialler
        ways = await dialler.routes.proxies_for(server.scheme, server.host, server.port)
        data: dict[str, Any] = {
            "source": dialler.routes.describe(),
            "ways": [str(way) for way in ways],
        }
        if all(way.kind == "direct" for way in ways):
            return Check(name="proxy", outcome="skipped", detail="direct", data=data)
        endpoint = dialler.endpoint(
            server.host, server.port, tls=False, scheme=server.scheme
        )
        stream = await open_stream(self._reactor, endpoint, server.hop)
        stream.close()
        data["used"] = str(endpoint.used)
        data["login"] = endpoint.login_scheme
        words = f"{endpoint.used}"
        if endpoint.login_scheme:
            words += f", login by {endpoint.login_scheme}"
        return Check(name="proxy", outcome="ok", detail=words, data=data)


def portal_sign(server: str, status: int, where: str) -> str:
    """What gives a captive portal away in the answer to http://server/: RFC 6585's
    511, or somewhere else to go; "" for nothing. where: the Location."""
    if status == 511:
        return "511 Network Authentication Required"
    if status not in (301, 302, 303, 307, 308) or not where:
        return ""
    try:
        parts = urlsplit(where)
        scheme, host = parts.scheme, parts.hostname
    except ValueError:
        scheme, host = "", where
    if host is None or _related(server.lower(), scheme, host.lower()):
        return ""
    return f"{status} to {where}"


def _related(mine: str, scheme: str, other: str) -> bool:
    """The same name, or one above or below it (www., a bare domain); a server that
    was asked for by its address may lead to the https of any name."""
    if mine == other:
        return True
    if mine.replace(".", "").isdecimal() or ":" in mine:
        return scheme == "https"
    return mine.endswith(f".{other}") or other.endswith(f".{mine}")


def _look_up(name: str) -> list[str]:
    rows = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(row[4][0]) for row in rows))
