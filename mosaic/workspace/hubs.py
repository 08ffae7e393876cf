"""What a room box says of itself, for those who see it as a contact."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Doing(StrEnum):
    """What a hub is doing."""

    IDLE = "idle"
    MEETING = "in a meeting"
    PRESENTING = "presenting"
    UPDATING = "updating"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True, kw_only=True)
class HubState:
    """A hub as others see it. id: stands in its address; name: is shown."""

    id: str
    name: str
    doing: Doing


class HubSource(Protocol):
    """Whoever knows the hubs."""

    def states(self) -> Iterable[HubState]:
        """Every enrolled hub, offline ones too."""

    def listen(self, changed: Callable[[HubState], None]) -> None:
        """Be told of each change; a hub that was not there before is one."""
