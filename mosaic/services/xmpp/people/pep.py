"""Personal eventing (XEP-0163): each account is a small publish-subscribe service
(XEP-0060) for its own nodes: bookmarks (0402), avatars (0084), a hub's state."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable

from mosaic.config.settings import Xmpp
from mosaic.services.xmpp.answers import About, Answers, Question
from mosaic.services.xmpp.elements import inner_xml
from mosaic.services.xmpp.exchange import Undeliverable
from mosaic.services.xmpp.extras.disco import Identity
from mosaic.services.xmpp.extras.disco import Item as ListedItem
from mosaic.services.xmpp.people.keeping import MessageIds
from mosaic.services.xmpp.people.pepevents import Events
from mosaic.services.xmpp.people.pepforms import (
    NS_PUBSUB,
    config_form,
    read_config,
    refusal,
)
from mosaic.services.xmpp.people.persons import Person, Persons
from mosaic.store.errors import NameTaken, NotFound
from mosaic.store.people import People as PeopleStore
from mosaic.store.pep import Item, LimitReached, Node, NodeConfig, PreconditionFailed
from mosaic.wire.xmpp.stanza import quoted
from mosaic.wire.xmpp.xml import Node as XmlNode
from mosaic.wire.xmpp.xml import Xml, element

NS_OWNER = f"{NS_PUBSUB}#owner"
MAX_NAME = 1024
"""Characters of a node's name and of an item's id."""
FEATURES = (
    "access-open",
    "access-presence",
    "access-whitelist",
    "auto-create",
    "auto-subscribe",
    "config-node",
    "config-node-max",
    "create-and-configure",
    "create-nodes",
    "delete-items",
    "delete-nodes",
    "filtered-notifications",
    "instant-nodes",
    "item-ids",
    "last-published",
    "multi-items",
    "persistent-items",
    "presence-notifications",
    "presence-subscribe",
    "publish",
    "publish-options",
    "purge-nodes",
    "retract-items",
    "retrieve-default",
    "retrieve-items",
)

Published = Callable[[str, str, str, bytes], Awaitable[None]]
"""Told of what an account published where others may read it: account, node, id
of the item, payload."""
Step = Callable[[Question, XmlNode], Awaitable[str]]


class Pep:
    """Answers what is asked of an account's nodes.

    settings: the limits of nodes, items and their size.
    """

    def __init__(
        self,
        persons: Persons,
        store: PeopleStore,
        events: Events,
        ids: MessageIds,
        settings: Xmpp,
    ) -> None:
        self._persons = persons
        self._store = store
        self._events = events
        self._ids = ids
        self._settings = settings
        self.on_publish: list[Published] = []
        self._steps: dict[tuple[str, str, str], Step] = {
            ("get", NS_PUBSUB, "items"): self._items,
            ("set", NS_PUBSUB, "publish"): self._publish,
            ("set", NS_PUBSUB, "retract"): self._retract,
            ("set", NS_PUBSUB, "create"): self._create,
            ("get", NS_OWNER, "configure"): self._configuration,
            ("set", NS_OWNER, "configure"): self._configure,
            ("get", NS_OWNER, "default"): self._default,
            ("set", NS_OWNER, "delete"): self._delete,
            ("set", NS_OWNER, "purge"): self._purge,
        }

    def register(self, answers: Answers) -> None:
        """Answer about all accounts, and change one's own."""
        for kind in ("get", "set"):
            answers.add(kind, NS_PUBSUB, "pubsub", self._asked, About.ACCOUNT)
            answers.add(kind, NS_OWNER, "pubsub", self._asked, About.OWN, feature=None)
        for name in FEATURES:
            answers.announce(f"{NS_PUBSUB}#{name}", About.ACCOUNT)
        answers.identities.append((About.ACCOUNT, Identity("pubsub", "pep")))
        answers.item_sources.append(self._listed)

    async def _asked(self, question: Question) -> str:
        for child in question.payload.children:
            step = self._steps.get((question.stanza.type, child.ns, child.name))
            if step is not None:
                if child.name != "items" and question.about is not About.OWN:
                    raise Undeliverable("forbidden")
                return await step(question, child)
        first = next(iter(question.payload.children), None)
        if first is None:
            raise Undeliverable("bad-request")
        raise refusal("feature-not-implemented", "unsupported", feature=first.name)

    async def _listed(self, question: Question) -> list[ListedItem]:
        """Service discovery's items: the nodes that one may see."""
        if question.about is About.DOMAIN or question.node:
            return []
        person = await self._person(question)
        return [
            ListedItem(person.bare, node=node.name)
            for node in await self._store.nodes(person.name)
            if self._events.may_see(person, node, question.session)
        ]

    # Reading.

    async def _items(self, question: Question, asked: XmlNode) -> str:
        """XEP-0060 section 6.5."""
        person = await self._person(question)
        name = _name(asked)
        node = await self._store.node(person.name, name)
        if node is None:
            raise Undeliverable("item-not-found")
        if not self._events.may_see(person, node, question.session):
            if node.config.access == "whitelist":
                raise refusal("not-allowed", "closed-node")
            raise refusal("not-authorized", "presence-subscription-required")
        ids = [
            child.attributes["id"]
            for child in asked.children
            if "id" in child.attributes
        ]
        most = asked.attributes.get("max_items", "")
        limit = (
            int(most) if most.isascii() and most.isdigit() and len(most) < 9 else None
        )
        found = await self._store.items(person.name, name, ids=ids or None, limit=limit)
        inner = b"".join(
            b"<item id=%b>%b</item>" % (quoted(item.id), item.payload) for item in found
        )
        return (
            f"<pubsub xmlns='{NS_PUBSUB}'><items node={quoted(name).decode()}>"
            f"{inner.decode()}</items></pubsub>"
        )

    # Publishing.

    async def _publish(self, question: Question, asked: XmlNode) -> str:
        """XEP-0060 section 7.1; the node is made if need be (XEP-0163 section 3)."""
        person = await self._person(question)
        name = _name(asked)
        if len(asked.children) != 1:
            raise refusal("bad-request", "item-required")
        [entry] = asked.children
        if (entry.ns, entry.name) != (NS_PUBSUB, "item"):
            raise refusal("bad-request", "item-required")
        if len(entry.children) != 1:
            wrong = "invalid-payload" if entry.children else "payload-required"
            raise refusal("bad-request", wrong)
        payload = inner_xml(
            question.stanza, (NS_PUBSUB, "publish"), (NS_PUBSUB, "item")
        ).encode()
        if len(payload) > self._settings.pep_item_bytes:
            raise refusal("not-acceptable", "payload-too-big")
        config, demanded = read_config(
            question.payload.child(NS_PUBSUB, "publish-options"),
            NodeConfig(),
            max_items=self._settings.pep_items,
            options=True,
        )
        item = Item(
            id=_short(entry.attributes.get("id", "")) or secrets.token_hex(8),
            seq=self._ids.new(),
            publisher=question.session.address,
            payload=payload,
        )
        wanted = Node(owner=person.name, name=name, config=config)
        try:
            node = await self._store.publish(
                wanted, item, limit=self._settings.pep_nodes, demanded=demanded
            )
        except PreconditionFailed as error:
            raise refusal("conflict", "precondition-not-met") from error
        except LimitReached as error:
            raise refusal("resource-constraint", "max-nodes-exceeded") from error
        self._events.published(person, node, item)
        for told in self.on_publish if node.config.access != "whitelist" else ():
            await told(person.name, name, item.id, payload)
        written = element("item", {"id": item.id})
        return element(
            "pubsub", None, element("publish", {"node": name}, written), ns=NS_PUBSUB
        )

    async def publish_for(
        self, account: str, node: str, item_id: str, payload: bytes
    ) -> None:
        """In the account's name, without telling on_publish.

        Raises Undeliverable, StoreError.
        """
        try:
            person = await self._persons.load(account)
        except NotFound as error:
            raise Undeliverable("item-not-found") from error
        item = Item(
            id=item_id, seq=self._ids.new(), publisher=person.bare, payload=payload
        )
        wanted = Node(owner=account, name=node, config=NodeConfig())
        limit = self._settings.pep_nodes
        kept = await self._store.publish(wanted, item, limit=limit)
        self._events.published(person, kept, item)

    async def payload_of(self, account: str, node: str, item_id: str) -> bytes | None:
        """What was published there, or None."""
        try:
            found = await self._store.items(account, node, ids=[item_id])
        except NotFound:
            return None
        return found[0].payload if found else None

    async def _retract(self, question: Question, asked: XmlNode) -> str:
        """Section 7.2."""
        person = await self._person(question)
        node = await self._own(person, _name(asked))
        ids = [child.attributes.get("id", "") for child in asked.children]
        if len(ids) != 1 or not ids[0]:
            raise refusal("bad-request", "item-required")
        try:
            await self._store.retract(person.name, node.name, ids[0])
        except NotFound as error:
            raise Undeliverable("item-not-found") from error
        if node.config.retracts or asked.attributes.get("notify") in ("1", "true"):
            self._events.retracted(person, node, ids[0])
        return ""

    # Nodes.

    async def _create(self, question: Question, asked: XmlNode) -> str:
        """Sections 8.1.1 to 8.1.3."""
        person = await self._person(question)
        given = _short(asked.attributes.get("node", ""))
        name = given or secrets.token_hex(8)
        config, _ = read_config(
            question.payload.child(NS_PUBSUB, "configure"),
            NodeConfig(),
            max_items=self._settings.pep_items,
        )
        node = Node(owner=person.name, name=name, config=config)
        try:
            await self._store.create_node(node, limit=self._settings.pep_nodes)
        except NameTaken as error:
            raise Undeliverable("conflict") from error
        except LimitReached as error:
            raise refusal("resource-constraint", "max-nodes-exceeded") from error
        if given:
            return ""
        return element("pubsub", None, element("create", {"node": name}), ns=NS_PUBSUB)

    async def _configuration(self, question: Question, asked: XmlNode) -> str:
        """Section 8.2.1."""
        person = await self._person(question)
        node = await self._own(person, _name(asked))
        return _owner("configure", {"node": node.name}, config_form(node.config))

    async def _default(self, question: Question, asked: XmlNode) -> str:
        """Section 8.3."""
        return _owner("default", {}, config_form(NodeConfig()))

    async def _configure(self, question: Question, asked: XmlNode) -> str:
        """Section 8.2.4."""
        person = await self._person(question)
        node = await self._own(person, _name(asked))
        config, _ = read_config(asked, node.config, max_items=self._settings.pep_items)
        changed = Node(owner=node.owner, name=node.name, config=config)
        await self._gone_is_not_found(self._store.configure_node(changed))
        return ""

    async def _delete(self, question: Question, asked: XmlNode) -> str:
        """Section 8.4."""
        person = await self._person(question)
        node = await self._own(person, _name(asked))
        await self._gone_is_not_found(self._store.delete_node(person.name, node.name))
        if node.config.deletes:
            self._events.ended(person, node, "delete")
        return ""

    async def _purge(self, question: Question, asked: XmlNode) -> str:
        """Section 8.5."""
        person = await self._person(question)
        node = await self._own(person, _name(asked))
        await self._gone_is_not_found(self._store.purge(person.name, node.name))
        if node.config.retracts:
            self._events.ended(person, node, "purge")
        return ""

    async def _person(self, question: Question) -> Person:
        try:
            return await self._persons.load(question.account)
        except NotFound as error:
            raise Undeliverable("service-unavailable") from error

    async def _own(self, person: Person, name: str) -> Node:
        node = await self._store.node(person.name, name)
        if node is None:
            raise Undeliverable("item-not-found")
        return node

    async def _gone_is_not_found(self, change: Awaitable[object]) -> None:
        try:
            await change
        except NotFound as error:
            raise Undeliverable("item-not-found") from error


def _name(asked: XmlNode) -> str:
    name = _short(asked.attributes.get("node", ""))
    if not name:
        raise refusal("bad-request", "nodeid-required")
    return name


def _short(text: str) -> str:
    if len(text) > MAX_NAME:
        raise Undeliverable("not-acceptable", text="the name is too long")
    return text


def _owner(name: str, attributes: dict[str, str], inner: Xml) -> Xml:
    return element("pubsub", None, element(name, attributes, inner), ns=NS_OWNER)
