# mypy: disable-error-code="no-untyped-call"
# (Twisted's functions have few annotations)
"""Which place with relays is nearest, and by what ways it can be reached."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence

from mosaic.netcheck.around import Around, RegionFacts
from mosaic.netcheck.datagrams import Datagrams, measure
from mosaic.netcheck.quality import Evenness, evenness, score
from mosaic.netcheck.relays import (
    Work,
    address_of,
    allocated,
    open_talk,
)
from mosaic.netcheck.result import Check
from mosaic.netcheck.urls import RelayUrl, relay_urls
from mosaic.wire.hops import HopError
from mosaic.wire.turn.asking import binding

PINGS, GAP_S = 10, 0.02
HERE = "here"
"""The server's own place, if it has no name."""


class RegionChecks:
    """One check for each place, where there are several; then the nearest."""

    def __init__(self, around: Around) -> None:
        self._around = around
        self._scores: dict[str, float] = {}

    def works(self) -> Iterator[tuple[str, Work]]:
        """Names and what to do."""
        facts = self._around.facts
        if facts is None or not facts.regions:
            return
        here = RegionFacts(name=facts.region or HERE, urls=list(facts.urls))
        for region in (here, *facts.regions):
            yield f"region-{region.name}", self._work(region)
        yield "nearest", self._nearest

    def _work(self, region: RegionFacts) -> Work:
        async def work() -> Check:
            return await self._region(region)

        return work

    async def _region(self, region: RegionFacts) -> Check:
        name = f"region-{region.name}"
        urls = list(relay_urls(region.urls))
        found, by = await ping_place(self._around, urls)
        near = None if found is None else score(found)
        if found is None or near is None:
            return Check(
                name=name,
                outcome="degraded",
                stage="application",
                detail="no answer by any way",
                advice=f"relays in {region.name} cannot be reached from here",
            )
        self._scores[region.name] = near
        ways = await self._ways(region, urls)
        shut = [way for way, words in ways.items() if words != "ok"]
        words = f"score {near:.0f}: round trip {found.p50_ms:.0f} ms by {by.upper()}"
        if found.loss:
            words += f", loss {found.loss:.0%}"
        if shut:
            words += f"; no relay by {', '.join(way.upper() for way in shut)}"
        nothing = f"{region.name} gives no relay: " + "; ".join(ways.values())
        none = bool(ways) and len(shut) == len(ways)
        return Check(
            name=name,
            outcome="degraded" if none else "ok",
            stage="application" if none else "",
            detail=words,
            advice=nothing if none else "",
            data={
                "score": near,
                "rtt_ms": found.p50_ms,
                "loss": found.loss,
                "by": by,
                "ways": ways,
            },
        )

    async def _ways(self, region: RegionFacts, urls: list[RelayUrl]) -> dict[str, str]:
        """ "ok" or where it failed, for each transport. What the server's own place
        answers is known from the turn- checks."""
        facts = self._around.facts
        if facts is None or region.name == (facts.region or HERE):
            return {}
        last = {url.way: url for url in urls if url.relay}
        return {way: await self._relay(url) for way, url in last.items()}

    async def _relay(self, url: RelayUrl) -> str:
        """ "ok", or where it failed."""
        try:
            await allocated(self._around, url)
        except HopError as error:
            return f"[{error.stage}] {error.message}"
        return "ok"

    async def _nearest(self) -> Check:
        if not self._scores:
            return Check(name="nearest", outcome="skipped", detail="no region answers")
        order = sorted(self._scores.items(), key=lambda row: row[1])
        words = ", ".join(f"{name} {near:.0f}" for name, near in order)
        return Check(
            name="nearest",
            outcome="ok",
            detail=f"{order[0][0]} ({words})",
            data={"order": [name for name, _ in order]},
        )


async def ping_place(
    around: Around, urls: Sequence[RelayUrl]
) -> tuple[Evenness | None, str]:
    """How even the way to a place is, and by which one: by UDP, else by what passes
    a proxy. None if nothing answers."""
    for url in urls:
        if url.way == "udp":
            found = await _by_udp(around, url)
            if found is not None and found.loss < 1:
                return found, "udp"
            break
    for way in ("tls", "tcp"):
        for url in urls:
            if url.way == way:
                try:
                    return await _by_stream(around, url), way
                except HopError:
                    break
    return None, ""


async def _by_udp(around: Around, url: RelayUrl) -> Evenness | None:
    reactor = around.reactor
    try:
        server = await address_of(reactor, url.host, url.port)
    except HopError:
        return None
    datagrams = Datagrams(reactor)
    try:
        return await measure(datagrams, reactor, server, count=PINGS, gap_s=GAP_S)
    finally:
        await datagrams.close()


async def _by_stream(around: Around, url: RelayUrl) -> Evenness:
    talk, _ = await open_talk(around, url)
    trips: list[float | None] = []
    try:
        for _ in range(PINGS):
            began = around.reactor.seconds()
            await talk.ask(binding(secrets.token_bytes(12)))
            trips.append((around.reactor.seconds() - began) * 1000)
    finally:
        await talk.close()
    return evenness(trips)
