"""What sessions tell each other about being there (RFC 6121 section 4)."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mosaic.services.xmpp.exchange import Exchange, Undeliverable
from mosaic.services.xmpp.people.csi import tell_presence
from mosaic.services.xmpp.people.persons import Person, Persons
from mosaic.services.xmpp.people.refusals import NOT_ACCEPTABLE
from mosaic.services.xmpp.people.sight import Sight, goodbye
from mosaic.services.xmpp.people.subscriptions import Subscriptions
from mosaic.services.xmpp.session import MAX_DIRECTED, Session
from mosaic.store.errors import NotFound
from mosaic.wire.xmpp.jid import Jid, parse_jid
from mosaic.wire.xmpp.stanza import NS_CLIENT, Stanza
from mosaic.wire.xmpp.subscription import SUBSCRIPTION_TYPES, Contact
from mosaic.wire.xmpp.xml import element, read_node

_log = Logger()

Available = Callable[[Session, Stanza], None]
"""Told of a session's presence when it is available, each time."""


class Presence:
    """The way of a `<presence/>` from a session."""

    def __init__(
        self,
        exchange: Exchange,
        persons: Persons,
        sight: Sight,
        subscriptions: Subscriptions,
    ) -> None:
        self._exchange = exchange
        self._persons = persons
        self._sight = sight
        self._subscriptions = subscriptions
        self.on_available: list[Available] = []
        self.on_able: list[Callable[[Session], None]] = []
        """Told when a session begins to take messages to its account."""
        self.on_gone: list[Callable[[Session], None]] = []

    async def said(self, session: Session, stanza: Stanza, to: Jid | None) -> None:
        """A session's presence stanza. Raises Undeliverable."""
        kind = stanza.type
        if kind in SUBSCRIPTION_TYPES:
            if to is not None:
                person = session.person
                assert person is not None  # route_stanza has seen to it
                if person.blocked and person.blocks(to):
                    raise NOT_ACCEPTABLE
                await self._subscriptions.said(session, stanza, to)
        elif kind == "probe":
            if to is not None:
                await self._probed(session, to)
        elif kind == "error":
            if to is not None:
                self._exchange.deliver(stanza, session.jid, to)
        elif kind not in ("", "unavailable"):
            raise Undeliverable("bad-request")
        elif to is not None:
            self._directed(session, stanza, to)
        elif kind == "unavailable":
            self._leave(session, session.stamp(stanza))
        else:
            self._available(session, stanza)

    def _available(self, session: Session, stanza: Stanza) -> None:
        """Initial presence, or a change of it (sections 4.2, 4.4)."""
        priority = _priority(stanza)
        arriving = session.presence is None
        able = not arriving and session.priority >= 0
        session.priority = priority
        session.presence = raw = session.stamp(stanza)
        for other in self._sight.audience(session):
            if other is not session:
                tell_presence(other, session.address, raw)
        session.send(raw)
        if arriving:
            for other in self._sight.seen_by(session):
                if other.presence is not None:
                    session.send(other.presence)
            self._remind(session)
        if priority >= 0 and not able:
            for tell in self.on_able:
                tell(session)
        for heard in self.on_available:
            heard(session, stanza)

    def _remind(self, session: Session) -> None:
        """Section 3.1.3: requests that nobody has answered come again."""
        person = session.person
        assert person is not None  # route_stanza has seen to it
        asking = [contact for contact in person.contacts.values() if contact.asking]
        if asking:
            steps = self._remind_of(session, person, asking)
            Deferred.fromCoroutine(steps).addErrback(
                lambda reason: _log.failure("requests were not told again", reason)
            )

    async def _remind_of(
        self, session: Session, person: Person, asking: list[Contact]
    ) -> None:
        me = session.jid.bare_jid
        for contact in asking:
            asker = parse_jid(contact.jid)
            try:
                other = await self._persons.load(asker.local)
            except NotFound:
                continue
            still = person.contact(contact.jid).asking
            parted = person.blocks(asker) or other.blocks(me)
            if still and not parted and session.presence is not None:
                session.send(still)

    def gone(self, session: Session) -> None:
        """The session ended, with or without a word (section 4.5.2)."""
        self._leave(session, goodbye(session))

    def _leave(self, session: Session, farewell: bytes) -> None:
        told: set[Session] = set()
        if session.presence is not None:
            told.update(self._sight.audience(session))
            session.presence = None
            for other in told:
                tell_presence(other, session.address, farewell)
            for tell in self.on_gone:
                tell(session)
        session.since = 0
        directed, session.directed = session.directed, set()
        for to in directed:
            self._say_goodbye(session, to, told)

    def _say_goodbye(self, session: Session, to: Jid, told: set[Session]) -> None:
        """Those who got directed presence get the end of it (section 4.6.3)."""
        exact = self._exchange.find(to)
        if exact is not None and exact in told:
            return
        if not to.resource and to.domain == self._exchange.domain:
            told_all = {other.jid.local for other in told}
            if self._sight.everyone or to.local in told_all:
                return  # a bare address reached available sessions only
        attributes = {"to": str(to), "type": "unavailable"}
        raw = element("presence", attributes)
        last = Stanza(
            raw=raw.encode(), name="presence", ns=NS_CLIENT, attributes=attributes
        )
        try:
            self._exchange.deliver(last, session.jid, to)
        except Undeliverable:
            pass

    def _directed(self, session: Session, stanza: Stanza, to: Jid) -> None:
        if stanza.type == "unavailable":
            session.directed.discard(to)
        elif to not in session.directed and len(session.directed) >= MAX_DIRECTED:
            raise Undeliverable("resource-constraint")
        self._exchange.deliver(stanza, session.jid, to)
        if not stanza.type:
            session.directed.add(to)

    async def _probed(self, session: Session, to: Jid) -> None:
        """Section 4.3.2: an answer in the contact's name."""
        if to.domain in self._exchange.components:
            return
        if to.domain != self._exchange.domain:
            raise Undeliverable("remote-server-not-found")
        if not to.local:
            return
        try:
            person: Person | None = await self._persons.load(to.local)
        except NotFound:
            person = None
        if person is not None and person.blocks(session.jid):
            return
        if person is None or not self._sight.shows(person, session.bare):
            if not self._sight.everyone:
                # The same for those who are not there: names are not told.
                session.send(_from_bare(to, session, "unsubscribed"))
            return
        able = self._exchange.available(person.name)
        if able:
            self._sight.show(person, [session])
        else:
            session.send(_from_bare(to, session, "unavailable"))

    # Blocks.

    def hide_from(self, person: Person, jid: Jid) -> None:
        """Just before an address is blocked: nobody is there any more, on either
        side. (XEP-0191 asks for the one side only; the other would look at what
        was true before for ever.)"""
        for other in self._covered(person, jid):
            for mine in self._exchange.available(person.name):
                if self._sight.parted(mine, other):
                    continue
                if self._sight.shows(person, other.bare):
                    tell_presence(other, mine.address, goodbye(mine))
                if other.person and self._sight.shows(other.person, person.bare):
                    tell_presence(mine, other.address, goodbye(other))

    def show_to(self, person: Person, jid: Jid) -> None:
        """Just after it is let in again: both see what there is."""
        for other in self._covered(person, jid):
            for mine in self._exchange.available(person.name):
                if self._sight.parted(mine, other):
                    continue
                if mine.presence and self._sight.shows(person, other.bare):
                    tell_presence(other, mine.address, mine.presence)
                seen = other.person and self._sight.shows(other.person, person.bare)
                if seen and other.presence:
                    tell_presence(mine, other.address, other.presence)

    def _covered(self, person: Person, jid: Jid) -> list[Session]:
        """Available sessions of others that an address covers."""
        if jid.domain != self._exchange.domain:
            return []
        if jid.local:
            able = self._exchange.available(jid.local)
        else:
            able = self._exchange.everyone_available()
        return [
            session
            for session in able
            if session.jid.local != person.name
            and (not jid.resource or session.jid.resource == jid.resource)
        ]


def _from_bare(contact: Jid, session: Session, kind: str) -> bytes:
    return element(
        "presence", {"from": contact.bare, "to": session.address, "type": kind}
    ).encode()


def _priority(stanza: Stanza) -> int:
    """RFC 6121 section 4.7.2.3. Raises Undeliverable (bad-request)."""
    if stanza.payload is None:
        return 0
    if b"priority" not in stanza.raw:
        return 0
    node = read_node(stanza).child(NS_CLIENT, "priority")
    if node is None:
        return 0
    text = node.text.strip()
    digits = text.removeprefix("-").removeprefix("+")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 3):
        raise Undeliverable("bad-request")
    if not -128 <= int(text) <= 127:
        raise Undeliverable("bad-request")
    return int(text)
