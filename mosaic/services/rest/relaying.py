"""Credentials for our own STUN and TURN."""

from __future__ import annotations

from collections.abc import Sequence

from mosaic.auth.interface import Door
from mosaic.config.settings import Region
from mosaic.services.rest.documents import TurnView, region_views
from mosaic.services.rest.gate import asked_host
from mosaic.services.rest.operations import Call, Operation, Who


class Relaying:
    """The one operation that calls need."""

    def __init__(self, *, door: Door, regions: Sequence[Region] = ()) -> None:
        self._door = door
        self._regions = region_views(regions)

    def operations(self) -> tuple[Operation, ...]:
        """This resource's part of the table."""
        return (
            Operation(
                id="makeTurnCredentials",
                method="POST",
                path="/turn-credentials",
                summary="Time-limited credentials and URLs for STUN and TURN",
                tag="turn",
                who=Who.ADMITTED,
                run=self.make,
                answer=TurnView,
            ),
        )

    async def make(self, call: Call, body: None) -> TurnView:
        """URLs at the host that the caller reached us by."""
        made = self._door.turn_credentials(call.caller.known, asked_host(call.request))
        return TurnView(
            urls=list(made.urls),
            username=made.username,
            credential=made.credential,
            ttl=made.ttl,
            regions=self._regions,
        )
