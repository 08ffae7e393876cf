"""IQs to the service, to a room, and to an occupant."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mosaic.services.xmpp.answers import NS_PING
from mosaic.services.xmpp.exchange import Undeliverable
from mosaic.services.xmpp.extras.disco import NS_DISCO_INFO, NS_DISCO_ITEMS
from mosaic.services.xmpp.rooms.archive import Archive
from mosaic.services.xmpp.rooms.configuration import Configuration
from mosaic.services.xmpp.rooms.disco import Disco
from mosaic.services.xmpp.rooms.front import Front
from mosaic.services.xmpp.rooms.governance import Governance
from mosaic.services.xmpp.rooms.moderation import Moderation
from mosaic.services.xmpp.rooms.muc import Muc
from mosaic.services.xmpp.rooms.names import (
    NS_MAM,
    NS_MODERATE,
    NS_MUC_ADMIN,
    NS_MUC_OWNER,
)
from mosaic.services.xmpp.rooms.private import Private
from mosaic.wire.xmpp.jid import Jid
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.xml import Node, Xml, element, read_node

Answer = Callable[[Muc, Jid, Node], Awaitable[str | None]]


class Questions:
    """Who answers what about a room."""

    def __init__(self, front: Front, private: Private) -> None:
        self._front = front
        self._private = private
        self.disco = Disco(front)
        self._archive = Archive(front)
        governance = Governance(front)
        configuration = Configuration(front, governance)
        self._answers: dict[tuple[str, str, str], Answer] = {
            ("get", NS_DISCO_INFO, "query"): self._info,
            ("get", NS_DISCO_ITEMS, "query"): self._items,
            ("get", NS_PING, "ping"): self._pong,
            ("get", NS_MUC_ADMIN, "query"): governance.show,
            ("set", NS_MUC_ADMIN, "query"): governance.change,
            ("get", NS_MUC_OWNER, "query"): configuration.show,
            ("set", NS_MUC_OWNER, "query"): configuration.change,
            ("set", NS_MODERATE, "moderate"): Moderation(front).moderate,
            ("get", NS_MAM, "query"): self._archive.fields,
            ("get", NS_MAM, "metadata"): self._archive.metadata,
        }

    async def of_service(self, stanza: Stanza, sender: Jid) -> None:
        """To `rooms.<domain>` itself. Raises Undeliverable."""
        kind = (stanza.type, *(stanza.payload or ("", "")))
        if kind == ("get", NS_DISCO_INFO, "query"):
            self.reply(stanza, sender, self.disco.service_info())
        elif kind == ("get", NS_DISCO_ITEMS, "query"):
            self.reply(stanza, sender, await self.disco.service_items(sender))
        elif kind == ("get", NS_PING, "ping"):
            self.reply(stanza, sender, "")
        elif stanza.type in ("get", "set"):
            raise Undeliverable("service-unavailable")

    async def of_room(self, muc: Muc, stanza: Stanza, sender: Jid, to: Jid) -> None:
        """To a room. Raises Undeliverable."""
        if stanza.type not in ("get", "set"):
            return
        ns, name = stanza.payload or ("", "")
        query = read_node(stanza).children[0]
        if (stanza.type, ns, name) == ("set", NS_MAM, "query"):
            fin = await self._archive.query(muc, sender, query, to.local)
            self.reply(stanza, sender, fin)
            return
        answer = self._answers.get((stanza.type, ns, name))
        if answer is None:
            raise Undeliverable("service-unavailable")
        self.reply(stanza, sender, await answer(muc, sender, query) or "")

    def of_occupant(self, muc: Muc, stanza: Stanza, sender: Jid, to: Jid) -> None:
        """To somebody in a room, or to oneself (XEP-0410). Raises Undeliverable."""
        seat = muc.seat(sender)
        is_ping = (stanza.type, *(stanza.payload or ("", ""))) == (
            "get",
            NS_PING,
            "ping",
        )
        if is_ping and to.resource == seat.occupant.nick:
            self.reply(stanza, sender, "")
            return
        self._private.forward(muc, seat, stanza, to.resource)

    def reply(self, stanza: Stanza, sender: Jid, inner: str) -> None:
        """A result."""
        said = {
            "type": "result",
            "id": stanza.id,
            "from": stanza.to,
            "to": str(sender),
        }
        self._front.send(sender, element("iq", said, Xml(inner)))

    async def _info(self, muc: Muc, asker: Jid, query: Node) -> str:
        if query.attributes.get("node"):
            raise Undeliverable("item-not-found")
        return await self.disco.room_info(muc, asker)

    async def _items(self, muc: Muc, asker: Jid, query: Node) -> str:
        return await self.disco.room_items(muc, asker)

    async def _pong(self, muc: Muc, asker: Jid, query: Node) -> str:
        return ""
