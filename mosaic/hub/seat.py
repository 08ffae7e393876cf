"""A seat in the meeting without media: the hub is among the people (DRCP)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.interfaces import IStreamClientEndpoint

from mosaic.drcpclient.client import DrcpClient
from mosaic.hub.participant import IceServer, RoomPass, Seat, Told
from mosaic.proxy.client import Dialler
from mosaic.wire.drcp.client import Message

LAST_RETRY_S = 8.0
OUT = frozenset({4403, 4404, 4423})
"""Close codes that say: not you, or not any more."""


class DrcpParticipant:
    """participant.Participant for a box that has neither screen nor media.

    client: of the meeting that it is in, for whoever adds media to it.
    """

    def __init__(self, reactor: Any, dialler: Dialler, told: Told) -> None:
        self.client: DrcpClient | None = None
        self._reactor = reactor
        self._dialler = dialler
        self._told = told
        self._state = ""

    async def join(self, room: RoomPass, ice_servers: Sequence[IceServer]) -> None:
        """Take a seat; `told` says how it goes."""
        await self.leave()
        parts = urlsplit(room.url)
        secure = parts.scheme == "wss"

        def endpoint() -> IStreamClientEndpoint:
            return self._dialler.endpoint(
                parts.hostname or "", parts.port or (443 if secure else 80), tls=secure
            )

        client = DrcpClient(
            self._reactor,
            room.url,
            room.token,
            name="mosaic-hub",
            endpoint=endpoint,
            last_retry_s=LAST_RETRY_S,
            heard=self.heard,
        )
        self.client = client
        self._tell("joining")
        client.start()
        self._look(client)

    def refresh(self, room: RoomPass) -> None:
        """Use a newer token."""
        if self.client is not None:
            self.client.refresh(room.token)

    async def leave(self) -> None:
        """Get up."""
        client, self.client = self.client, None
        self._state = ""
        if client is not None and client.state != "ended":
            await client.stop()

    def heard(self, message: Message) -> None:
        """For those who build on it."""

    def _look(self, client: DrcpClient) -> None:
        """Called now and after each change, until the client is not ours."""
        if client is not self.client:
            return
        if client.ended is not None:
            code, reason = client.ended
            self.client = None
            self._tell(
                "out" if code in OUT else "ended",
                f"the meeting ended ({code} {reason})".replace(" )", ")"),
            )
            return
        if client.state == "live":
            self._tell("live")
        elif client.state == "offline":
            self._tell("offline", client.problem)
        state = client.state
        client.until(lambda: client.state != state).addCallback(
            lambda _: self._look(client)
        )

    def _tell(self, state: str, problem: str | None = None) -> None:
        if state != self._state or problem:
            self._state = state
            self._told(Seat(state=state, problem=problem))
