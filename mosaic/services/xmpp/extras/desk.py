"""A component that answers IQs at one address of its own.

The same desk stands in this process and under another server: it takes stanzas
and answers through an outlet (parents.py).
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from mosaic.services.xmpp.about import About
from mosaic.services.xmpp.exchange import Undeliverable, error_reply
from mosaic.services.xmpp.extras.asked import (
    Asked,
    DiscoNodes,
    HostQuestion,
    Reply,
    node_info,
    node_items,
)
from mosaic.services.xmpp.extras.disco import (
    NS_DISCO_INFO,
    NS_DISCO_ITEMS,
    Facts,
    Form,
    Identity,
    Item,
    items_xml,
)
from mosaic.services.xmpp.extras.outlet import Outlet
from mosaic.wire.xmpp.jid import Jid
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.xml import Xml, element

_log = Logger()

NS_PING = "urn:xmpp:ping"


class Desk:
    """Answers ping, service discovery, and whatever was registered.

    host: its address. Everybody may ask: who may not is for each answer to say.
    """

    def __init__(self, host: str, identity: Identity) -> None:
        self.host = host
        self.identity = identity
        self.forms: list[Form] = []
        self.outlet: Outlet | None = None
        self._below: Callable[[], list[Item]] = list
        self._entries: dict[tuple[str, str, str], Reply] = {}
        self._features: set[str] = set()
        self._nodes: list[DiscoNodes] = []
        self.add("get", NS_PING, "ping", _nothing)
        self.add("get", NS_DISCO_INFO, "query", self._info)
        self.add("get", NS_DISCO_ITEMS, "query", self._items)

    def add(
        self,
        kind: str,
        ns: str,
        name: str,
        answer: Reply,
        about: About = About.DOMAIN,
        *,
        feature: str | None = "",
    ) -> None:
        """Answer IQs of a kind with that payload. feature: "" announces ns."""
        self._entries[kind, ns, name] = answer
        if feature is not None:
            self._features.add(feature or ns)

    def add_nodes(self, nodes: DiscoNodes) -> None:
        """Have service discovery ask for nodes here."""
        self._nodes.append(nodes)

    def list_below(self, below: Callable[[], list[Item]]) -> None:
        """What disco#items shows without a node."""
        self._below = below

    def receive(self, stanza: Stanza, sender: Jid, to: Jid) -> None:
        """Answer, soon or later; what is no question is dropped."""
        if stanza.name == "iq" and stanza.type in ("result", "error"):
            return
        steps = self._serve(stanza, sender, to)
        Deferred.fromCoroutine(steps).addErrback(
            lambda failure: self._failed(failure, stanza, sender, to)
        )

    async def _serve(self, stanza: Stanza, sender: Jid, to: Jid) -> None:
        try:
            inner = await self._answer(stanza, sender, to)
        except Undeliverable as error:
            self._refuse(stanza, error, sender, to)
            return
        attributes = {
            "type": "result",
            "id": stanza.id,
            "from": str(to),
            "to": str(sender),
        }
        self._send(element("iq", attributes, Xml(inner)), sender)

    async def _answer(self, stanza: Stanza, sender: Jid, to: Jid) -> str:
        if stanza.name != "iq" or to.local or to.resource:
            raise Undeliverable("service-unavailable")
        if stanza.id is None or stanza.payload is None:
            raise Undeliverable("bad-request")
        entry = self._entries.get((stanza.type, *stanza.payload))
        if entry is None:
            raise Undeliverable("service-unavailable")
        return await entry(HostQuestion(stanza, sender))

    def _failed(self, failure: Failure, stanza: Stanza, sender: Jid, to: Jid) -> None:
        _log.failure("{host} could not answer", failure, host=self.host)
        self._refuse(stanza, Undeliverable("internal-server-error"), sender, to)

    def _refuse(
        self, stanza: Stanza, error: Undeliverable, sender: Jid, to: Jid
    ) -> None:
        reply = error_reply(stanza, error, sender=str(to), to=str(sender))
        # RFC 6121 8.3: nobody wants to be told that presence was in vain.
        if reply is not None and stanza.name != "presence":
            self._send(reply, sender)

    def _send(self, reply: Xml, to: Jid) -> None:
        if self.outlet is not None:
            self.outlet.send(to, reply.encode())

    def facts(self) -> Facts:
        """What it is and can do."""
        features = tuple(sorted(self._features))
        return Facts((self.identity,), features, tuple(self.forms))

    async def _info(self, asked: Asked) -> str:
        return (await node_info(asked, self._nodes) or self.facts()).xml(asked.node)

    async def _items(self, asked: Asked) -> str:
        found = await node_items(asked, self._nodes)
        return items_xml(self._below() if found is None else found, asked.node)


async def _nothing(asked: Asked) -> str:
    return ""
