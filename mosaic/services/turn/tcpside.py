"""The service's half that TCP allocations need (RFC 6062)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.logger import Logger

from mosaic.relay.interface import HostUnavailable, RelayError, RelayPlane
from mosaic.services.turn.listen import RelayHosts
from mosaic.services.turn.tcprelay import Stream, TcpRelays
from mosaic.wire.stun.address import Address, FiveTuple
from mosaic.wire.turn.events import (
    ClosePeer,
    ConnectPeer,
    Event,
    JoinPeer,
    OpenRelay,
)
from mosaic.wire.turn.server import TurnServer

_log = Logger()


class TcpSide:
    """Performs what the core asks of TCP, and tells it what has come of it.

    perform: performs the core's events. stream_of: a client's stream.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        core: TurnServer,
        plane: RelayPlane,
        hosts: RelayHosts,
        ports: tuple[int, int],
        quarantine_s: float,
        clock: Callable[[], float],
        perform: Callable[[list[Event]], None],
        stream_of: Callable[[FiveTuple], Stream | None],
    ) -> None:
        self._core = core
        self._plane = plane
        self._hosts = hosts
        self._clock = clock
        self._perform = perform
        self._stream_of = stream_of
        self._relays = TcpRelays(
            reactor, self, ports=ports, clock=clock, quarantine_s=quarantine_s
        )

    def __len__(self) -> int:
        return len(self._relays)

    def limit(self, relay: int, bytes_per_s: float) -> None:
        """Another bandwidth for an allocation."""
        self._relays.limit(relay, bytes_per_s)

    def limit_user(self, user: int, bytes_per_s: float) -> None:
        """Another bandwidth for a user's allocations together."""
        self._relays.limit_user(user, bytes_per_s)

    def open(self, wanted: OpenRelay, *, user: int, bytes_per_s: float) -> bool:
        """Listen on a relayed address, and tell how it went; whether it went."""
        hosts = self._hosts.choose(wanted.family, wanted.five_tuple.server.host)
        try:
            if hosts is None:
                raise HostUnavailable(f"no IPv{wanted.family} address")
            bind, advertise = hosts
            relayed = self._relays.open(
                wanted.relay,
                bind=bind,
                advertise=advertise,
                user=user,
                bytes_per_s=bytes_per_s,
            )
        except HostUnavailable:
            self._perform(self._core.relay_refused(wanted.relay, 440))
            return False
        except RelayError as error:
            _log.warn("no TCP relay: {error}", error=error)
            self._perform(self._core.relay_refused(wanted.relay, 508))
            return False
        now = self._clock()
        self._perform(self._core.relay_opened(wanted.relay, relayed, now))
        return True

    def perform(self, event: ConnectPeer | JoinPeer | ClosePeer) -> None:
        """One of the core's events about connections."""
        match event:
            case ConnectPeer(relay, connection, peer):
                self._relays.connect(relay, connection, peer)
            case JoinPeer(connection, five_tuple):
                # after the answer, which waits for the plane as well; what the
                # client says to it must not be taken for a message
                stream = self._stream_of(five_tuple)
                if stream is not None:
                    stream.hold()
                self._plane.settled(partial(self._join, connection, five_tuple))
            case ClosePeer(connection):
                self._relays.hang_up(connection)

    def _join(self, connection: int, five_tuple: FiveTuple) -> None:
        stream = self._stream_of(five_tuple)
        if stream is None:
            self._relays.hang_up(connection)
            self._core.peer_closed(connection)
        else:
            self._relays.join(connection, stream)

    def close(self, relay: int) -> None:
        """A relay has ended; nothing happens if it was none of these."""
        self._relays.close(relay)

    def stop(self) -> None:
        """Close everything."""
        self._relays.stop()

    # What happens to connections

    def peer_arrived(self, relay: int, peer: Address) -> int:
        """A number for a peer's connection, or 0 to close it."""
        number, events = self._core.peer_arrived(relay, peer, self._clock())
        self._perform(events)
        return number

    def peer_connected(self, connection: int) -> None:
        """What was asked for is there."""
        self._perform(self._core.peer_connected(connection, self._clock()))

    def peer_failed(self, connection: int) -> None:
        """It will not come."""
        self._perform(self._core.peer_failed(connection))

    def peer_closed(self, connection: int) -> None:
        """It was there, and has gone."""
        self._core.peer_closed(connection)
