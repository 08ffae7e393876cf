"""What the bus brings to the rooms that are alive here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mosaic.bus.interface import Payload, Subscription
from mosaic.services.xmpp.exchange import Undeliverable
from mosaic.services.xmpp.rooms.admission import Admission
from mosaic.services.xmpp.rooms.front import Front
from mosaic.services.xmpp.rooms.muc import Muc
from mosaic.services.xmpp.rooms.names import Status
from mosaic.services.xmpp.rooms.render import (
    address,
    for_each_address,
    halves,
    status_message,
)
from mosaic.services.xmpp.rooms.speech import Speech
from mosaic.workspace import attendance
from mosaic.workspace.model import Role


class News:
    """Takes each piece of news to the room that it is about. live: by Hub ID."""

    def __init__(
        self,
        front: Front,
        live: Mapping[str, Muc],
        admission: Admission,
        speech: Speech,
    ) -> None:
        self._front = front
        self._live = live
        self._admission = admission
        self._speech = speech

    def subscribe(self) -> list[Subscription]:
        """Begin to hear, and ask the other doors who is where."""
        bus = self._front.bus
        held = [
            bus.subscribe("room.*", self._heard),
            bus.subscribe("store", self._store_changed),
            bus.subscribe(attendance.QUESTION, self._asked),
        ]
        source = self._front.attendance.source
        bus.publish(attendance.QUESTION, attendance.question(source))
        return held

    def _heard(self, topic: str, payload: Payload) -> None:
        change = self._front.attendance.heard(topic, payload)
        _, hub_id, *about = topic.split(".")
        muc = self._live.get(hub_id)
        if muc is None:
            return
        match about:
            case []:
                self._room_news(muc, payload)
            case ["people"]:
                self._people_news(muc, payload)
            case ["chat"]:
                self._speech.heard(muc, payload)
            case ["attendance"] if change is not None:
                muc.elsewhere(change)

    # The room ----------------------------------------------------------------------
    def _room_news(self, muc: Muc, payload: Payload) -> None:
        if payload.get("type") == "closed":
            muc.room = replace(muc.room, closed_at=self._front.wall())
            muc.closed()
        else:
            self._front.spawn(self._reload(muc), "reading a room again")

    async def _reload(self, muc: Muc) -> None:
        """XEP-0045 section 10.2.1: status 104 when something shows."""
        before = await muc.reload()
        if muc.room.closed_at is not None and before.closed_at is None:
            muc.closed()
        elif replace(before, pin="") != replace(muc.room, pin=""):
            opened = status_message(Status.CONFIGURATION_CHANGED)
            host = self._front.host
            muc.people.cast(
                for_each_address(lambda via: halves(opened, address(via, host)))
            )

    # Its people ----------------------------------------------------------------------
    def _people_news(self, muc: Muc, payload: Payload) -> None:
        kind = payload.get("type")
        who = str(payload.get("participant_id", ""))
        if kind == "member":
            work = self._member(muc, str(payload["account"]))
            self._front.spawn(work, "checking a member again")
        elif kind == "kicked":
            muc.kicked(who)
        elif kind == "refused":
            for knock in list(muc.knocks.values()):
                if knock.id == who:
                    text = "the hosts did not let you in"
                    muc.turn_away(knock, Undeliverable("forbidden", text=text))
        elif kind in ("admitted", "role"):
            self._admitted(muc, who, Role(payload["role"]))

    def _admitted(self, muc: Muc, who: str, role: Role) -> None:
        occupant = muc.people.by_id.get(who)
        if occupant is not None:
            if occupant.seats:
                muc.change_role(occupant, role)
            return
        for knock in list(muc.knocks.values()):
            if knock.id == who:
                work = self._admission.admitted(muc, knock, role)
                self._front.spawn(work, "letting somebody in from the lobby")

    async def _member(self, muc: Muc, account: str) -> None:
        await muc.member_changed(account)
        await self._recheck_knocks(muc, account)

    async def _recheck_knocks(self, muc: Muc, account: str | None) -> None:
        """Whoever was made a member need not wait; a token may be gone."""
        for knock in list(muc.knocks.values()):
            if account is not None and knock.account != account:
                continue
            token = await self._front.store.participant_token(muc.hub_id, knock.id)
            if token is None:
                muc.turn_away(knock, Undeliverable("forbidden"))
            elif not token.waiting and token.role is not None:
                await self._admission.admitted(muc, knock, token.role)

    # All rooms ------------------------------------------------------------------
    def _store_changed(self, topic: str, payload: Payload) -> None:
        """Another process wrote (the command line): what holds still?"""
        for muc in list(self._live.values()):
            self._front.spawn(self._recheck(muc), "checking a room again")

    async def _recheck(self, muc: Muc) -> None:
        await self._reload(muc)
        muc.members = await self._front.store.members(muc.hub_id)
        for occupant in list(muc.people.by_nick.values()):
            await muc.recheck(occupant)
        await self._recheck_knocks(muc, None)

    def _asked(self, topic: str, payload: Payload) -> None:
        """Another door has just opened."""
        if payload.get("source") != self._front.attendance.source:
            for muc in self._live.values():
                for occupant in muc.people.by_nick.values():
                    muc.tell_here(occupant)
