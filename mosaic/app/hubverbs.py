"""What `mosaic hub` asks a running server for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred

from mosaic.app.control import ControlError, Verb
from mosaic.auth.hubs import HubDesk
from mosaic.store.interface import NotFound
from mosaic.workspace.hubs import Hub


def hub_record(hub: Hub, *, doing: str, last_seen: float) -> dict[str, Any]:
    """A hub as the command prints it."""
    return {
        "hub_id": hub.hub_id,
        "name": hub.name,
        "doing": doing,
        "room": hub.desired.room,
        "version": hub.version,
        "platform": hub.platform,
        "network": None if hub.network is None else hub.network.outcome,
        "last_seen": round(last_seen, 3),
        "enrolled_at": round(hub.enrolled_at, 3),
    }


def hub_verbs(hubs: HubDesk) -> dict[str, Verb]:
    """For the control socket."""

    def every(request: Mapping[str, Any]) -> Any:
        fleet = hubs.fleet
        records = [
            hub_record(
                live.hub,
                doing=live.doing.name.lower() if live.online else "offline",
                last_seen=fleet.last_seen(live),
            )
            for live in fleet.every()
        ]
        return {"hubs": records}

    async def end(hub_id: str) -> Any:
        try:
            await hubs.rooms.remove(hub_id)
        except NotFound as error:
            raise ControlError(str(error)) from error
        return {}

    def remove(request: Mapping[str, Any]) -> Any:
        return Deferred.fromCoroutine(end(str(request.get("hub_id"))))

    return {"hub.list": every, "hub.remove": remove}
