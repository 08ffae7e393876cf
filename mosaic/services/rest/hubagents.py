# mypy: disable-error-code="no-untyped-call"
# (twisted.web.iweb has no annotations)
"""What boxes ask: to be a hub, for tokens, what to do; and what they report."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from msgspec import UNSET

from mosaic.auth.hubenrol import Enrolment
from mosaic.auth.hubfleet import Live
from mosaic.auth.hubs import HubDesk
from mosaic.auth.interface import InvalidToken
from mosaic.services.rest.hubdocuments import (
    Enrol,
    Enrolled,
    Feed,
    FeedQuery,
    HubProof,
    HubTokenView,
    HubXmpp,
    NetworkResult,
    ScreenTokenView,
    SeatView,
    SeatWish,
    Status,
    Ticket,
    TicketView,
    WantedRoom,
)
from mosaic.services.rest.hubviews import (
    feed_view,
    found_view,
    network_of,
    status_view,
)
from mosaic.services.rest.operations import Call, Operation, Who
from mosaic.services.rest.problems import Refusal
from mosaic.services.rest.rooms import JoinUrl
from mosaic.services.rest.rules import shown_as_422
from mosaic.store.interface import Store
from mosaic.workspace.hubs import REPORTED, CalendarEntry, Hub, hub_account
from mosaic.workspace.model import Room

RETURN_S = 10
"""Over so many seconds those come back whom a stop has sent away."""


class HubAgents:
    """Operations of agents and screens.

    domain: of XMPP. now: Unix seconds. forgive: gives a stranger's address its
    request back: a good signature costs the hub, not the network it stands in.
    """

    def __init__(
        self,
        *,
        hubs: HubDesk,
        store: Store,
        join_url: JoinUrl,
        domain: str,
        now: Callable[[], float],
        forgive: Callable[[str], None],
    ) -> None:
        self._hubs = hubs
        self._store = store
        self._join_url = join_url
        self._domain = domain
        self._now = now
        self._forgive = forgive

    def operations(self) -> tuple[Operation, ...]:
        """This resource's part of the table."""
        return (*self._entry(), *self._screens(), *self._inside())

    def _entry(self) -> tuple[Operation, ...]:
        return (
            Operation(
                id="enrolHub",
                method="POST",
                path="/hubs",
                summary="Become a hub, by an activation code",
                tag="hubs",
                who=Who.ANYONE,
                run=self.enrol,
                body=Enrol,
                answer=Enrolled,
                status=201,
                refusals=(403, 409),
            ),
            Operation(
                id="makeHubToken",
                method="POST",
                path="/hubs/{hub_id}/tokens",
                summary="A token for a hub that signs with its key",
                tag="hubs",
                who=Who.ANYONE,
                run=self.log_in,
                body=HubProof,
                answer=HubTokenView,
                refusals=(401,),
            ),
        )

    def _screens(self) -> tuple[Operation, ...]:
        return (
            Operation(
                id="makeScreenTicket",
                method="POST",
                path="/hubs/{hub_id}/screens",
                summary="A ticket that opens the hub's page on a screen, once",
                tag="hubs",
                who=Who.HUB,
                run=self.ticket,
                answer=TicketView,
                status=201,
            ),
            Operation(
                id="makeScreenToken",
                method="POST",
                path="/hub-screens",
                summary="A screen's token for its ticket",
                tag="hubs",
                who=Who.ANYONE,
                run=self.trade,
                body=Ticket,
                answer=ScreenTokenView,
                refusals=(401,),
            ),
            Operation(
                id="renewScreenToken",
                method="POST",
                path="/hub-screens/renew",
                summary="The screen's next token",
                tag="hubs",
                who=Who.SCREEN,
                run=self.renew,
                answer=ScreenTokenView,
            ),
        )

    def _inside(self) -> tuple[Operation, ...]:
        return (
            Operation(
                id="readHubFeed",
                method="GET",
                path="/hubs/{hub_id}/feed",
                summary="What the hub shall do; waits for news",
                tag="hubs",
                who=Who.HUB_OR_SCREEN,
                run=self.feed,
                query=FeedQuery,
                answer=Feed,
            ),
            Operation(
                id="reportHubStatus",
                method="PUT",
                path="/hubs/{hub_id}/status",
                summary="What the hub does",
                tag="hubs",
                who=Who.HUB,
                run=self.report,
                body=Status,
                status=204,
            ),
            Operation(
                id="reportHubNetwork",
                method="PUT",
                path="/hubs/{hub_id}/network-check",
                summary="What the hub found when it checked its network",
                tag="hubs",
                who=Who.HUB,
                run=self.report_network,
                body=NetworkResult,
                status=204,
            ),
            Operation(
                id="chooseHubRoom",
                method="PUT",
                path="/hubs/{hub_id}/room",
                summary="Go to a room by its PIN, to the hub's own, or to none",
                tag="hubs",
                who=Who.HUB_OR_SCREEN,
                run=self.choose,
                body=WantedRoom,
                status=204,
                refusals=(423,),
            ),
            Operation(
                id="makeHubRoomToken",
                method="POST",
                path="/hubs/{hub_id}/room-token",
                summary="A room token for the room where the hub shall be",
                tag="hubs",
                who=Who.HUB_OR_SCREEN,
                run=self.room_token,
                body=SeatWish,
                answer=SeatView,
                status=201,
                refusals=(409, 423),
            ),
        )

    # Coming in ------------------------------------------------------------
    async def enrol(self, call: Call, body: Enrol) -> Enrolled:
        """A new hub, or the one that this key is already."""
        asked = Enrolment(
            code=body.code,
            public_key=body.public_key,
            proof=body.proof,
            name=body.name,
            version=body.version,
            platform=body.platform,
        )
        with shown_as_422():
            hub = await self._hubs.enrolment.enrol(asked, address=call.caller.address)
        return Enrolled(
            hub_id=hub.hub_id,
            name=hub.name,
            server_time=self._now(),
            jid=self._jid(hub.hub_id),
        )

    async def log_in(self, call: Call, body: HubProof) -> HubTokenView:
        """Token and XMPP password."""
        hub_id = call.path["hub_id"]
        made = self._hubs.login.log_in(
            hub_id, time=body.time, nonce=body.nonce, signature=body.signature
        )
        self._forgive(call.caller.address)
        return HubTokenView(
            token=made.token,
            expires_in_s=made.expires_in_s,
            xmpp=HubXmpp(
                jid=self._jid(hub_id), password=made.password, domain=self._domain
            ),
        )

    def _jid(self, hub_id: str) -> str:
        return f"{hub_account(hub_id)}@{self._domain}"

    async def ticket(self, call: Call, body: None) -> TicketView:
        """For a screen that is about to be opened."""
        return TicketView(ticket=self._hubs.login.new_ticket(call.caller.as_hub.live))

    async def trade(self, call: Call, body: Ticket) -> ScreenTokenView:
        """The first token of a screen."""
        live, token, life = self._hubs.login.trade(body.ticket)
        return ScreenTokenView(token=token, hub_id=live.hub.hub_id, expires_in_s=life)

    async def renew(self, call: Call, body: None) -> ScreenTokenView:
        """The next one."""
        caller = call.caller.as_hub
        token, life = self._hubs.login.renew(caller)
        return ScreenTokenView(token=token, hub_id=caller.hub_id, expires_in_s=life)

    # Inside ---------------------------------------------------------------
    async def feed(self, call: Call, body: None) -> Feed:
        """At once if there is news, or nothing is known of the hub; else later."""
        fleet, caller = self._hubs.fleet, call.caller.as_hub
        live, query = caller.live, call.query
        if caller.is_agent:
            fleet.heard(live)
        asked = caller.is_agent and live.status is None and not live.asked
        known = query.after is not UNSET and query.after == live.hub.seq
        if known and not asked and query.wait and not fleet.stopping:
            waiter = fleet.wait(live, query.wait, screen=not caller.is_agent)
            request: Any = call.request
            request.notifyFinish().addErrback(
                lambda failure: fleet.let_go(live, waiter)
            )
            await waiter.news
        if fleet.stopping:
            seconds = 1 + secrets.randbelow(RETURN_S)
            headers = {"Retry-After": str(seconds)}
            raise Refusal(503, "the server is about to stop", headers=headers)
        room = await self._own_room(live)
        if fleet.get(caller.hub_id) is not live:
            raise InvalidToken("this hub was removed")
        report = caller.is_agent and live.status is None
        live.asked = live.asked or report
        return feed_view(
            live, room, self._join_url, agent=caller.is_agent, report=report
        )

    async def _own_room(self, live: Live) -> Room:
        if live.room is not None:
            return live.room
        hub = live.hub
        room = await self._store.room(hub.hub_id)
        if live.hub is hub:  # else it may be another by now: a new PIN is news
            live.room = room
        return room

    async def report(self, call: Call, body: Status) -> None:
        """Keep what is to last, and tell the others."""
        live = call.caller.as_hub.live

        def change(hub: Hub) -> Hub:
            if body.version is not None:
                hub = replace(hub, version=body.version)
            if body.platform is not None:
                hub = replace(hub, platform=body.platform)
            if body.calendar is not None:
                hub = replace(
                    hub,
                    calendar=tuple(
                        CalendarEntry(
                            start=one.start,
                            end=one.end,
                            title=one.title,
                            room=one.room,
                            pin=one.pin,
                        )
                        for one in body.calendar
                    ),
                )
            return hub

        if change(live.hub) != live.hub:
            hub = await self._store.change_hub(live.hub.hub_id, change)
            self._hubs.fleet.changed(hub)
        before = found_view(live)
        self._hubs.fleet.report(
            live, REPORTED[body.doing], status_view(body, at=self._now())
        )
        if found_view(live) != before:
            self._hubs.fleet.tell_screens(live)

    async def report_network(self, call: Call, body: NetworkResult) -> None:
        """Kept over restarts, in place of the one before; no news to the feed."""
        kept = network_of(body, now=self._now())
        hub_id = call.caller.as_hub.hub_id
        hub = await self._store.change_hub(
            hub_id, lambda hub: replace(hub, network=kept)
        )
        self._hubs.fleet.changed(hub)

    async def choose(self, call: Call, body: WantedRoom) -> None:
        """By touch or by calendar."""
        await self._hubs.rooms.go(call.caller.as_hub.live, body.room, pin=body.pin)

    async def room_token(self, call: Call, body: SeatWish) -> SeatView:
        """For where it shall be; the one that it holds, if that is for there."""
        live = call.caller.as_hub.live
        seated = await self._hubs.rooms.token(live, held=body.token)
        who = seated.issued.principal
        return SeatView(
            room=seated.room.hub_id,
            name=seated.room.name,
            token=seated.issued.token,
            role=who.role,
            waiting=who.waiting,
            participant_id=who.participant_id,
            expires_at=who.expires_at,
        )
