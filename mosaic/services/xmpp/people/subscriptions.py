"""Subscriptions between accounts (RFC 6121 section 3). Both sides are ours, so
both change in one commit and never disagree."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from mosaic.services.xmpp.exchange import Exchange, Undeliverable
from mosaic.services.xmpp.people.persons import Person, Persons
from mosaic.services.xmpp.people.sight import Sight
from mosaic.services.xmpp.session import Session
from mosaic.store.errors import NotFound
from mosaic.store.people import RosterChange
from mosaic.wire.xmpp.jid import Jid
from mosaic.wire.xmpp.stanza import NS_CLIENT, Stanza
from mosaic.wire.xmpp.subscription import Contact, received, sent
from mosaic.wire.xmpp.xml import element

Changed = Callable[[Person, str], Awaitable[None]]
"""Told, after commit, of a contact that is to be pushed."""


@dataclass(frozen=True, slots=True)
class _Told:
    """A stanza for the clients of an account."""

    person: Person
    kind: str
    raw: bytes


class Subscriptions:
    """What subscription stanzas and removals do.

    changed: pushes a contact. limit: contacts of one account.
    """

    def __init__(
        self,
        exchange: Exchange,
        persons: Persons,
        sight: Sight,
        changed: Changed,
        *,
        limit: int,
    ) -> None:
        self._exchange = exchange
        self._persons = persons
        self._sight = sight
        self._changed = changed
        self._limit = limit

    async def said(self, session: Session, stanza: Stanza, to: Jid) -> None:
        """A subscription stanza. Raises Undeliverable."""
        user = session.person
        assert user is not None  # route_stanza has seen to it
        raw = stanza.stamped(session.bare, to=to.bare)
        if to.domain in self._exchange.components:
            # Section 3.1.2: from the bare address.
            onward = Stanza(
                raw=raw,
                name="presence",
                ns=NS_CLIENT,
                # As the bytes have it: `from` is not put in twice.
                attributes={
                    "from": session.bare,
                    "to": to.bare,
                    "type": stanza.type,
                },
                payload=stanza.payload,
            )
            self._exchange.deliver(onward, session.jid.bare_jid, to.bare_jid)
        elif to.domain != self._exchange.domain:
            raise Undeliverable("remote-server-not-found")
        elif self._sight.everyone:
            await self._granted(session, stanza.type, to)
        elif to.local and to.bare != user.bare:
            if to.bare not in user.contacts and len(user.contacts) >= self._limit:
                raise Undeliverable("resource-constraint")
            await self._between(user, to, [(stanza.type, raw)])

    async def _granted(self, session: Session, kind: str, to: Jid) -> None:
        """In one organisation everybody is subscribed already."""
        contact = await self._find(to.local)
        if kind != "subscribe" or contact is None:
            return  # as if it never answered: names are not told
        if contact.blocks(session.jid):
            return
        attributes = {"from": contact.bare, "to": session.address, "type": "subscribed"}
        session.send(element("presence", attributes).encode())
        self._sight.show(contact, [session])

    async def remove(self, user: Person, jid: str) -> None:
        """Take a contact out of a roster, and end what there was (section 2.5)."""
        local, _, domain = jid.rpartition("@")
        to = Jid(local, domain, "")
        before = user.contact(jid)
        kinds = []
        if before.to or before.ask:
            kinds.append("unsubscribe")
        if before.from_ or before.asking:
            kinds.append("unsubscribed")
        stanzas = [(kind, _stanza(kind, user.bare, jid)) for kind in kinds]
        await self._between(user, to, stanzas, remove=True)

    async def _find(self, name: str) -> Person | None:
        try:
            return await self._persons.load(name) if name else None
        except NotFound:
            return None

    async def _between(
        self,
        user: Person,
        to: Jid,
        stanzas: Sequence[tuple[str, bytes]],
        *,
        remove: bool = False,
    ) -> None:
        """Step both sides through the stanzas; write; then tell everybody."""
        ours = to.domain == self._exchange.domain
        contact = await self._find(to.local) if ours else None
        saw = self._who_sees(user, contact)
        mine, theirs = user.contact(to.bare), None
        if contact is not None:
            theirs = contact.contact(user.bare)
        before = (mine, theirs)
        told: list[_Told] = []
        for kind, raw in stanzas:
            step = sent(mine, kind)
            mine = step.contact
            if not step.onward or contact is None or theirs is None:
                continue
            shut = contact.blocks(Jid(user.name, self._exchange.domain, ""))
            if shut and kind == "subscribe":
                continue
            if kind == "subscribe" and self._is_full(contact, theirs):
                continue
            answer = received(theirs, kind, raw)
            theirs = answer.contact
            if answer.onward and not shut:
                told.append(_Told(contact, kind, raw))
            if answer.reply:
                reply = _stanza(answer.reply, contact.bare, user.bare)
                back = received(mine, answer.reply, reply)
                mine = back.contact
                if back.onward:
                    told.append(_Told(user, answer.reply, reply))
        if remove:
            mine = replace(
                mine, listed=False, name="", groups=(), approved=False, asking=b""
            )
        await self._write(user, contact, before, (mine, theirs))
        for one in told:
            self._tell(one)
        self._tell_presence(user, contact, saw)

    def _is_full(self, contact: Person, theirs: Contact) -> bool:
        return theirs.is_blank and len(contact.contacts) >= self._limit

    async def _write(
        self,
        user: Person,
        contact: Person | None,
        before: tuple[Contact, Contact | None],
        after: tuple[Contact, Contact | None],
    ) -> None:
        changes: list[RosterChange] = []
        push: list[tuple[Person, str]] = []
        for person, old, new in zip((user, contact), before, after, strict=True):
            if person is None or old is None or new is None or old == new:
                continue
            changes.append(person.set_contact(new))
            if old.listed or new.listed or new.from_ or new.to:
                push.append((person, new.jid))
        if changes:
            await self._persons.change_rosters(changes)
        for person, jid in push:
            await self._changed(person, jid)

    def _tell(self, told: _Told) -> None:
        """Sections 3.1.3, 3.1.6, 3.2.3, 3.3.3."""
        for session in self._exchange.of_account(told.person.name):
            if session.presence is None:
                continue
            if told.kind == "subscribe" or session.interested:
                session.send(told.raw)

    # What is seen.

    def _who_sees(self, user: Person, contact: Person | None) -> tuple[bool, bool]:
        if contact is None:
            return False, False
        return (
            self._sight.shows(user, contact.bare),
            self._sight.shows(contact, user.bare),
        )

    def _tell_presence(
        self, user: Person, contact: Person | None, before: tuple[bool, bool]
    ) -> None:
        if contact is None:
            return
        after = self._who_sees(user, contact)
        for person, viewer, saw, sees in (
            (user, contact, before[0], after[0]),
            (contact, user, before[1], after[1]),
        ):
            if saw != sees:
                viewers = self._exchange.available(viewer.name)
                show = self._sight.show if sees else self._sight.hide
                show(person, viewers)


def _stanza(kind: str, sender: str, to: str) -> bytes:
    attributes = {"from": sender, "to": to, "type": kind}
    return element("presence", attributes).encode()
