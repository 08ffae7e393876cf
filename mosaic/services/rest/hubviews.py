"""Hubs as JSON documents."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec

from mosaic.auth.hubfleet import Fleet, Live
from mosaic.services.rest.hubdocuments import (
    DesiredView,
    Feed,
    FeedCommand,
    FeedHub,
    FoundView,
    HubView,
    MeetingView,
    NetworkCheckDoc,
    NetworkDetails,
    NetworkResult,
    NetworkVerdictDoc,
    NetworkView,
    Status,
    StatusView,
    UpdatePolicyView,
    WindowView,
)
from mosaic.services.rest.rooms import JoinUrl
from mosaic.workspace.hubnetwork import HubNetwork, NetworkTrial, NetworkVerdict
from mosaic.workspace.hubs import Desired, UpdatePolicy
from mosaic.workspace.model import Room


def hub_view(fleet: Fleet, live: Live) -> HubView:
    """A hub as those see it who may command it."""
    hub = live.hub
    doing: Any = live.doing.name.lower() if live.online else "offline"
    return HubView(
        hub_id=hub.hub_id,
        name=hub.name,
        enrolled_at=hub.enrolled_at,
        online=live.online,
        last_seen=round(fleet.last_seen(live), 3),
        doing=doing,
        version=hub.version,
        platform=hub.platform,
        desired=desired_view(hub.desired),
        update=update_view(hub.update),
        has_calendar=hub.calendar_url is not None,
        network=network_view(hub.network),
        status=cast("StatusView | None", live.status),
    )


def status_view(status: Status, *, at: float) -> StatusView:
    """A report as it is kept and shown: without the calendar and its PINs."""
    told = {name: getattr(status, name) for name in status.__struct_fields__}
    del told["calendar"]
    return StatusView(at=at, **told)


def feed_view(
    live: Live, room: Room, join_url: JoinUrl, *, agent: bool, report: bool
) -> Feed:
    """What the feed answers. agent: to the agent, and not to a screen."""
    hub = live.hub
    link = join_url(room.hub_id, room.pin)
    return Feed(
        seq=hub.seq,
        hub=FeedHub(
            hub_id=hub.hub_id,
            name=hub.name,
            pin=room.pin,
            join_url=link,
            join_host=urlsplit(link).netloc,
        ),
        desired=desired_view(hub.desired),
        commands=[
            FeedCommand(
                id=one.id,
                command=one.command,
                arguments=msgspec.json.decode(one.arguments),
            )
            for one in (live.commands if agent else ())
        ],
        calendar=[
            MeetingView(
                start=int(one.start), end=int(one.end), title=one.title, room=one.room
            )
            for one in hub.calendar
        ],
        calendar_url=hub.calendar_url if agent else None,
        report=report,
        update=update_view(hub.update),
        found=None if agent else found_view(live),
        network=None if agent else network_view(hub.network),
    )


def found_view(live: Live) -> FoundView | None:
    """The update that the agent reported last, as a wall needs it."""
    status: StatusView | None = live.status
    if status is None or status.update is None:
        return None
    told = status.update
    return FoundView(
        state=told.state,
        available=told.available,
        notes=told.notes,
        size=told.size,
        runs=status.version,
    )


def network_view(network: HubNetwork | None) -> NetworkView | None:
    """In short, for lists and walls."""
    return None if network is None else NetworkView(**_network(network))


def network_details(network: HubNetwork) -> NetworkDetails:
    """With everything that was tried."""
    checks = [NetworkCheckDoc(**_fields(one)) for one in network.checks]
    return NetworkDetails(**_network(network), checks=checks)


def network_of(result: NetworkResult, *, now: float) -> HubNetwork:
    """A report as it is kept. now: Unix seconds."""
    return HubNetwork(
        at=round(now - result.age_s, 3),
        reason=result.reason,
        outcome=result.outcome,
        quick=result.quick,
        via=result.via,
        took_s=result.took_s,
        verdicts=tuple(
            NetworkVerdict(**msgspec.structs.asdict(one)) for one in result.verdicts
        ),
        checks=tuple(
            NetworkTrial(**msgspec.structs.asdict(one)) for one in result.checks
        ),
    )


def _network(network: HubNetwork) -> dict[str, Any]:
    told = _fields(network)
    del told["checks"]
    told["verdicts"] = [NetworkVerdictDoc(**_fields(one)) for one in network.verdicts]
    return told


def _fields(kept: HubNetwork | NetworkVerdict | NetworkTrial) -> dict[str, Any]:
    return {each.name: getattr(kept, each.name) for each in fields(kept)}


def desired_view(desired: Desired) -> DesiredView:
    """Without how it came there."""
    return DesiredView(
        room=desired.room,
        volume=desired.volume,
        muted=desired.muted,
        screen_on=desired.screen_on,
        layout=cast("Any", desired.layout),
        locale=desired.locale,
    )


def update_view(update: UpdatePolicy) -> UpdatePolicyView:
    """Which releases, and when."""
    window = None
    if update.window is not None:
        window = WindowView(start=update.window.start, end=update.window.end)
    return UpdatePolicyView(channel=update.channel, window=window)
