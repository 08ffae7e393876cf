# Some of Twisted's functions are not annotated.
# mypy: allow-untyped-calls
"""Tries everything a meeting needs, and says where each way ends.

One engine for `mosaic netcheck`, the hub and tests: `check_network`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

import msgspec

from mosaic.netcheck.around import Around, Server, ServerFacts
from mosaic.netcheck.known import KnownServers
from mosaic.netcheck.regions import RegionChecks
from mosaic.netcheck.relays import RelayChecks
from mosaic.netcheck.result import (
    Check,
    Report,
    failed,
    overall,
    verdicts,
)
from mosaic.netcheck.services import ServiceChecks
from mosaic.netcheck.way import WayChecks
from mosaic.proxy.client import Dialler
from mosaic.wire.hops import HopError

__all__ = ["NetworkCheck", "Server", "ServerFacts", "check_network"]

NEEDS_THE_PORT = ("proxy", "tls", "rest", "drcp", "updates", "bandwidth")
"""Checks that go to the server's own port."""
EARLY = ("dns", "tcp", "proxy")

Told = Callable[[Check], None]
Quick = bool | Callable[[], bool]
"""Whether to measure nothing; a function is asked before each measurement."""


async def check_network(
    url: str,
    dialler: Dialler,
    *,
    told: Told = lambda check: None,
    quick: Quick = False,
    long: bool = False,
    known: KnownServers | None = None,
) -> Report:
    """Check the way from here to a server; needs no login.

    url: `https://host[:port]`. dialler: how TCP goes out, with its proxies and
    trust; its reactor may be any, also the asyncio one. told: each check as it is
    done (the TLS check twice, where REST shows that it was inspected). quick: no
    measurements (Quick). long: also a minute of silence. known: keys of
    earlier contacts.

    Takes some five seconds, `quick` one, `long` sixty more; a dead way costs its
    timeouts. Raises ValueError for a URL that is none, and nothing else.

    It is a coroutine of Deferreds: `Deferred.fromCoroutine(check_network(…))`, and
    in an asyncio task `await Deferred.fromCoroutine(…).asFuture(loop)`.
    """
    check = NetworkCheck(
        Server.parse(url), dialler, told=told, quick=quick, long=long, known=known
    )
    return await check.run()


class NetworkCheck:
    """One run; see check_network."""

    def __init__(
        self,
        server: Server,
        dialler: Dialler,
        *,
        told: Told = lambda check: None,
        quick: Quick = False,
        long: bool = False,
        known: KnownServers | None = None,
    ) -> None:
        self._around = Around(
            server=server,
            dialler=dialler,
            hush=quick if callable(quick) else lambda: quick,
            long=long,
            known=known or KnownServers(),
        )
        self._reactor = dialler.reactor
        self._told = told
        self._checks: list[Check] = []
        self._closed: HopError | None = None

    async def run(self) -> Report:
        """Everything in turn; nothing is raised."""
        began = self._reactor.seconds()
        around = self._around
        way, services = WayChecks(around), ServiceChecks(around)
        await self._try("dns", way.dns)
        await self._try("dns-honest", way.dns_honest)
        await self._try("tcp-80", way.tcp_80)
        if around.server.port != 80:
            await self._try(f"tcp-{around.server.port}", way.tcp)
        await self._try("proxy", way.proxy)
        await self._try("tls", services.tls)
        await self._try("rest", services.rest)
        self._judge_tls(services)
        await self._try("drcp", services.drcp)
        await self._try("xmpp", services.xmpp)
        await self._try("updates", services.updates)
        relays = RelayChecks(around)
        try:
            for name, work in relays.works():
                await self._try(name, work)
        finally:
            await relays.close()
        for name, work in RegionChecks(around).works():
            await self._try(name, work)
        await self._try("bandwidth", services.bandwidth)
        found = verdicts(self._checks)
        return Report(
            server=around.server.url,
            via=around.dialler.routes.describe(),
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
        self._checks.append(check)
        self._told(check)

    def _judge_tls(self, services: ServiceChecks) -> None:
        """The server says which keys it has; another one may be on the wire."""
        for at, check in enumerate(self._checks):
            if check.name == "tls":
                judged = services.judged(check)
                if judged != check:
                    self._checks[at] = judged
                    self._told(judged)
