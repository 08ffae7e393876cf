"""Runs the checks one after the other and says what came out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred

from mosaic.drcpclient.conformance.peer import Failed, Peer
from mosaic.drcpclient.conformance.seats import NoSeat, Seats
from mosaic.wire.drcp import client
from mosaic.wire.drcp.native import SUBPROTOCOL
from mosaic.wire.drcp.yprotocols import Type

CHECK_S = 30.0


@dataclass(frozen=True, slots=True)
class Result:
    """outcome: "pass", "fail" or "skip". section: of docs/protocols/drcp.md."""

    name: str
    section: str
    outcome: str
    detail: str = ""


class Table:
    """What a check works with: fresh sockets, seats and a document of its own.

    url: of the native door, ws:// or wss://. note: the document's name, which
    is the same in each run: a room may have 256 documents, and DRCP takes none
    away. What an earlier run left in it goes before the check begins.
    """

    def __init__(
        self, reactor: Any, url: str, seats: Seats, *, trust: Any, check: str
    ) -> None:
        self.reactor = reactor
        self.url = url
        self.seats = seats
        self.note = f"notes/conformance-{check}"
        self._is_empty = False
        self._trust = trust
        self._peers: list[Peer] = []

    def door(self, path: str) -> str:
        """The URL of another door of the same server."""
        return self.url.removesuffix("/drcp") + path

    async def socket(
        self,
        url: str | None = None,
        *,
        subprotocol: str | None = SUBPROTOCOL,
        native: bool = True,
    ) -> Peer:
        """A socket on which nothing has been said."""
        peer = Peer(self.reactor, native=native)
        self._peers.append(peer)
        target = url or self.url
        await peer.connect(target, trust=self._trust, subprotocol=subprotocol)
        return peer

    async def enter(
        self,
        token: str,
        *,
        resume: tuple[str, int] | None = None,
        caps: Iterable[str] = (),
    ) -> tuple[Peer, dict[str, Any]]:
        """A client that was welcomed, and the welcome."""
        peer = await self.socket()
        peer.say(client.hello(token, client="conformance", resume=resume, caps=[*caps]))
        welcome = (await peer.hears(Type.WELCOME)).value
        return peer, welcome

    async def editor(self, *, caps: Iterable[str] = ()) -> Peer:
        """One more editor with the document open on channel 1."""
        peer, _ = await self.enter(await self.seats.editor(), caps=caps)
        await self.opens(peer)
        return peer

    async def opens(self, peer: Peer) -> None:
        """Open the document on channel 1; the first to do it finds it empty."""
        await peer.opens(self.note)
        if not self._is_empty:
            self._is_empty = True
            await peer.empties()

    def clear(self) -> None:
        """The check is over."""
        for peer in self._peers:
            peer.cut()


Check = Callable[[Table], Awaitable[None]]
CHECKS: dict[str, tuple[str, Check]] = {}
"""name -> (section, check), in the order of the document."""


def conforms(name: str, section: str) -> Callable[[Check], Check]:
    """Register a check."""

    def register(check: Check) -> Check:
        CHECKS[name] = (section, check)
        return check

    return register


async def run(
    reactor: Any,
    url: str,
    seats: Seats,
    *,
    trust: Any = None,
    only: Iterable[str] = (),
    told: Callable[[Result], object] = lambda result: None,
) -> list[Result]:
    """Every check (or those named), one after the other; told of each."""
    from mosaic.drcpclient.conformance import documents, doors, people, wire

    assert all((documents, doors, people, wire))  # they register themselves
    await seats.prepare()
    wanted = set(only)
    results = []
    for name, (section, check) in sorted(CHECKS.items(), key=_place):
        if wanted and name not in wanted:
            continue
        table = Table(reactor, url, seats, trust=trust, check=name)
        seats.again()
        outcome, detail = await _outcome(table, check)
        table.clear()
        result = Result(name, section, outcome, detail)
        told(result)
        results.append(result)
    return results


def _place(item: tuple[str, tuple[str, Check]]) -> list[int]:
    """Where in the document."""
    return [int(part) for part in item[1][0].split(".")]


async def _outcome(table: Table, check: Check) -> tuple[str, str]:
    async def steps() -> None:
        await check(table)

    running: Deferred[None] = Deferred.fromCoroutine(steps())
    running.addTimeout(CHECK_S, table.reactor)
    try:
        await running
    except NoSeat as reason:
        return "skip", str(reason)
    except Failed as reason:
        return "fail", str(reason)
    except Exception as error:  # a server can be wrong in any way
        return "fail", f"{type(error).__name__}: {error}"
    return "pass", ""
