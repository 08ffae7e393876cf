"""IQs that the server answers itself: for its domain and for accounts.

Whatever answers one registers here (`add`); service discovery tells of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property

from mosaic.services.xmpp.about import About as About
from mosaic.services.xmpp.exchange import Exchange, Undeliverable
from mosaic.services.xmpp.extras.asked import DiscoNodes, node_info, node_items
from mosaic.services.xmpp.extras.disco import (
    NS_DISCO_INFO,
    NS_DISCO_ITEMS,
    Facts,
    Form,
    Identity,
    Item,
    capabilities,
    items_xml,
)
from mosaic.services.xmpp.session import Session
from mosaic.wire.xmpp.jid import Jid
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.xml import Node, Xml, element, read_node

NS_PING = "urn:xmpp:ping"
NS_SESSION = "urn:ietf:params:xml:ns:xmpp-session"


@dataclass(frozen=True)
class Question:
    """An IQ get or set for the server.

    account: the local part that it is about, "" for the domain.
    """

    session: Session
    stanza: Stanza
    account: str

    @property
    def about(self) -> About:
        """Whom it is about, from the point of view of who asks."""
        if not self.account:
            return About.DOMAIN
        own = self.account == self.session.jid.local
        return About.OWN if own else About.OTHER

    @property
    def asker(self) -> Jid:
        """The full address of who asks."""
        return self.session.jid

    @cached_property
    def payload(self) -> Node:
        """The first child of the IQ, as a tree."""
        return read_node(self.stanza).children[0]

    @property
    def node(self) -> str:
        """Its `node` attribute (XEP-0030, XEP-0050), or ""."""
        return self.payload.attributes.get("node", "")


Answer = Callable[[Question], Awaitable[str]]
"""The child of the result, "" for none. Raises Undeliverable."""


Heard = Callable[[Stanza], None]
"""Takes the result or error of a question of ours."""
Items = Callable[[Question], Awaitable[list[Item]]]
"""The items that somebody may see."""


@dataclass(frozen=True, slots=True)
class _Entry:
    answer: Answer
    about: About


class Answers:
    """What the server answers, and what service discovery says of it."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._entries: dict[tuple[str, str, str], _Entry] = {}
        self._features: dict[str, About] = {}
        self._expected: dict[tuple[str, str], Heard] = {}
        self.identities: list[tuple[About, Identity]] = []
        """Who else answers, in service discovery."""
        self.shows: Callable[[Question], Awaitable[bool]] | None = None
        """Whether service discovery tells somebody of another's account."""
        self.item_sources: list[Items] = []
        """What else stands below the domain or an account."""
        self._forms: list[Form] = []
        self._nodes: list[DiscoNodes] = []
        self._names: dict[str, str] = {}
        self._caps: Xml | None = None
        self.add("get", NS_PING, "ping", self._nothing, About.SELF)
        self.add("set", NS_SESSION, "session", self._nothing, feature=None)
        everything = About.DOMAIN | About.ACCOUNT
        self.add("get", NS_DISCO_INFO, "query", self._info, everything)
        self.add("get", NS_DISCO_ITEMS, "query", self._items, everything)

    def add(
        self,
        kind: str,
        ns: str,
        name: str,
        answer: Answer,
        about: About = About.SELF,
        *,
        feature: str | None = "",
    ) -> None:
        """Answer IQs of a kind ("get", "set") with that payload.

        feature: what service discovery announces; "" is ns, None nothing.
        """
        self._entries[kind, ns, name] = _Entry(answer, about)
        if feature is not None:
            self.announce(feature or ns, about)

    def announce(self, feature: str, about: About) -> None:
        """Have service discovery tell of a feature."""
        self._caps = None
        self._features[feature] = self._features.get(feature, About(0)) | about

    def describe(self, form: Form) -> None:
        """Have service discovery tell a form about the domain (XEP-0128)."""
        self._caps = None
        self._forms.append(form)

    def add_nodes(self, nodes: DiscoNodes) -> None:
        """Have service discovery of the domain ask for nodes here."""
        self._nodes.append(nodes)

    def name_host(self, host: str, name: str) -> None:
        """Say for people what the component at a host is."""
        self._names[host] = name

    def features(self, about: About) -> list[str]:
        """What is announced for whom, sorted."""
        return sorted(name for name, whom in self._features.items() if about & whom)

    async def asked(self, session: Session, stanza: Stanza, to: Jid | None) -> None:
        """Answer an IQ to the domain or to an account's bare address (None: the
        session's own). Raises Undeliverable (service-unavailable)."""
        if stanza.type in ("result", "error"):
            heard = self._expected.pop((session.address, stanza.id or ""), None)
            if heard is not None:
                heard(stanza)
            return
        account = session.jid.local if to is None else to.local
        question = Question(session, stanza, account)
        ns, name = stanza.payload or ("", "")
        entry = self._entries.get((stanza.type, ns, name))
        if entry is None or not entry.about & question.about:
            raise Undeliverable("service-unavailable")
        inner = await entry.answer(question)
        session.send(
            element(
                "iq",
                {
                    "type": "result",
                    "id": stanza.id,
                    "from": session.jid.bare if to is None else str(to),
                    "to": session.address,
                },
                Xml(inner),
            ).encode()
        )

    def expect(self, session: Session, id: str, heard: Heard) -> None:
        """Hear what a session answers to an IQ of ours with that id."""
        self._expected[session.address, id] = heard

    def forget(self, session: Session, id: str) -> None:
        """Expect that answer no more."""
        self._expected.pop((session.address, id), None)

    async def _nothing(self, question: Question) -> str:
        return ""

    def facts(self, about: About) -> Facts:
        """What service discovery says of the domain or an account."""
        of_domain = about is About.DOMAIN
        who = Identity("account", "registered")
        if of_domain:
            who = Identity("server", "im", "Mosaic")
        forms = tuple(self._forms) if of_domain else ()
        others = (other for whom, other in self.identities if about & whom)
        return Facts((who, *others), tuple(self.features(about)), forms)

    def capabilities(self) -> Xml:
        """The stream feature that tells the hash of all this (XEP-0115)."""
        if self._caps is None:
            ver = self.facts(About.DOMAIN).ver()
            self._caps = capabilities(self._caps_node, ver)
        return self._caps

    @property
    def _caps_node(self) -> str:
        return f"https://{self._exchange.domain}"

    async def _info(self, question: Question) -> str:
        """XEP-0030: who answers here, and what it can do."""
        await self._check_shown(question)
        facts = self.facts(question.about)
        of_domain = question.about is About.DOMAIN
        if of_domain and question.node != f"{self._caps_node}#{facts.ver()}":
            facts = await node_info(question, self._nodes) or facts
        return facts.xml(question.node)

    async def _check_shown(self, question: Question) -> None:
        """XEP-0030 section 8: strangers are told nothing. Raises Undeliverable."""
        if question.about is not About.OTHER:
            return
        if self.shows is None or not await self.shows(question):
            raise Undeliverable("service-unavailable")

    async def _items(self, question: Question) -> str:
        """The components beside the domain, or what an account shows."""
        await self._check_shown(question)
        found = None
        if question.about is About.DOMAIN:
            found = await node_items(question, self._nodes)
            if found is None:
                hosts = sorted(self._exchange.components)
                found = [Item(host, self._names.get(host, "")) for host in hosts]
        found = list(found or ())
        for source in self.item_sources:
            found += await source(question)
        return items_xml(found, question.node)
