"""Hubs in the store without a reactor: what `mosaic hub` needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mosaic.store import sql_hubs, sql_hubwork
from mosaic.store.hubs import HubSeat
from mosaic.workspace.hubcodes import HubCode
from mosaic.workspace.hubs import Hub


class DirectHubs:
    """The part of DirectStore; each as its namesake in store.hubs.Hubs."""

    _run: Callable[..., Any]

    def add_hub_code(self, code: HubCode) -> None:
        """Raises NameTaken."""
        self._run(sql_hubs.add_code, code)

    def hubs(self) -> list[Hub]:
        """All, oldest first."""
        hubs: list[Hub] = self._run(sql_hubs.every)
        return hubs

    def remove_hub(self, hub_id: str) -> None:
        """Raises NotFound."""
        self._run(sql_hubs.remove, hub_id)

    def hub_seats(self, hub_id: str) -> list[HubSeat]:
        """Oldest first."""
        seats: list[HubSeat] = self._run(sql_hubwork.seats_of, hub_id)
        return seats
