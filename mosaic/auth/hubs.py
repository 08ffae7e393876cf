"""The hubs' part of the door: everything that lets a room box in, or out."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from mosaic.auth.accounts import RunInThread
from mosaic.auth.hubenrol import EnrolmentDesk
from mosaic.auth.hubfleet import Fleet
from mosaic.auth.hublogin import LoginDesk
from mosaic.auth.hubrooms import HubRooms
from mosaic.auth.issue import TokenDesk
from mosaic.auth.rooms import RoomDesk
from mosaic.auth.tries import Tries
from mosaic.bus.interface import Bus
from mosaic.config.settings import Hubs
from mosaic.store.interface import Store


class HubDesk:
    """enrolment, login and rooms of hubs, over one fleet.

    Start it once the store stands, and before anybody may ask.
    """

    def __init__(
        self,
        store: Store,
        bus: Bus,
        tokens: TokenDesk,
        rooms: RoomDesk,
        tries: Tries,
        settings: Hubs,
        *,
        clock: IReactorTime,
        wall: Callable[[], float],
        server_key: bytes,
        run_in_thread: RunInThread,
    ) -> None:
        self._store = store
        self._wall = wall
        self.settings = settings
        self.fleet = Fleet(
            store,
            bus,
            clock=clock,
            wall=wall,
            offline_after_s=settings.offline_after_s,
        )
        self.enrolment = EnrolmentDesk(
            store, self.fleet, tries, settings, server_key=server_key, wall=wall
        )
        self.login = LoginDesk(
            self.fleet,
            settings,
            server_key=server_key,
            wall=wall,
            run_in_thread=run_in_thread,
        )
        self.rooms = HubRooms(store, bus, self.fleet, tokens, rooms, tries, wall=wall)

    async def start(self) -> None:
        """Read the hubs. Raises StoreError."""
        await self.fleet.start()
        self.rooms.start()

    async def stop(self) -> None:
        """Let nobody wait, and note who was here."""
        self.rooms.stop()
        await self.fleet.stop()

    async def forget_expired(self) -> int:
        """Remove codes and seats that are over; how many."""
        codes = await self._store.remove_hub_codes(expired_before=self._wall())
        return codes + await self.rooms.forget_expired()
