"""Flows that were looked up once, for the pure plane.

A packet of an established channel needs no more than this: until when all that
lets it through is valid, and where it goes. The full walk (`Route`) makes these
and every command that concerns them forgets them; a bandwidth limit keeps them
from being made.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Any

from mosaic.relay.interface import PlaneCounters
from mosaic.wire.stun.address import Address

Send = Callable[[memoryview], Any]
"""Sends a frame to a client; raises OSError."""

ToPeer = tuple[float, Callable[[memoryview, Address], Any], Address]
"""Valid until then; `sendto` of the relay's socket; the peer."""

ToClient = tuple[float, int, Send]
"""Valid until then; the channel; how the frame leaves."""

ClientWays = dict[Any, dict[int, ToPeer]]
"""Of one address of ours: by client, by channel."""

HEAD = Struct(">HH")
"""Of a ChannelData message: channel and length (RFC 8656 section 12.4)."""

HEADROOM = HEAD.size


class Ways:
    """The flows of one allocation.

    to_peers: by channel. to_client: by what the kernel calls the peer.
    """

    __slots__ = ("to_client", "to_peers")

    def __init__(self) -> None:
        self.to_peers: dict[int, ToPeer] = {}
        self.to_client: dict[Any, ToClient] = {}

    def forget(self) -> None:
        """Look everything up again."""
        self.to_peers.clear()
        self.to_client.clear()


class Flows:
    """What the sockets of one plane share.

    counters: where what passes is counted. clock: seconds, never backwards.
    """

    __slots__ = ("_clients", "clock", "counters")

    def __init__(
        self,
        counters: PlaneCounters | None = None,
        clock: Callable[[], float] = float,
    ) -> None:
        self.counters = counters or PlaneCounters()
        self.clock = clock
        self._clients: dict[Address, ClientWays] = {}

    def clients_of(self, server: Address) -> ClientWays:
        """The UDP clients that reach us at that address; the same every time."""
        return self._clients.setdefault(server, {})

    def from_clients(self, packets: int, size_bytes: int) -> None:
        """Count what went to peers."""
        self.counters.from_clients += packets
        self.counters.from_clients_bytes += size_bytes
