"""The roster (RFC 6121 section 2): the organisation's contacts and one's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from mosaic.services.xmpp.answers import About, Answers, Question
from mosaic.services.xmpp.exchange import Exchange, Undeliverable
from mosaic.services.xmpp.people.directory import Directory
from mosaic.services.xmpp.people.persons import Person, Persons
from mosaic.services.xmpp.people.subscriptions import Subscriptions
from mosaic.wire.xmpp.jid import JidError, parse_jid
from mosaic.wire.xmpp.subscription import Contact
from mosaic.wire.xmpp.xml import Node, Xml, element

NS_ROSTER = "jabber:iq:roster"
FEATURES = (
    Xml("<ver xmlns='urn:xmpp:features:rosterver'/>"),
    Xml("<sub xmlns='urn:xmpp:features:pre-approval'/>"),
)
MAX_NAME = 1023
MAX_GROUPS = 64


class Pushes:
    """Tells those who have asked for their roster what has changed in it."""

    def __init__(self, exchange: Exchange, directory: Directory) -> None:
        self._exchange = exchange
        self._directory = directory

    def version(self, person: Person) -> str:
        """Of a person's roster, as it is."""
        return f"{self._directory.version}.{person.roster_version}"

    async def changed(self, person: Person, jid: str) -> None:
        """A contact is other than before, or gone."""
        contact = person.contacts.get(jid)
        generated = (await self._directory.contacts()).get(jid)
        if generated is not None:
            self._push(person, item(merged(generated, contact)))
        elif contact is not None and contact.listed:
            self._push(person, item(contact))
        else:
            self._push(person, removal(jid))

    def _push(self, person: Person, inner: Xml) -> None:
        query = element("query", {"ver": self.version(person)}, inner, ns=NS_ROSTER)
        for session in self._exchange.of_account(person.name):
            if session.interested:
                attributes = {
                    "type": "set",
                    "id": self._exchange.new_id(),
                    "to": session.address,
                }
                session.send(element("iq", attributes, query).encode())

    def directory_changed(self, news: list[Contact], gone: list[Contact]) -> None:
        """Everybody's roster has changed."""
        for name in self._exchange.accounts():
            sessions = self._exchange.of_account(name)
            able = (s.person for s in sessions if s.person and s.interested)
            person = next(able, None)
            if person is None:
                continue
            for contact in news:
                if contact.jid != person.bare:
                    own = person.contacts.get(contact.jid)
                    self._push(person, item(merged(contact, own)))
            for contact in gone:
                own = person.contacts.get(contact.jid)
                listed = own is not None and own.listed
                self._push(
                    person, item(own) if own and listed else removal(contact.jid)
                )


class Roster:
    """Answers for the roster. limit: contacts of one's own."""

    def __init__(
        self,
        persons: Persons,
        directory: Directory,
        pushes: Pushes,
        subscriptions: Subscriptions,
        *,
        limit: int,
    ) -> None:
        self._persons = persons
        self._directory = directory
        self._pushes = pushes
        self._subscriptions = subscriptions
        self._limit = limit
        self._cached: tuple[str, dict[str, Xml]] = ("", {})

    def register(self, answers: Answers) -> None:
        """Answer what clients ask about it."""
        answers.add("get", NS_ROSTER, "query", self._get, About.OWN, feature=None)
        answers.add("set", NS_ROSTER, "query", self._set, About.OWN, feature=None)

    async def _get(self, question: Question) -> str:
        """Sections 2.1.3 and 2.6: all of it, or nothing if it has not changed."""
        person = _person(question)
        generated = await self._directory.contacts()
        question.session.interested = True
        known = question.payload.attributes.get("ver")
        version = self._pushes.version(person)
        if known is not None and known == version:
            return ""
        written = self._written(generated)
        own = person.contacts
        items = [
            item(merged(generated[jid], own[jid])) if jid in own else xml
            for jid, xml in written.items()
            if jid != person.bare
        ]
        items += [
            item(contact)
            for jid, contact in sorted(person.contacts.items())
            if contact.listed and jid not in generated
        ]
        attributes = None if known is None else {"ver": version}
        return element("query", attributes, *items, ns=NS_ROSTER)

    def _written(self, generated: Mapping[str, Contact]) -> dict[str, Xml]:
        """The organisation's contacts, by address: written once for everybody."""
        version = self._directory.version
        if self._cached[0] != version:
            written = {jid: item(generated[jid]) for jid in sorted(generated)}
            self._cached = version, written
        return self._cached[1]

    async def _set(self, question: Question) -> str:
        """Sections 2.3 to 2.5: add, change or remove one. Raises Undeliverable."""
        person = _person(question)
        entries = question.payload.children
        if len(entries) != 1 or (entries[0].ns, entries[0].name) != (NS_ROSTER, "item"):
            raise Undeliverable("bad-request")
        jid = _bare(entries[0], person)
        generated = jid in await self._directory.contacts()
        before = person.contact(jid)
        if entries[0].attributes.get("subscription") == "remove":
            if generated:
                raise Undeliverable("not-allowed", text="everybody has this contact")
            if not before.listed:
                raise Undeliverable("item-not-found")
            await self._subscriptions.remove(person, jid)
            return ""
        if not before.listed:
            listed = sum(contact.listed for contact in person.contacts.values())
            if listed >= self._limit:
                raise Undeliverable("resource-constraint")
        name = entries[0].attributes.get("name", "")
        groups = _groups(entries[0])
        if len(name) > MAX_NAME:
            raise Undeliverable("not-acceptable")
        change = person.set_contact(
            replace(before, listed=True, name=name, groups=groups)
        )
        await self._persons.change_rosters([change])
        await self._pushes.changed(person, jid)
        return ""


def _person(question: Question) -> Person:
    person = question.session.person
    assert person is not None  # route_stanza has seen to it
    return person


def _bare(entry: Node, person: Person) -> str:
    try:
        jid = parse_jid(entry.attributes["jid"])
    except KeyError as error:
        raise Undeliverable("bad-request") from error
    except JidError as error:
        raise Undeliverable("jid-malformed") from error
    if jid.resource:
        raise Undeliverable("bad-request")
    if jid.bare == person.bare:
        raise Undeliverable("not-allowed")
    return jid.bare


def _groups(entry: Node) -> tuple[str, ...]:
    """Section 2.3.3: each once, none of them empty. Raises Undeliverable."""
    groups = [node.text for node in entry.children if (node.ns, node.name) == _GROUP]
    if len(set(groups)) != len(groups):
        raise Undeliverable("bad-request")
    if len(groups) > MAX_GROUPS or not all(0 < len(one) <= MAX_NAME for one in groups):
        raise Undeliverable("not-acceptable")
    return tuple(groups)


_GROUP = (NS_ROSTER, "group")


def merged(generated: Contact, own: Contact | None) -> Contact:
    """A contact of the organisation, called as its owner wishes."""
    if own is None or not own.listed:
        return generated
    name, groups = own.name or generated.name, own.groups or generated.groups
    return replace(generated, name=name, groups=groups)


def item(contact: Contact) -> Xml:
    """A contact as the roster shows it (section 2.1.2)."""
    groups: Iterable[Xml] = (element("group", None, name) for name in contact.groups)
    attributes = {
        "jid": contact.jid,
        "name": contact.name or None,
        "subscription": contact.subscription,
        "ask": "subscribe" if contact.ask else None,
        "approved": "true" if contact.approved else None,
    }
    return element("item", attributes, *groups)


def removal(jid: str) -> Xml:
    """What says that a contact is gone (section 2.5.2)."""
    return element("item", {"jid": jid, "subscription": "remove"})
