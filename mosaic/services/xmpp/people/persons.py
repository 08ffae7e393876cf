"""What the server knows of an account while its stanzas pass: its contacts, whom
it blocks, what it wants archived."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from mosaic.services.xmpp.exchange import Exchange
from mosaic.services.xmpp.session import Session
from mosaic.store.errors import NotFound, StoreError
from mosaic.store.people import People as PeopleStore
from mosaic.store.people import PersonRecord, Preferences, RosterChange
from mosaic.wire.xmpp.jid import Jid
from mosaic.wire.xmpp.stanza import quoted
from mosaic.wire.xmpp.subscription import Contact
from mosaic.workspace.hubs import hub_of_account

_log = Logger()

KEPT_PERSONS = 5000
"""Accounts without a session that are remembered, at the most."""


class Person:
    """One account.

    bare: its address. contacts: by bare address, those that are not listed
    among them. blocked: addresses (XEP-0191 section 5).
    """

    __slots__ = (
        "bare",
        "blocked",
        "contacts",
        "name",
        "preferences",
        "roster_version",
        "stanza_id",
    )

    def __init__(self, name: str, domain: str, record: PersonRecord) -> None:
        self.name = name
        self.bare = f"{name}@{domain}"
        self.contacts = {contact.jid: contact for contact in record.contacts}
        self.blocked = record.blocked
        self.preferences = record.preferences
        self.roster_version = record.roster_version
        self.stanza_id = b"<stanza-id xmlns='urn:xmpp:sid:0' by=%b id='" % quoted(
            self.bare
        )
        """The start of the element that goes into what it receives."""

    def blocks(self, jid: Jid) -> bool:
        """Whether an address is on its list; never another of its own."""
        blocked = self.blocked
        if not blocked or jid.bare == self.bare:
            return False
        return (
            str(jid) in blocked
            or jid.bare in blocked
            or jid.domain in blocked
            or (bool(jid.resource) and f"{jid.domain}/{jid.resource}" in blocked)
        )

    def contact(self, jid: str) -> Contact:
        """As it is, or a blank one."""
        return self.contacts.get(jid) or Contact(jid=jid)

    def archives(self, jid: Jid) -> bool:
        """Whether messages with somebody are to be kept (XEP-0313 section 5)."""
        wanted = self.preferences
        if wanted.default == "always" and not wanted.never:
            return True
        for names, kept in ((wanted.never, False), (wanted.always, True)):
            if str(jid) in names or jid.bare in names:
                return kept
        if wanted.default != "roster":
            return wanted.default == "always"
        contact = self.contacts.get(jid.bare)
        return contact is not None and contact.listed

    def set_contact(self, contact: Contact) -> RosterChange:
        """Remember it as it is now; the change for the store."""
        self.contacts.pop(contact.jid, None)
        if not contact.is_blank:
            self.contacts[contact.jid] = contact
        self.roster_version += 1
        return RosterChange(
            owner=self.name, contact=contact, version=self.roster_version
        )


class Persons:
    """The accounts that are in use, read from the store when first needed.

    What is changed here is true at once; the store has it a commit later.
    """

    def __init__(self, exchange: Exchange, store: PeopleStore) -> None:
        self._exchange = exchange
        self._store = store
        self._persons: dict[str, Person] = {}
        self._loading: dict[str, list[Deferred[Person]]] = {}
        self._writing: Counter[str] = Counter()
        """Changes on their way to the disk: what is read there is older."""
        self.blockers: set[str] = set()
        """Those in use who block anybody."""

    def at_hand(self, name: str) -> Person | None:
        """One that has been read already."""
        return self._persons.get(name)

    async def load(self, name: str) -> Person:
        """An account. Who waits for the same one goes on in turn.

        Raises NotFound.
        """
        person = self._persons.get(name)
        if person is not None:
            return person
        waiter: Deferred[Person] = Deferred()
        waiters = self._loading.get(name)
        if waiters is not None:
            waiters.append(waiter)
        else:
            self._loading[name] = [waiter]
            reading = self._store.person(name)
            reading.addCallbacks(
                partial(self._loaded, name), partial(self._missed, name)
            )
        return await waiter

    def bound(self, session: Session) -> None:
        """Begin to read a new session's account."""
        Deferred.fromCoroutine(self.attach(session)).addErrback(
            lambda reason: _log.failure("an account could not be read", reason)
        )

    async def attach(self, session: Session) -> None:
        """Give a session its account; one whose account is gone is closed.

        A hub's has nothing that is kept, and nobody else finds it here.
        """
        if hub_of_account(session.jid.local) is not None:
            name, domain = session.jid.local, self._exchange.domain
            session.person = Person(name, domain, PersonRecord())
            return
        try:
            session.person = await self.load(session.jid.local)
        except NotFound:
            session.close("not-authorized")

    def _loaded(self, name: str, record: PersonRecord) -> None:
        person = self._remember(Person(name, self._exchange.domain, record))
        for waiter in self._loading.pop(name):
            waiter.callback(person)

    def _missed(self, name: str, reason: Failure) -> None:
        for waiter in self._loading.pop(name):
            waiter.errback(reason.value)

    def _remember(self, person: Person) -> Person:
        if len(self._persons) > 2 * KEPT_PERSONS:
            self.forget_idle()
        self._persons[person.name] = person
        if person.blocked:
            self.blockers.add(person.name)
        return person

    def forget(self, name: str) -> None:
        """Read it anew when it is needed again."""
        self._persons.pop(name, None)
        self.blockers.discard(name)

    def forget_idle(self) -> None:
        """All that have no session."""
        for name in list(self._persons):
            if not self._exchange.count_of(name) and not self._writing[name]:
                self.forget(name)

    # Changes.

    async def change_rosters(self, changes: Iterable[RosterChange]) -> None:
        """Write what set_contact() gave; after commit."""
        changes = tuple(changes)
        await self._written(
            [change.owner for change in changes],
            lambda: self._store.change_rosters(changes),
        )

    async def set_blocked(self, person: Person, blocked: frozenset[str]) -> None:
        """Block exactly these; after commit."""
        person.blocked = blocked
        if blocked:
            self.blockers.add(person.name)
        else:
            self.blockers.discard(person.name)
        await self._written(
            [person.name], lambda: self._store.set_blocked(person.name, blocked)
        )

    async def set_preferences(self, person: Person, wanted: Preferences) -> None:
        """Archive like this from now on; after commit."""
        person.preferences = wanted
        await self._written(
            [person.name], lambda: self._store.set_preferences(person.name, wanted)
        )

    async def _written(
        self, names: list[str], write: Callable[[], Awaitable[None]]
    ) -> None:
        self._writing.update(names)
        try:
            await write()
        except StoreError:
            # Memory must not know better than the disk.
            for name in names:
                await self._reload(name)
            raise
        finally:
            self._writing.subtract(names)
            for name in names:
                if not self._writing[name]:
                    del self._writing[name]

    async def _reload(self, name: str) -> None:
        person = self._persons.get(name)
        if person is None:
            return
        try:
            fresh = Person(name, self._exchange.domain, await self._store.person(name))
        except NotFound:
            self.forget(name)
            return
        person.contacts, person.blocked = fresh.contacts, fresh.blocked
        person.preferences = fresh.preferences
        self._remember(person)
