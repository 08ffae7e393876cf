"""Who sees whose presence, and the sending of it."""

from __future__ import annotations

from collections.abc import Iterable

from mosaic.services.xmpp.exchange import Exchange
from mosaic.services.xmpp.people.csi import tell_presence
from mosaic.services.xmpp.people.persons import Person, Persons
from mosaic.services.xmpp.session import Session
from mosaic.wire.xmpp.xml import element


class Sight:
    """The rule, and what follows when it changes.

    everyone: all accounts of the domain see each other (the organisation);
    else those do who are subscribed (RFC 6121 section 3).
    """

    def __init__(self, exchange: Exchange, persons: Persons, *, everyone: bool) -> None:
        self._exchange = exchange
        self._persons = persons
        self.everyone = everyone

    def shows(self, person: Person, viewer: str) -> bool:
        """Whether an account lets another have its presence, blocks apart.

        viewer: a bare address.
        """
        if self.everyone or viewer == person.bare:
            return True
        contact = person.contacts.get(viewer)
        return contact is not None and contact.from_

    def parted(self, session: Session, other: Session) -> bool:
        """Whether one of the two blocks the other."""
        blockers = self._persons.blockers
        if session.jid.local in blockers and _blocks(session, other):
            return True
        return other.jid.local in blockers and _blocks(other, session)

    def audience(self, session: Session) -> list[Session]:
        """The available sessions that get a session's presence, its account's
        own among them."""
        if self.everyone:
            able = self._exchange.everyone_available()
        else:
            assert session.person is not None  # available ones have one
            able = self._exchange.available(session.jid.local)
            for contact in session.person.contacts.values():
                if contact.from_:
                    local, _, domain = contact.jid.rpartition("@")
                    if domain == self._exchange.domain:
                        able += self._exchange.available(local)
        if not self._persons.blockers:
            return able
        return [other for other in able if not self.parted(session, other)]

    def seen_by(self, session: Session) -> list[Session]:
        """The available sessions of others whose presence a session gets."""
        if self.everyone:
            able = self._exchange.everyone_available()
        else:
            assert session.person is not None  # available ones have one
            able = self._exchange.available(session.jid.local)
            for contact in session.person.contacts.values():
                if contact.to:
                    local, _, domain = contact.jid.rpartition("@")
                    if domain == self._exchange.domain:
                        able += [
                            other
                            for other in self._exchange.available(local)
                            if other.person and self.shows(other.person, session.bare)
                        ]
        free = not self._persons.blockers
        return [
            other
            for other in able
            if other is not session and (free or not self.parted(session, other))
        ]

    def show(self, person: Person, viewers: Iterable[Session]) -> None:
        """Tell sessions that a person's sessions are there."""
        for viewer in viewers:
            for session in self._exchange.available(person.name):
                if session.presence is not None and not self.parted(session, viewer):
                    tell_presence(viewer, session.address, session.presence)

    def hide(self, person: Person, viewers: Iterable[Session]) -> None:
        """Tell sessions that a person's sessions are not there any more."""
        for viewer in viewers:
            for session in self._exchange.available(person.name):
                if not self.parted(session, viewer):
                    tell_presence(viewer, session.address, goodbye(session))


def goodbye(session: Session) -> bytes:
    """Its end, as nobody said it."""
    attributes = {"from": session.address, "type": "unavailable"}
    return element("presence", attributes).encode()


def _blocks(session: Session, other: Session) -> bool:
    return session.person is not None and session.person.blocks(other.jid)
