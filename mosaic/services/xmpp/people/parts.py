"""Everything between people, put together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from twisted.internet.interfaces import IReactorTime

from mosaic.config.settings import Xmpp
from mosaic.services.xmpp.answers import Answers, Question
from mosaic.services.xmpp.counters import Counters
from mosaic.services.xmpp.exchange import Exchange
from mosaic.services.xmpp.people.archive import Archive
from mosaic.services.xmpp.people.blocking import Blocking
from mosaic.services.xmpp.people.caps import Capabilities
from mosaic.services.xmpp.people.carbons import Carbons
from mosaic.services.xmpp.people.csi import NS_CSI, become_inactive
from mosaic.services.xmpp.people.directory import Directory
from mosaic.services.xmpp.people.keeping import (
    Keeper,
    MessageIds,
    first_id_at,
)
from mosaic.services.xmpp.people.messages import Messages
from mosaic.services.xmpp.people.offline import Offline
from mosaic.services.xmpp.people.pep import Pep
from mosaic.services.xmpp.people.pepevents import Events
from mosaic.services.xmpp.people.persons import Persons
from mosaic.services.xmpp.people.presence import Presence
from mosaic.services.xmpp.people.roster import FEATURES, Pushes, Roster
from mosaic.services.xmpp.people.sight import Sight
from mosaic.services.xmpp.people.subscriptions import Subscriptions
from mosaic.services.xmpp.session import Session
from mosaic.store.errors import NotFound
from mosaic.store.people import People as PeopleStore
from mosaic.wire.xmpp.payloads import NS_CARBONS
from mosaic.wire.xmpp.subscription import Contact
from mosaic.wire.xmpp.xml import Node, Xml, element
from mosaic.workspace.hubs import hub_of_account

DAY_S = 86400.0


class People:
    """The parts, and what happens to accounts from outside.

    account_names: every account of the domain. wall: Unix seconds now.
    """

    def __init__(
        self,
        clock: IReactorTime,
        settings: Xmpp,
        exchange: Exchange,
        store: PeopleStore,
        counters: Counters,
        *,
        account_names: Callable[[], Awaitable[Iterable[str]]],
        wall: Callable[[], float],
    ) -> None:
        self._exchange = exchange
        self._domain = exchange.domain
        self._store = store
        self._wall = wall
        self._archive_s = settings.archive_days * DAY_S
        self._account_names = account_names
        offline = settings.offline_messages > 0
        self.persons = Persons(exchange, store)
        self.directory = Directory()
        if settings.everyone_is_contact:
            self.directory.sources.append(self._colleagues)
        pushes = Pushes(exchange, self.directory)
        self.directory.listeners.append(pushes.directory_changed)
        everyone = settings.everyone_is_contact
        sight = self._sight = Sight(exchange, self.persons, everyone=everyone)
        subscriptions = Subscriptions(
            exchange, self.persons, sight, pushes.changed, limit=settings.roster_items
        )
        self.presence = Presence(exchange, self.persons, sight, subscriptions)
        ids = MessageIds(wall)
        limit = settings.offline_messages
        keeper = self._keeper = Keeper(clock, store, counters, offline_limit=limit)
        self.later = Offline(clock, exchange, store, keeper, ids, offline=offline)
        self.messages = Messages(
            exchange, self.persons, keeper, ids, self.later, offline=offline
        )
        self._answering = (
            Roster(
                self.persons,
                self.directory,
                pushes,
                subscriptions,
                limit=settings.roster_items,
            ),
            Carbons(),
            Archive(self.persons, store, keeper),
            Blocking(
                exchange, self.persons, self.presence, limit=settings.blocked_addresses
            ),
        )
        self._caps = Capabilities(clock, exchange)
        events = Events(exchange, self.persons, sight, store)
        self._caps.on_known.append(events.known)
        self.presence.on_available.append(self._caps.heard)
        self.presence.on_gone += [self._caps.gone, events.gone]
        self.pep = Pep(self.persons, store, events, ids, settings)
        exchange.on_bind.append(self.persons.bound)
        exchange.inbox = self.messages.arrived
        if offline:
            self.presence.on_able.append(self.later.present)
        self.features: tuple[Xml, ...] = (*FEATURES, element("csi", ns=NS_CSI))

    def register(self, answers: Answers) -> None:
        """Answer what clients ask."""
        for part in (*self._answering, self._caps, self.pep):
            part.register(answers)
        answers.shows = self._shows

    def at_bind(self, session: Session, wish: Node) -> str:
        """What a client turns on while it binds (XEP-0386 section 5)."""
        if wish.ns == NS_CARBONS:
            session.carbons = True
        elif wish.name == "inactive":
            become_inactive(session)
        return ""

    async def _shows(self, question: Question) -> bool:
        return await self.may_see(question.session.jid.local, question.account)

    async def may_see(self, asker: str, account: str) -> bool:
        """Whether an account lets another know of it."""
        try:
            person = await self.persons.load(account)
        except NotFound:
            return False
        return self._sight.shows(person, f"{asker}@{self._domain}")

    async def prune(self) -> int:
        """Forget what is too old to keep (xmpp.archive_days); how many."""
        if not self._archive_s:
            return 0
        before, gone = first_id_at(self._wall() - self._archive_s), 0
        while some := await self._store.prune_archives(before=before):
            gone += some
        return gone

    async def settled(self) -> None:
        """Return when every message is on disk."""
        await self._keeper.settled()

    def account_removed(self, name: str) -> None:
        """Forget what was read of it."""
        self.persons.forget(name)
        self.directory.changed()

    async def accounts_changed(self) -> None:
        """There may be new ones, and others may be gone without a word: another
        process has written."""
        self.directory.changed()
        names = set(await self._account_names())
        for name in self._exchange.accounts():
            if name not in names and hub_of_account(name) is None:
                for session in self._exchange.of_account(name):
                    session.close("not-authorized")
        self.persons.forget_idle()

    async def _colleagues(self) -> list[Contact]:
        """Everybody with an account, subscribed both ways."""
        return [
            Contact(
                jid=f"{name}@{self._domain}",
                name=name,
                listed=True,
                to=True,
                from_=True,
            )
            for name in await self._account_names()
        ]
