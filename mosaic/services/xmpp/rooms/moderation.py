"""A host takes back somebody's line (XEP-0425), through whatever door it came."""

from __future__ import annotations

import secrets
from xml.sax.saxutils import quoteattr

from mosaic.services.xmpp.exchange import Undeliverable
from mosaic.services.xmpp.rooms.front import Front
from mosaic.services.xmpp.rooms.muc import Muc
from mosaic.services.xmpp.rooms.names import (
    NS_MODERATE,
    NS_OCCUPANT_ID,
    NS_RETRACT,
)
from mosaic.services.xmpp.rooms.render import address
from mosaic.services.xmpp.rooms.speech import find_archived
from mosaic.wire.xmpp.jid import Jid
from mosaic.wire.xmpp.pieces import Opened
from mosaic.wire.xmpp.xml import Node, element
from mosaic.workspace import conversation
from mosaic.workspace.archive import Kind, Saying


class Moderation:
    """`urn:xmpp:message-moderate:1`."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def moderate(self, muc: Muc, asker: Jid, query: Node) -> None:
        """Retract a line in the room's name. Raises Undeliverable."""
        seat = muc.people.seats.get(asker)
        if seat is None or not seat.occupant.is_moderator:
            raise Undeliverable("forbidden", text="hosts do this")
        if query.child(NS_RETRACT, "retract") is None:
            raise Undeliverable("feature-not-implemented")
        line = await find_archived(self._front, muc, query.attributes.get("id", ""))
        if line.kind is not Kind.LINE or line.retracted_at is not None:
            raise Undeliverable("item-not-found")
        host = seat.occupant
        reason = query.child(NS_MODERATE, "reason")
        moderated = element(
            "moderated",
            {"by": address(seat.via, self._front.host, host.nick)},
            element("occupant-id", {"id": host.occupant_id}, ns=NS_OCCUPANT_ID),
            ns=NS_MODERATE,
        )
        retract = element(
            "retract",
            {"id": str(line.seq)},
            moderated,
            *([] if reason is None else [element("reason", None, reason.text[:500])]),
            ns=NS_RETRACT,
        )
        ident = f"moderated-{secrets.token_hex(8)}"
        opening = f' type="groupchat" id={quoteattr(ident)}'
        opened = Opened(b"message", opening.encode(), retract.encode())
        saying = Saying(
            kind=Kind.RETRACTION,
            message_id=ident,
            author_id="",
            author="",
            text="",
            at=self._front.wall(),
            occupant_id="",
            stanza_id=ident,
            stanza=opened.whole().decode(),
            about=line.seq,
        )
        entry = await self._front.store.add_saying(muc.hub_id, saying)
        topic = conversation.topic_of(muc.hub_id)
        self._front.bus.publish(topic, conversation.said(entry))
