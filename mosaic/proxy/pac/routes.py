# mypy: disable-error-code="no-untyped-call"
"""Routes that a PAC script gives, kept for a while."""

from __future__ import annotations

import socket
from typing import Any

from treq.client import HTTPClient
from twisted.internet.defer import Deferred

from mosaic.proxy.logins import Logins
from mosaic.proxy.pac.evaluate import PacScript
from mosaic.proxy.pac.fetch import fetch_script
from mosaic.proxy.routes import DeadProxies, Proxy

KEPT_S = 300.0
"""How long an answer for one target is believed."""
REFRESH_S = 3600.0
"""How long the script itself is."""
RESOLVE_S = 2.0
MAX_KEPT = 256

_Target = tuple[str, str, int]


class PacRoutes:
    """Fetches the script when it is first needed. url: http, https or file.

    http: a client that goes directly: the script tells how to go otherwise.
    """

    def __init__(
        self, reactor: Any, url: str, *, http: HTTPClient, logins: Logins
    ) -> None:
        self._reactor = reactor
        self._url = url
        self._http = http
        self._logins = logins
        self._dead = DeadProxies(reactor.seconds)
        self._script: PacScript | None = None
        self._read_at = 0.0
        self._kept: dict[_Target, tuple[float, list[Proxy]]] = {}

    async def proxies_for(self, scheme: str, host: str, port: int) -> list[Proxy]:
        """The script's answer. Raises HopError."""
        now = self._reactor.seconds()
        target = scheme, host, port
        until, proxies = self._kept.get(target, (0.0, []))
        if until <= now:
            script = await self._current(now)
            proxies = await script.find(scheme, host, port)
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            self._kept[target] = now + KEPT_S, proxies
        return self._dead.sort(proxies)

    def failed(self, proxy: Proxy) -> None:
        """Try the next one first for a while."""
        self._dead.add(proxy)

    def describe(self) -> str:
        """Where the ways come from."""
        return f"PAC script {self._url.rpartition('@')[2]}"

    async def _current(self, now: float) -> PacScript:
        if self._script is None or now - self._read_at > REFRESH_S:
            text = await fetch_script(self._url, http=self._http, logins=self._logins)
            self._read_at = now
            self._script = PacScript(
                self._reactor,
                text,
                hop=f"proxy script {self._url.rpartition('@')[2]}",
                resolve=self._resolve,
                my_address=my_address,
            )
        return self._script

    async def _resolve(self, name: str) -> list[str]:
        """By the system, in a thread, for at most RESOLVE_S."""
        from twisted.internet.threads import deferToThreadPool

        pool = self._reactor.getThreadPool()
        found: Deferred[list[str]] = deferToThreadPool(
            self._reactor, pool, _addresses, name
        )
        found.addTimeout(RESOLVE_S, self._reactor)
        try:
            return await found
        except Exception:
            return []


def _addresses(name: str) -> list[str]:
    rows = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(row[4][0]) for row in rows))


def my_address() -> str:
    """The address that this machine would use; no packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
