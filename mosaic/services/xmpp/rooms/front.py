"""What all rooms of the service share."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from mosaic.auth.interface import Door
from mosaic.bus.interface import Bus
from mosaic.config.settings import Xmpp
from mosaic.services.xmpp.exchange import Undeliverable
from mosaic.services.xmpp.extras.outlet import Outlet
from mosaic.services.xmpp.rooms.pace import Pace
from mosaic.services.xmpp.rooms.render import refusal
from mosaic.store.interface import NotFound, Store, StoreError
from mosaic.wire.xmpp.jid import Jid, parse_jid
from mosaic.wire.xmpp.stanza import NS_CLIENT, Stanza
from mosaic.workspace.attendance import Attendance
from mosaic.workspace.model import Principal, Role

_log = Logger()


@dataclass(slots=True)
class RoomCounters:
    """Plain integers for the metrics page; the first three are levels."""

    rooms: int = 0
    occupants: int = 0
    waiting: int = 0
    joins: int = 0
    joins_refused: int = 0
    said: int = 0
    refused: int = 0
    copies: int = 0
    ghosts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """The collaborators of rooms.

    host: the domain of the rooms. domain: of the accounts. wall: Unix seconds.
    attendance: who is in rooms through other doors.
    """

    host: str
    domain: str
    settings: Xmpp
    door: Door
    store: Store
    bus: Bus
    outlet: Outlet
    clock: IReactorTime
    wall: Callable[[], float]
    attendance: Attendance
    counters: RoomCounters = field(default_factory=RoomCounters)

    def account_of(self, jid: Jid) -> str | None:
        """The account of an address, None for one of another domain."""
        return jid.local if jid.domain == self.domain and jid.local else None

    async def principal(self, jid: Jid) -> Principal | None:
        """Whom an address speaks for, as a session would; None for strangers.

        The server that the stanza came from has made sure of the address.
        """
        account = self.account_of(jid)
        if account is None:
            return None
        try:
            known = await self.store.account(account)
        except NotFound:
            return None
        return Principal(
            name=known.name,
            account=known.name,
            admin=known.admin,
            hub_id=None,
            role=None,
            participant_id="",
            expires_at=float("inf"),
        )

    async def role_of(self, jid: Jid, hub_id: str) -> Role | None:
        """The standing role of an address in a room, None if it has none."""
        principal = await self.principal(jid)
        if principal is None:
            return None
        return await self.door.role_in(principal, hub_id)

    def new_pace(self) -> Pace:
        """For one who comes in."""
        return Pace.full(
            per_s=self.settings.room_stanzas_per_s,
            burst=self.settings.room_stanza_burst,
            now=self.clock.seconds(),
        )

    def send(self, to: Jid, xml: str) -> None:
        """One stanza for one address."""
        self.outlet.send(to, xml.encode())

    def deliver(self, xml: str, attributes: dict[str, str], sender: Jid) -> None:
        """A message to wherever its `to` lives. Raises Undeliverable."""
        stanza = Stanza(
            raw=xml.encode(), name="message", ns=NS_CLIENT, attributes=attributes
        )
        self.outlet.deliver(stanza, sender, parse_jid(attributes["to"]))

    def refuse(self, stanza: Stanza, sender: Jid, error: Undeliverable) -> None:
        """Tell whoever sent a stanza why not."""
        self.counters.refused += 1
        reply = refusal(stanza, error, sender=stanza.to or self.host, to=str(sender))
        if reply is not None:
            self.send(sender, reply)

    def spawn(self, work: Coroutine[Any, Any, Any], what: str) -> Deferred[None]:
        """Run steps that nobody waits for; log their failure."""

        def failed(failure: Failure) -> None:
            _log.failure("{what} failed", failure=failure, what=what)

        started: Deferred[None] = Deferred.fromCoroutine(work)
        started.addErrback(failed)
        return started

    def attempt(
        self, stanza: Stanza, sender: Jid, work: Coroutine[Any, Any, Any]
    ) -> Deferred[None]:
        """Run steps that answer a stanza; why they could not is told."""
        return self.spawn(self._attempt(stanza, sender, work), "a stanza for a room")

    async def _attempt(
        self, stanza: Stanza, sender: Jid, work: Coroutine[Any, Any, Any]
    ) -> None:
        try:
            await work
        except Undeliverable as error:
            self.refuse(stanza, sender, error)
        except StoreError:
            later = Undeliverable(
                "internal-server-error", kind="wait", text="the store is not available"
            )
            self.refuse(stanza, sender, later)
        except Exception:
            _log.failure("a stanza for a room failed")
            self.refuse(stanza, sender, Undeliverable("internal-server-error"))
