"""What people write to each other (RFC 6121 sections 5 and 8.5): delivered at
once, archived (XEP-0313) and copied (XEP-0280), or kept for later."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from mosaic.services.xmpp.exchange import (
    LASTING_TYPES,
    Exchange,
    Undeliverable,
    error_reply,
)
from mosaic.services.xmpp.people import carbons
from mosaic.services.xmpp.people.csi import tell_message
from mosaic.services.xmpp.people.keeping import Keeper, MessageIds
from mosaic.services.xmpp.people.offline import Offline
from mosaic.services.xmpp.people.persons import Person, Persons
from mosaic.services.xmpp.people.refusals import NOT_ACCEPTABLE
from mosaic.services.xmpp.session import Session
from mosaic.store.errors import NotFound
from mosaic.store.people import Archived, Waiting
from mosaic.wire.xmpp.jid import Jid
from mosaic.wire.xmpp.payloads import (
    NS_SID,
    Carries,
    carries,
    children,
    with_child,
    without,
)
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.stream import read_stanza

_log = Logger()

_NEVER_ARCHIVED = Carries.NO_STORE | Carries.NO_PERMANENT_STORE
_WORTH_KEEPING = Carries.BODY | Carries.STORE | Carries.LASTING


class Messages:
    """The way of a `<message/>`, from a session or from a component.

    offline: whether messages wait for accounts that nobody reads.
    """

    def __init__(
        self,
        exchange: Exchange,
        persons: Persons,
        keeper: Keeper,
        ids: MessageIds,
        later: Offline,
        *,
        offline: bool,
    ) -> None:
        self._exchange = exchange
        self._persons = persons
        self._keeper = keeper
        self._ids = ids
        self._later = later
        self._offline = offline

    # From people.

    async def said(self, session: Session, stanza: Stanza, to: Jid | None) -> None:
        """Deliver one at once; the session owes the commit where it must be on
        disk before it is acknowledged.

        RFC 6121 section 8.1.1.1: no `to` means one's own account. Raises
        Undeliverable; what shows later is told to the session.
        """
        if to is None:
            to = session.jid.bare_jid
        sender = session.person
        assert sender is not None  # route_stanza has seen to it
        if sender.blocked and sender.blocks(to):
            raise NOT_ACCEPTABLE
        carried = carries(stanza)
        if carried & Carries.STANZA_ID:
            stanza = _without_stanza_ids(stanza, self._exchange.domain)
        if to.domain != self._exchange.domain or not to.local:
            self._said_elsewhere(session, sender, stanza, carried, to)
        elif stanza.type not in LASTING_TYPES:
            self._exchange.deliver(stanza, session.jid, to)
        else:
            receiver = self._persons.at_hand(to.local)
            if receiver is None:
                receiver = await self._load(to.local)
            if receiver.blocked and receiver.blocks(session.jid):
                raise Undeliverable("service-unavailable")
            self._between(session, sender, stanza, carried, to, receiver)

    async def _load(self, name: str) -> Person:
        try:
            return await self._persons.load(name)
        except NotFound as error:
            raise Undeliverable("service-unavailable") from error

    def _between(
        self,
        session: Session,
        sender: Person,
        stanza: Stanza,
        carried: int,
        to: Jid,
        receiver: Person,
    ) -> None:
        raw = stanza.stamped(session.address)
        kind = stanza.type
        rows: list[Archived] = []
        id = 0
        incoming = raw
        if carried & _WORTH_KEEPING and not carried & _NEVER_ARCHIVED:
            id = self._ids.new()
            if receiver.archives(session.jid):
                row = Archived(
                    receiver.name, id, sender.bare, session.jid.resource, False, raw
                )
                rows.append(row)
                incoming = with_child(raw, receiver.stanza_id + b"%016x'/>" % id)
            if sender is not receiver and sender.archives(to):
                rows.append(
                    Archived(sender.name, id, receiver.bare, to.resource, True, raw)
                )
        receivers = self._exchange.message_receivers(kind, to)
        # First, for it refuses when too much waits for the disk.
        if receivers:
            if rows:
                session.owe(self._keeper.archive(rows))
        else:
            self._for_later(session, stanza, to, receiver, carried, id, rows, incoming)
        state = not carried & Carries.CONTENT and bool(carried & Carries.STATE)
        for other in receivers:
            if other.quiet is None:
                other.send(incoming)
            else:
                tell_message(other, session.address, incoming, only_state=state)
        self._copy_received(
            session.address, receiver, receivers, kind, carried, incoming
        )
        if self._exchange.count_of(sender.name) > 1:
            with_self = [session, *receivers]
            own = raw
            if id and sender.archives(to):
                own = with_child(raw, sender.stanza_id + b"%016x'/>" % id)
            self._copy_sent(sender, with_self, kind, carried, own, str(to))

    def _for_later(
        self,
        session: Session,
        stanza: Stanza,
        to: Jid,
        receiver: Person,
        carried: int,
        id: int,
        rows: Sequence[Archived],
        raw: bytes,
    ) -> None:
        """Nobody is there: it waits, if it is worth it."""
        waiting = self._waiting(receiver, carried, id, raw)
        if waiting is None:
            if rows:
                session.owe(self._keeper.archive(rows))
            return

        def refused(reason: Failure) -> None:
            error = reason.value
            if not isinstance(error, Undeliverable):
                reason.raiseException()
            reply = error_reply(stanza, error, sender=str(to), to=session.address)
            if reply is not None:
                session.send(reply.encode())

        session.owe(self._keeper.hold(rows, waiting).addErrback(refused))

    def _said_elsewhere(
        self,
        session: Session,
        sender: Person,
        stanza: Stanza,
        carried: int,
        to: Jid,
    ) -> None:
        """To the domain or a component: the sender's side only."""
        safe = self._exchange.deliver(stanza, session.jid, to)
        if safe is not None:
            session.owe(safe)
        kind = stanza.type
        if kind not in LASTING_TYPES:
            return
        raw = stanza.stamped(session.address)
        worth = carried & _WORTH_KEEPING and not carried & _NEVER_ARCHIVED
        if worth and sender.archives(to):
            id = self._ids.new()
            row = Archived(sender.name, id, to.bare, to.resource, True, raw)
            raw = with_child(raw, sender.stanza_id + b"%016x'/>" % id)
            # It is delivered, whatever the disk can take.
            with suppress(Undeliverable):
                session.owe(self._keeper.archive([row]))
        if self._exchange.count_of(sender.name) > 1:
            self._copy_sent(sender, [session], kind, carried, raw, str(to))

    # From components.

    def arrived(self, stanza: Stanza, sender: Jid, to: Jid) -> None:
        """A message of type normal or chat from a component to a person.

        Raises Undeliverable if that is known at once; what is known later, the
        component is told.
        """
        receiver = self._persons.at_hand(to.local)
        if receiver is None:
            steps = self._arrived_late(stanza, sender, to)
            waited = Deferred.fromCoroutine(steps)
        else:
            kept = self._inward(stanza, sender, to, receiver)
            if kept is None:
                return
            waited = kept

        def refused(reason: Failure) -> None:
            error = reason.value
            if not isinstance(error, Undeliverable):
                reason.raiseException()
            self._tell_component(stanza, sender, to, error)

        waited.addErrback(refused).addErrback(
            lambda reason: _log.failure("a message was lost", reason)
        )

    async def _arrived_late(self, stanza: Stanza, sender: Jid, to: Jid) -> None:
        kept = self._inward(stanza, sender, to, await self._load(to.local))
        if kept is not None:
            await kept

    def _tell_component(
        self, stanza: Stanza, sender: Jid, to: Jid, error: Undeliverable
    ) -> None:
        xml = error_reply(stanza, error, sender=str(to), to=str(sender))
        component = self._exchange.components.get(sender.domain)
        if xml is not None and component is not None:
            component(read_stanza(xml.encode()), to, sender)

    def _inward(
        self, stanza: Stanza, sender: Jid, to: Jid, receiver: Person
    ) -> Deferred[None] | None:
        if receiver.blocked and receiver.blocks(sender):
            raise Undeliverable("service-unavailable")
        carried = carries(stanza)
        if carried & Carries.STANZA_ID:
            stanza = _without_stanza_ids(stanza, self._exchange.domain)
        raw = stanza.stamped(str(sender))
        rows: list[Archived] = []
        id, incoming = 0, raw
        worth = carried & _WORTH_KEEPING and not carried & _NEVER_ARCHIVED
        if worth and receiver.archives(sender):
            id = self._ids.new()
            row = Archived(receiver.name, id, sender.bare, sender.resource, False, raw)
            rows.append(row)
            incoming = with_child(raw, receiver.stanza_id + b"%016x'/>" % id)
        receivers = self._exchange.message_receivers(stanza.type, to)
        kept = None
        waiting = None
        if not receivers:
            waiting = self._waiting(receiver, carried, id, incoming)
        if waiting is not None:
            kept = self._keeper.hold(rows, waiting)
        elif rows:
            self._keeper.archive(rows)
        for session in receivers:
            tell_message(session, str(sender), incoming, only_state=False)
        self._copy_received(
            str(sender), receiver, receivers, stanza.type, carried, incoming, room=True
        )
        return kept

    # What both have in common.

    def _waiting(
        self, receiver: Person, carried: int, id: int, raw: bytes
    ) -> Waiting | None:
        """What is to wait when nobody is there (XEP-0160 section 3)."""
        if not carried & Carries.CONTENT or carried & Carries.NO_STORE:
            return None
        if not self._offline:
            raise Undeliverable("service-unavailable")
        return Waiting(receiver.name, id or self._ids.new(), raw)

    def _copy_received(
        self,
        sender: str,
        receiver: Person,
        receivers: Sequence[Session],
        kind: str,
        carried: int,
        raw: bytes,
        *,
        room: bool = False,
    ) -> None:
        if self._exchange.count_of(receiver.name) <= len(receivers):
            return
        from_room = room and bool(carried & Carries.MUC)
        if carbons.is_eligible(kind, carried, received_from_room=from_room):
            others = self._exchange.of_account(receiver.name)
            state = not carried & Carries.CONTENT
            carbons.copy(
                raw, "received", sender, others, receivers, kind, only_state=state
            )

    def _copy_sent(
        self,
        sender: Person,
        but: Sequence[Session],
        kind: str,
        carried: int,
        raw: bytes,
        to: str,
    ) -> None:
        if carbons.is_eligible(kind, carried, received_from_room=False):
            others = self._exchange.of_account(sender.name)
            state = not carried & Carries.CONTENT
            carbons.copy(raw, "sent", to, others, but, kind, only_state=state)

    # What was not received.

    def undelivered(self, stanza: bytes, session: Session) -> None:
        """A message that a session got and never acknowledged, and now cannot any
        more (XEP-0198 section 4): to the account's others, or for later."""
        self._later.undelivered(read_stanza(stanza), session)


def _without_stanza_ids(stanza: Stanza, domain: str) -> Stanza:
    """XEP-0359 section 5: nobody else gives ids in the name of our accounts, nor
    in nobody's."""
    gone = [
        (child.start, child.end)
        for child in children(stanza)
        if (child.ns, child.name) == (NS_SID, "stanza-id")
        and _domain_of(child.attributes.get("by", domain)) == domain
    ]
    return replace(stanza, raw=without(stanza.raw, gone))


def _domain_of(jid: str) -> str:
    return jid.partition("/")[0].rpartition("@")[2]
