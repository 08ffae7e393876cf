"""Blocking (XEP-0191): whose stanzas an account neither gets nor sends."""

from __future__ import annotations

from mosaic.services.xmpp.answers import About, Answers, Question
from mosaic.services.xmpp.exchange import Exchange, Undeliverable
from mosaic.services.xmpp.people.persons import Person, Persons
from mosaic.services.xmpp.people.presence import Presence
from mosaic.services.xmpp.people.refusals import NOT_ACCEPTABLE
from mosaic.services.xmpp.session import Session
from mosaic.wire.xmpp.jid import Jid, JidError, parse_jid
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.xml import Xml, element

NS_BLOCKING = "urn:xmpp:blocking"


class Blocking:
    """The block lists, and the guard that holds them.

    limit: addresses on one list.
    """

    def __init__(
        self, exchange: Exchange, persons: Persons, presence: Presence, *, limit: int
    ) -> None:
        self._exchange = exchange
        self._persons = persons
        self._presence = presence
        self._limit = limit
        exchange.guard = self.guard

    def register(self, answers: Answers) -> None:
        """Answer what clients ask about their list."""
        answers.add("get", NS_BLOCKING, "blocklist", self._list, About.SELF)
        answers.add("set", NS_BLOCKING, "block", self._block, About.SELF)
        answers.add("set", NS_BLOCKING, "unblock", self._unblock, About.SELF)

    # The guard.

    def guard(self, stanza: Stanza, sender: Jid, to: Jid) -> bool:
        """Section 3.3: whether a stanza may pass. Raises Undeliverable."""
        domain = self._exchange.domain
        if to.domain == domain and to.local:
            receiver = self._persons.at_hand(to.local)
            if receiver is None:
                # Whose list is not read yet is not reached; nobody is there.
                shut = self._exchange.count_of(to.local) > 0
            else:
                shut = bool(receiver.blocked) and receiver.blocks(sender)
            if shut:
                if stanza.name == "presence" or stanza.type in ("result", "error"):
                    return False
                raise Undeliverable("service-unavailable")
        if sender.domain == domain and sender.local in self._persons.blockers:
            person = self._persons.at_hand(sender.local)
            if person is not None and person.blocks(to):
                if stanza.type in ("result", "error"):
                    return False
                raise NOT_ACCEPTABLE
        return True

    # The list.

    async def _list(self, question: Question) -> str:
        session = question.session
        session.minds_blocks = True
        blocked = sorted(_person(session).blocked)
        return element("blocklist", None, *_items(blocked), ns=NS_BLOCKING)

    async def _block(self, question: Question) -> str:
        wanted = _wanted(question)
        person = _person(question.session)
        fresh = [jid for jid in wanted if str(jid) not in person.blocked]
        if not wanted:
            raise Undeliverable("bad-request")
        if len(person.blocked) + len(fresh) > self._limit:
            raise Undeliverable("resource-constraint")
        blocked = person.blocked | {str(jid) for jid in fresh}
        for jid in fresh:
            self._presence.hide_from(person, jid)
        await self._persons.set_blocked(person, blocked)
        self._push(person, "block", [str(jid) for jid in wanted])
        return ""

    async def _unblock(self, question: Question) -> str:
        wanted = _wanted(question)
        person = _person(question.session)
        freed = [str(jid) for jid in wanted] or sorted(person.blocked)
        blocked = person.blocked - set(freed)
        gone = person.blocked - blocked
        await self._persons.set_blocked(person, blocked)
        self._push(person, "unblock", [str(jid) for jid in wanted])
        for text in sorted(gone):
            self._presence.show_to(person, parse_jid(text))
        return ""

    def _push(self, person: Person, what: str, jids: list[str]) -> None:
        """To each resource that has asked for the list."""
        inner = element(what, None, *_items(jids), ns=NS_BLOCKING)
        for session in self._exchange.of_account(person.name):
            if session.minds_blocks:
                attributes = {
                    "type": "set",
                    "id": self._exchange.new_id(),
                    "from": person.bare,
                    "to": session.address,
                }
                session.send(element("iq", attributes, inner).encode())


def _person(session: Session) -> Person:
    assert session.person is not None  # route_stanza has seen to it
    return session.person


def _items(jids: list[str]) -> list[Xml]:
    return [element("item", {"jid": jid}) for jid in jids]


def _wanted(question: Question) -> list[Jid]:
    """The addresses of a request. Raises Undeliverable."""
    found: dict[str, Jid] = {}
    for item in question.payload.children:
        if (item.ns, item.name) != (NS_BLOCKING, "item"):
            continue
        try:
            jid = parse_jid(item.attributes.get("jid", ""))
        except JidError as error:
            raise Undeliverable("jid-malformed") from error
        found[str(jid)] = jid
    return list(found.values())
