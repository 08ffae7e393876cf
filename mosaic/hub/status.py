"""What the hub reports (docs/protocols/hub.md, "what it reports")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mosaic import __version__
from mosaic.hub.machine import HubMachine, State
from mosaic.hub.server import platform_name
from mosaic.hub.updating import UpdateState

_DOING = {
    State.MEETING: "meeting",
    State.PRESENTING: "presenting",
    State.UPDATING: "updating",
}
MAX_TEXT = 300
MAX_NOTES = 4000
MAX_SCREENS = 16
MAX_ENTRIES = 100


def status_of(
    machine: HubMachine,
    *,
    uptime_s: float,
    screens: Sequence[dict[str, Any]],
    proxy: str,
    route: str | None,
    update: UpdateState,
    problem: str | None,
    calendar: Sequence[dict[str, Any]] | None,
) -> dict[str, Any]:
    """The body of PUT status. calendar: None leaves what was said before."""
    status: dict[str, Any] = {
        "doing": _DOING.get(machine.state, "idle"),
        "room": machine.room,
        "version": __version__,
        "platform": platform_name()[:MAX_TEXT],
        "uptime_s": int(uptime_s),
        "screens": list(screens)[:MAX_SCREENS],
        "proxy": proxy[:MAX_TEXT],
        "route": route,
        "update": {
            "state": update.state[:40],
            "available": update.available,
            "notes": update.notes[:MAX_NOTES] if update.notes else None,
            "size": update.size,
        },
        "problem": _short(problem or update.problem),
    }
    if calendar is not None:
        status["calendar"] = list(calendar)[:MAX_ENTRIES]
    return status


def _short(text: str | None) -> str | None:
    return None if text is None else text[:MAX_TEXT]
