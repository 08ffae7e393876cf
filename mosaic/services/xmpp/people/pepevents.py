"""Notifications of what people publish (XEP-0163 section 4): to those who see the
publisher's presence and whose clients want to know."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mosaic.services.xmpp.exchange import Exchange
from mosaic.services.xmpp.people.csi import tell_message
from mosaic.services.xmpp.people.persons import Person, Persons
from mosaic.services.xmpp.people.sight import Sight
from mosaic.services.xmpp.session import Session
from mosaic.store.errors import NotFound
from mosaic.store.people import People as PeopleStore
from mosaic.store.pep import Item, Node
from mosaic.wire.xmpp.jid import Jid
from mosaic.wire.xmpp.stanza import quoted

_log = Logger()

NOTIFY = "+notify"
MAX_NOTIFY = 100
"""Nodes that one client may want to hear of."""


class Events:
    """Tells of items, and brings newcomers the newest ones."""

    def __init__(
        self, exchange: Exchange, persons: Persons, sight: Sight, store: PeopleStore
    ) -> None:
        self._exchange = exchange
        self._persons = persons
        self._sight = sight
        self._store = store

    def may_see(self, person: Person, node: Node, viewer: Session) -> bool:
        """Whether a node is open to an account, blocks apart."""
        if viewer.bare == person.bare or node.config.access == "open":
            return True
        return node.config.access == "presence" and self._sight.shows(
            person, viewer.bare
        )

    # What happens.

    def published(self, person: Person, node: Node, item: Item) -> None:
        """A new item, or another in its place."""
        self._tell(person, node, _items(node, _written(node, item)))

    def retracted(self, person: Person, node: Node, item: str) -> None:
        """An item is gone."""
        self._tell(person, node, _items(node, b"<retract id=%b/>" % quoted(item)))

    def ended(self, person: Person, node: Node, what: str) -> None:
        """what: "delete" or "purge"."""
        inner = b"<%b node=%b/>" % (what.encode(), quoted(node.name))
        self._tell(person, node, inner)

    def _tell(self, person: Person, node: Node, inner: bytes) -> None:
        for session in self._exchange.everyone_available():
            if node.name in session.notify and self._hears(person, node, session):
                _send(session, person.bare, inner)

    def _hears(self, person: Person, node: Node, session: Session) -> bool:
        """Section 4.3: subscribed to the presence, whatever the access."""
        return (
            self._sight.shows(person, session.bare)
            and self.may_see(person, node, session)
            and not person.blocks(session.jid)
            and not (session.person is not None and session.person.blocks(_jid(person)))
        )

    # Newcomers.

    def known(self, session: Session, features: frozenset[str]) -> None:
        """What a session's client can do."""
        wanted = [name for name in features if name.endswith(NOTIFY)]
        before = session.notify
        session.notify = frozenset(
            name.removesuffix(NOTIFY) for name in sorted(wanted)[:MAX_NOTIFY]
        )
        fresh = session.notify - before
        if fresh:
            Deferred.fromCoroutine(self._bring(session, sorted(fresh))).addErrback(
                lambda reason: _log.failure("newest items were not brought", reason)
            )

    def gone(self, session: Session) -> None:
        """It hears of nothing any more."""
        session.notify = frozenset()

    async def _bring(self, session: Session, names: list[str]) -> None:
        """Section 4.3.4: the newest item of each node."""
        for node, item in await self._store.newest_items(names):
            try:
                person = await self._persons.load(node.owner)
            except NotFound:
                continue
            if session.presence is None or node.name not in session.notify:
                return
            if self._hears(person, node, session):
                _send(session, person.bare, _items(node, _written(node, item)))


def _jid(person: Person) -> Jid:
    local, _, domain = person.bare.rpartition("@")
    return Jid(local, domain, "")


def _written(node: Node, item: Item) -> bytes:
    payload = item.payload if node.config.payloads else b""
    return b"<item id=%b>%b</item>" % (quoted(item.id), payload)


def _items(node: Node, inner: bytes) -> bytes:
    return b"<items node=%b>%b</items>" % (quoted(node.name), inner)


def _send(session: Session, owner: str, inner: bytes) -> None:
    raw = (
        b"<message from=%b to=%b type='headline'>"
        b"<event xmlns='http://jabber.org/protocol/pubsub#event'>%b</event></message>"
        % (quoted(owner), quoted(session.address), inner)
    )
    tell_message(session, owner, raw, only_state=False)
