"""Between two occupants, and to those who are not in the room yet."""

from __future__ import annotations

from mosaic.services.xmpp.exchange import Undeliverable
from mosaic.services.xmpp.rooms.forms import field, form, submitted
from mosaic.services.xmpp.rooms.front import Front
from mosaic.services.xmpp.rooms.muc import Muc
from mosaic.services.xmpp.rooms.names import (
    NS_CONFERENCE,
    NS_MUC_REQUEST,
    NS_MUC_USER,
    NS_OCCUPANT_ID,
)
from mosaic.services.xmpp.rooms.occupants import ROLES, Occupant, Seat
from mosaic.services.xmpp.rooms.render import address, halves
from mosaic.store.interface import NotFound
from mosaic.wire.xmpp.forms import NS_FORM, Form
from mosaic.wire.xmpp.jid import Jid, JidError, parse_jid
from mosaic.wire.xmpp.pieces import open_stanza
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.xml import Node, Xml, element, read_node
from mosaic.workspace.model import Role

_REQUEST = NS_MUC_REQUEST


class Private:
    """Messages and questions that are not for all."""

    def __init__(self, front: Front) -> None:
        self._front = front

    # Occupant to occupant ------------------------------------------------------
    def forward(self, muc: Muc, seat: Seat, stanza: Stanza, nick: str) -> None:
        """A private message or an IQ (XEP-0045 sections 7.5 and 17.4).

        Raises Undeliverable.
        """
        target = muc.people.by_nick.get(nick)
        if target is None:
            raise Undeliverable("item-not-found", text="nobody has this nickname")
        if not target.seats:
            raise Undeliverable(
                "recipient-unavailable",
                text="they are in the room by browser, which has no private messages",
            )
        opened = open_stanza(
            stanza,
            unwanted=lambda ns, name, attributes: (
                (ns, name) in ((NS_MUC_USER, "x"), (NS_OCCUPANT_ID, "occupant-id"))
            ),
        )
        extra: list[Xml] = []
        if stanza.name == "message":
            extra = [
                element("x", ns=NS_MUC_USER),
                element(
                    "occupant-id",
                    {"id": seat.occupant.occupant_id},
                    ns=NS_OCCUPANT_ID,
                ),
            ]
        # A question is for one; the newest session is the likeliest to answer.
        seats = target.seats if stanza.name == "message" else target.seats[-1:]
        for other in list(seats):
            sender = address(other.via, self._front.host, seat.occupant.nick)
            head, tail = halves(opened, sender, *extra)
            muc.people.cast(lambda _, made=(head, tail): made, [other])  # type: ignore[misc]  # bound now

    # To the room itself ----------------------------------------------------------
    async def to_room(self, muc: Muc, seat: Seat, stanza: Stanza) -> None:
        """A message to the room that is not for all. Raises Undeliverable."""
        node = read_node(stanza)
        x = node.child(NS_MUC_USER, "x")
        if x is not None:
            for child in x.children:
                if child.name == "invite":
                    self._invite(muc, seat, child)
                elif child.name == "decline":
                    self._decline(muc, seat.jid, child)
            return
        values = submitted(node, _REQUEST) if node.child(NS_FORM, "x") else None
        if values is None:
            raise Undeliverable("bad-request", text="to all it is of type groupchat")
        if "muc#request_allow" in values:
            await self._answer_request(muc, seat, values)
        else:
            self._request_voice(muc, seat)

    def declined(self, muc: Muc, sender: Jid, stanza: Stanza) -> None:
        """From somebody outside: an invitation is declined. Raises Undeliverable."""
        x = read_node(stanza).child(NS_MUC_USER, "x")
        decline = None if x is None else x.child(NS_MUC_USER, "decline")
        if decline is None:
            raise Undeliverable("not-acceptable", text="you are not in this room")
        self._decline(muc, sender, decline)

    def _invite(self, muc: Muc, seat: Seat, invite: Node) -> None:
        """XEP-0045 section 7.8.2. The PIN goes with a host's invitation."""
        to = _address_in(invite, "to")
        room = address(seat.via, self._front.host)
        reason = invite.child(NS_MUC_USER, "reason")
        words = "" if reason is None else reason.text
        pin = muc.room.pin if seat.occupant.is_moderator else None
        x = element(
            "x",
            None,
            element(
                "invite",
                {"from": seat.jid.bare},
                *([element("reason", None, words)] if words else []),
            ),
            *([element("password", None, pin)] if pin else []),
            ns=NS_MUC_USER,
        )
        direct = element(
            "x",
            {"jid": room, "password": pin, "reason": words or None},
            ns=NS_CONFERENCE,
        )
        self._to_anybody(seat.via, to, x, direct)

    def _decline(self, muc: Muc, sender: Jid, decline: Node) -> None:
        """XEP-0045 section 7.8.2: told to the one who invited, if they are here."""
        to = _address_in(decline, "to")
        seats = [s for s in muc.people.seats.values() if s.jid.bare == to.bare]
        if not seats:
            raise Undeliverable("item-not-found", text="they are not in this room")
        reason = decline.child(NS_MUC_USER, "reason")
        inside = [] if reason is None else [element("reason", None, reason.text)]
        said = element("decline", {"from": sender.bare}, *inside)
        x = element("x", None, said, ns=NS_MUC_USER)
        for seat in seats:
            self._front.send(seat.jid, self._from_room(seat.via, str(seat.jid), x))

    def _from_room(self, via: str, to: str, *inside: Xml) -> Xml:
        room = address(via, self._front.host)
        return element("message", {"from": room, "to": to}, *inside)

    def _to_anybody(self, via: str, to: Jid, *inside: Xml) -> None:
        attributes = {"to": str(to)}
        room = Jid(via, self._front.host, "")
        self._front.deliver(element("message", attributes, *inside), attributes, room)

    # Voice -------------------------------------------------------------------------
    def _request_voice(self, muc: Muc, seat: Seat) -> None:
        """XEP-0045 section 7.13: hosts get a form; browsers see a raised hand."""
        occupant = seat.occupant
        if occupant.role is not Role.VIEWER:
            raise Undeliverable("not-allowed", text="you have a voice")
        asked = form(
            _REQUEST,
            field(
                "muc#role",
                "participant",
                kind="list-single",
                options={"participant": "participant"},
            ),
            field("muc#jid", str(seat.jid), kind="jid-single", label="Address"),
            field("muc#roomnick", occupant.nick, label="Nickname"),
            field("muc#request_allow", False, label="Grant voice"),
            title="Voice request",
        )
        for host in muc.people.seats.values():
            if host.occupant.is_moderator:
                self._front.send(
                    host.jid, self._from_room(host.via, str(host.jid), asked)
                )
        self._raise_hand(muc, occupant, up=True)

    async def _answer_request(self, muc: Muc, seat: Seat, values: Form) -> None:
        """XEP-0045 section 8.6: a host's answer. Raises Undeliverable."""
        if not seat.occupant.is_moderator:
            raise Undeliverable("forbidden")
        nick = (values.get("muc#roomnick") or ("",))[0]
        occupant = muc.people.by_nick.get(nick)
        if occupant is None:
            raise Undeliverable("item-not-found", text="they have gone")
        self._raise_hand(muc, occupant, up=False)
        if values.get("muc#request_allow") in (("1",), ("true",)):
            wanted = (values.get("muc#role") or ("participant",))[0]
            role = ROLES.get(wanted, Role.EDITOR)
            if role is Role.HOST:
                raise Undeliverable("not-acceptable", text="a voice is participant")
            try:
                await self._front.door.admit(muc.hub_id, occupant.id, role)
            except NotFound:
                raise Undeliverable("item-not-found", text="they have gone") from None

    def _raise_hand(self, muc: Muc, occupant: Occupant, *, up: bool) -> None:
        if occupant.hand is not up and occupant.token is not None:
            occupant.hand = up
            muc.tell_here(occupant)


def _address_in(node: Node, attribute: str) -> Jid:
    try:
        return parse_jid(node.attributes.get(attribute, ""))
    except JidError:
        raise Undeliverable("jid-malformed") from None
