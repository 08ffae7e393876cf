"""The collaboration service beside a REST service under test."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from mosaic.auth.interface import Door
from mosaic.bus.interface import Bus
from mosaic.config.settings import Drcp
from mosaic.services.drcp.history import DocumentHistory
from mosaic.services.drcp.service import DrcpService
from mosaic.store.interface import Store


def live_versions(
    reactor: IReactorTime, door: Door, store: Store, bus: Bus, wall: Callable[[], float]
) -> DocumentHistory:
    """Documents of rooms that nobody is in."""
    service = DrcpService(
        reactor,
        Drcp(),
        door=door,
        store=store,
        bus=bus,
        origin_allowed=lambda origin, host: True,
        wall_clock=wall,
    )
    return DocumentHistory(service, store)
