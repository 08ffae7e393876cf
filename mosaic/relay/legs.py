"""What the pure plane keeps of one relay."""

from __future__ import annotations

from collections.abc import Callable

from mosaic.relay.limit import ByteLimit
from mosaic.relay.relaysocket import RelaySocket
from mosaic.relay.ways import Ways
from mosaic.wire.turn.forwarding import Route


class Leg:
    """A relay here: its route, its socket, the way to its client.

    other: the relay of the other family, if the client has two. host: what its
    socket was bound to.
    """

    __slots__ = ("deliver", "host", "limit", "other", "route", "socket", "user", "ways")

    def __init__(
        self, route: Route, deliver: Callable[[bytes], bool], user: int, host: str
    ) -> None:
        self.host = host
        self.route = route
        self.deliver = deliver
        self.user = user
        self.ways = Ways()
        self.limit: ByteLimit | None = None
        self.other: Leg | None = None
        self.socket: RelaySocket | None = None
