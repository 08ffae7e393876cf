"""What service discovery says of the rooms (XEP-0045 section 6)."""

from __future__ import annotations

from collections.abc import Iterable

from mosaic.services.xmpp.answers import NS_PING
from mosaic.services.xmpp.exchange import Undeliverable
from mosaic.services.xmpp.extras.disco import NS_DISCO_INFO, NS_DISCO_ITEMS
from mosaic.services.xmpp.rooms.forms import field, form
from mosaic.services.xmpp.rooms.front import Front
from mosaic.services.xmpp.rooms.muc import Muc
from mosaic.services.xmpp.rooms.names import (
    NS_MAM,
    NS_MAM_EXTENDED,
    NS_MODERATE,
    NS_MUC,
    NS_MUC_INFO,
    NS_MUC_REQUEST,
    NS_OCCUPANT_ID,
    NS_RETRACT,
    NS_SELF_PING,
    NS_SID,
    NS_STABLE_ID,
)
from mosaic.services.xmpp.rooms.render import address
from mosaic.wire.xmpp.jid import Jid
from mosaic.wire.xmpp.xml import Xml, element
from mosaic.workspace.model import Room

_OF_SERVICE = (NS_DISCO_INFO, NS_DISCO_ITEMS, NS_MUC, NS_PING)
_OF_ROOM = (
    *_OF_SERVICE,
    NS_MAM,
    NS_MAM_EXTENDED,
    NS_MODERATE,
    NS_MUC_REQUEST,
    NS_OCCUPANT_ID,
    NS_RETRACT,
    NS_SELF_PING,
    NS_SID,
    NS_STABLE_ID,
    "muc_hidden",
    "muc_nonanonymous",
    "muc_persistent",
)


class Disco:
    """Answers `disco#info` and `disco#items`."""

    def __init__(self, front: Front) -> None:
        self._front = front

    def service_info(self) -> Xml:
        """Of the service."""
        return _info("Mosaic rooms", _OF_SERVICE)

    async def service_items(self, asker: Jid) -> Xml:
        """Rooms that the asker owns or is a member of; administrators see all."""
        principal = await self._front.principal(asker)
        rooms: list[Room] = []
        if principal is not None:
            member = None if principal.admin else principal.account
            rooms = await self._front.store.rooms(member=member)
        items = (
            element(
                "item",
                {
                    "jid": address(room.alias or room.hub_id, self._front.host),
                    "name": room.name,
                },
            )
            for room in rooms
            if room.closed_at is None
        )
        return element("query", None, *items, ns=NS_DISCO_ITEMS)

    async def room_info(self, muc: Muc, asker: Jid) -> Xml:
        """Of a room. Strangers learn what it takes to come in, no more."""
        room = muc.room
        if room.closed_at is not None:
            raise Undeliverable("gone", text="the room was closed")
        features = [
            *_OF_ROOM,
            "muc_unsecured" if room.open_to_accounts else "muc_passwordprotected",
            "muc_membersonly" if room.locked else "muc_open",
            "muc_moderated" if room.moderated else "muc_unmoderated",
        ]
        if not await self._is_known(muc, asker):
            return strangers_info(locked=room.locked)
        told = form(
            NS_MUC_INFO,
            field("muc#roominfo_description", room.name),
            field("muc#roominfo_occupants", str(len(muc.people.by_nick))),
            field("muc#roominfo_subject", muc.subject.subject),
            field("muc#roominfo_changesubject", True),
            kind="result",
        )
        return _info(room.name, features, told)

    async def room_items(self, muc: Muc, asker: Jid) -> Xml:
        """Its occupants, for those inside and members."""
        occupants = muc.people.by_nick if await self._is_known(muc, asker) else {}
        local = muc.room.alias or muc.hub_id
        items = (
            element("item", {"jid": address(local, self._front.host, nick)})
            for nick in occupants
        )
        return element("query", None, *items, ns=NS_DISCO_ITEMS)

    async def _is_known(self, muc: Muc, asker: Jid) -> bool:
        if asker in muc.people.seats:
            return True
        if muc.room.open_to_accounts and await self._front.principal(asker):
            return True
        return await self._front.role_of(asker, muc.hub_id) is not None


def strangers_info(*, locked: bool = False) -> Xml:
    """What is said of any Hub ID to those who are not known in the room."""
    lock = "muc_membersonly" if locked else "muc_open"
    return _info("", [*_OF_ROOM, "muc_passwordprotected", lock])


def _info(name: str, features: Iterable[str], *more: Xml) -> Xml:
    identity = {"category": "conference", "type": "text", "name": name or None}
    return element(
        "query",
        None,
        element("identity", identity),
        *(element("feature", {"var": var}) for var in sorted(features)),
        *more,
        ns=NS_DISCO_INFO,
    )
