"""The calls of a room: one with each other person."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from twisted.logger import Logger

from mosaic.hub.media.call import PeerCall
from mosaic.hub.media.candidates import Gatherer
from mosaic.hub.media.ice import NoRelay, Relays
from mosaic.hub.media.negotiated import Published
from mosaic.hub.media.peer import HubPeerConnection
from mosaic.hub.media.servers import Servers
from mosaic.hub.media.signals import CallSignal, read_signal
from mosaic.hub.media.tasks import Tasks

CREDENTIALS_PATIENCE_S = 3.0
"""Credentials later than this do not hold up a direct call."""
RETURN_S = 5.0
"""A person whose connection breaks and comes back keeps the call."""
WATCH_S = 2.0

_log = Logger()


class CallMesh:
    """All calls of this hub.

    fetch: the servers for one call, each with a login of its own (a relay
    counts allocations for each). local: what we publish. changed: told the
    person whose call changed. relay_only: never directly.
    """

    def __init__(
        self,
        clock: Any,
        *,
        instance: str,
        relays: Relays,
        tasks: Tasks,
        fetch: Callable[[], Awaitable[Servers]],
        send: Callable[[str, CallSignal], bool],
        local: Callable[[], Published],
        changed: Callable[[str], object],
        no_relay: Callable[[NoRelay], object],
        relay_only: bool = False,
    ) -> None:
        self.clock = clock
        self.instance = instance
        self.tasks = tasks
        self.calls: dict[str, PeerCall] = {}
        self._relays = relays
        self._fetch = fetch
        self._deliver = send
        self._local = local
        self._changed = changed
        self._no_relay = no_relay
        self._relay_only = relay_only
        self._me: str | None = None
        self._servers: dict[str, Servers] = {}
        self._backlog: dict[str, list[Callable[[PeerCall], object]]] = {}
        self._leaving: dict[str, Any] = {}
        self._watch: Any = None

    # The room's side --------------------------------------------------------
    def live(self, me: str, others: Iterable[str]) -> None:
        """The connection is live: these are here, everybody else is gone."""
        here = [person for person in others if person != me]
        if self._me != me:
            for person in list(self.calls):
                self._end(person)
            self._me = me
        if self._watch is None:
            self._watch = self.clock.callLater(WATCH_S, self._look)
        for person in list(self.calls):
            if person not in here:
                self.left(person)
            elif person not in self._leaving:
                self.calls[person].resume()
        for person in here:
            self.joined(person)
        for person in here:
            self._when_ready(person, PeerCall.greet)

    def offline(self) -> None:
        """Signalling is away."""
        for call in self.calls.values():
            call.suspend()

    def joined(self, person: str) -> None:
        """Someone is here."""
        timer = self._leaving.pop(person, None)
        if timer is not None:
            timer.cancel()
            if person in self.calls:
                self.calls[person].resume()
        self._when_ready(person, PeerCall.publish)

    def left(self, person: str) -> None:
        """Someone is gone; for a moment perhaps."""
        call = self.calls.get(person)
        if call is not None and person not in self._leaving:
            call.suspend()
            self._leaving[person] = self.clock.callLater(RETURN_S, self._end, person)

    def receive(self, person: str, data: object) -> None:
        """A signal arrived."""
        signal = read_signal(data)
        if signal is not None and person != self._me:
            self._when_ready(person, lambda call: call.receive(signal))

    def publish(self) -> None:
        """What we send changed."""
        for person in self.calls:
            if person not in self._leaving:
                self._when_ready(person, PeerCall.publish)

    async def close(self) -> None:
        """Hang up everywhere."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        for timer in self._leaving.values():
            timer.cancel()
        calls = list(self.calls.values())
        self._me = None
        for store in (self._leaving, self.calls, self._servers, self._backlog):
            store.clear()
        await asyncio.gather(*(call.close() for call in calls))

    # The calls' side --------------------------------------------------------
    def connection(self, person: str, *, relay: bool) -> HubPeerConnection:
        """A new one; by relay alone only where there is one."""
        servers = self._servers.get(person, Servers())
        only = (relay or self._relay_only) and bool(servers.relays)
        return HubPeerConnection(
            Gatherer(self._relays, servers, relay_only=only, problem=self._no_relay)
        )

    def send(self, person: str, signal: CallSignal) -> bool:
        """False if it could not be sent."""
        return self._deliver(person, signal)

    def local(self) -> Published:
        """What we publish now."""
        return self._local()

    def changed(self, person: str) -> None:
        """Look at the call again."""
        if person in self.calls:
            self._changed(person)

    # ------------------------------------------------------------------------
    def _when_ready(self, person: str, work: Callable[[PeerCall], object]) -> None:
        """What a call does waits for its credentials, in order."""
        if self._me is None:
            return
        if person not in self.calls:
            self.calls[person] = PeerCall(self._me, person, self)
            self._backlog[person] = []
            self.tasks.start(self._prepare(person, self.calls[person]))
        if person in self._backlog:
            self._backlog[person].append(work)
        else:
            work(self.calls[person])

    async def _prepare(self, person: str, call: PeerCall) -> None:
        try:
            found = await asyncio.wait_for(self._fetch(), CREDENTIALS_PATIENCE_S)
        except Exception as error:
            _log.warn("no relay credentials: {error!r}", error=error)
            found = Servers()
        if self.calls.get(person) is not call:
            return
        self._servers[person] = found
        for work in self._backlog.pop(person, []):
            work(call)

    def _end(self, person: str) -> None:
        timer = self._leaving.pop(person, None)
        if timer is not None and timer.active():
            timer.cancel()
        self._servers.pop(person, None)
        self._backlog.pop(person, None)
        call = self.calls.pop(person, None)
        if call is not None:
            self._changed(person)
            self.tasks.start(call.close())

    def _look(self) -> None:
        self._watch = self.clock.callLater(WATCH_S, self._look)
        for call in list(self.calls.values()):
            call.watch()
