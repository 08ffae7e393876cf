"""What owners set of a room (XEP-0045 section 10)."""

from __future__ import annotations

from dataclasses import replace

from mosaic.services.xmpp.exchange import Undeliverable
from mosaic.services.xmpp.rooms.forms import field, form, submitted, truth
from mosaic.services.xmpp.rooms.front import Front
from mosaic.services.xmpp.rooms.governance import Governance
from mosaic.services.xmpp.rooms.muc import Muc
from mosaic.services.xmpp.rooms.names import NS_MUC_CONFIG, NS_MUC_OWNER
from mosaic.wire.xmpp.forms import NS_FORM, Form
from mosaic.wire.xmpp.jid import Jid
from mosaic.wire.xmpp.xml import Node, element
from mosaic.workspace.ids import parse_pin
from mosaic.workspace.model import Room
from mosaic.workspace.names import room_name

NAME = "muc#roomconfig_roomname"
PIN = "muc#roomconfig_roomsecret"
LOCKED = "muc#roomconfig_membersonly"
MODERATED = "muc#roomconfig_moderatedroom"
LOBBY = "mosaic#roomconfig_lobby"
MAX_USERS = "muc#roomconfig_maxusers"
PROTECTED = "muc#roomconfig_passwordprotectedroom"
_ALWAYS = {
    "muc#roomconfig_persistentroom": True,
    "muc#roomconfig_publicroom": False,
    "muc#roomconfig_enablelogging": True,
    "muc#roomconfig_changesubject": True,
    "muc#roomconfig_allowinvites": True,
}
"""Every room of Mosaic is so; a form that says otherwise is refused."""
_WHOIS = "muc#roomconfig_whois"


class Configuration:
    """`muc#owner` queries."""

    def __init__(self, front: Front, governance: Governance) -> None:
        self._front = front
        self._governance = governance

    async def show(self, muc: Muc, asker: Jid, query: Node) -> str:
        """The form (XEP-0045 section 10.2). Raises Undeliverable."""
        await self._governance.must_own(muc, asker)
        room = muc.room
        most = str(self._front.settings.max_occupants)
        fixed = [field(var, value) for var, value in _ALWAYS.items()]
        return element(
            "query",
            None,
            form(
                NS_MUC_CONFIG,
                field(NAME, room.name, label="Name"),
                field(PIN, room.pin, kind="text-private", label="PIN (6 digits)"),
                field(
                    PROTECTED,
                    not room.open_to_accounts,
                    label="Accounts need the PIN too",
                ),
                field(LOCKED, room.locked, label="Locked: only hosts come in"),
                field(LOBBY, room.lobby, label="Lobby: hosts let guests in"),
                field(
                    MODERATED,
                    room.moderated,
                    label="Moderated: guests are viewers, and viewers do not write",
                ),
                field(MAX_USERS, most, kind="list-single", options={most: most}),
                field(
                    _WHOIS,
                    "anyone",
                    kind="list-single",
                    options={"anyone": "Anyone"},
                ),
                *fixed,
                title=f"Room {room.hub_id}",
            ),
            ns=NS_MUC_OWNER,
        )

    async def change(self, muc: Muc, asker: Jid, query: Node) -> None:
        """Take a form, or destroy the room. Raises Undeliverable."""
        await self._governance.must_own(muc, asker)
        if query.child(NS_MUC_OWNER, "destroy") is not None:
            await self._close(muc)
            return
        if query.child(NS_FORM, "x") is None:
            raise Undeliverable("bad-request")
        values = submitted(query, NS_MUC_CONFIG)
        if values is None:
            return  # cancelled
        before = await self._front.store.room(muc.hub_id)
        room = self._configured(before, values)
        if room != before:
            await self._front.store.update_room(room)
            kind = "pin" if room == replace(before, pin=room.pin) else "updated"
            self._front.bus.publish(f"room.{room.hub_id}", {"type": kind})

    def _configured(self, room: Room, values: Form) -> Room:
        """The room as the form has it; what it leaves out stays."""
        for var, fixed in _ALWAYS.items():
            if var in values and truth(values[var]) is not fixed:
                raise Undeliverable("not-acceptable", text=f"{var} cannot be changed")
        if values.get(_WHOIS, ("anyone",)) != ("anyone",):
            raise Undeliverable("not-acceptable", text=f"{_WHOIS} cannot be changed")
        most = str(self._front.settings.max_occupants)
        if values.get(MAX_USERS, (most,)) != (most,):
            raise Undeliverable("not-acceptable", text=f"{MAX_USERS} is {most}")
        try:
            if NAME in values:
                room = replace(room, name=room_name("".join(values[NAME])))
            if PIN in values:
                room = replace(room, pin=parse_pin("".join(values[PIN])))
        except ValueError as error:
            raise Undeliverable("not-acceptable", text=str(error)) from None
        if PROTECTED in values:
            room = replace(room, open_to_accounts=not truth(values[PROTECTED]))
        if LOCKED in values:
            room = replace(room, locked=truth(values[LOCKED]))
        if LOBBY in values:
            room = replace(room, lobby=truth(values[LOBBY]))
        if MODERATED in values:
            room = replace(room, moderated=truth(values[MODERATED]))
        return room

    async def _close(self, muc: Muc) -> None:
        """XEP-0045 section 10.9: the room is closed; its contents are kept."""
        room = await self._front.store.room(muc.hub_id)
        if room.closed_at is None:
            closed = replace(room, closed_at=self._front.wall())
            await self._front.store.update_room(closed)
        self._front.bus.publish(f"room.{room.hub_id}", {"type": "closed"})
