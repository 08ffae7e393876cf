"""The media data plane: sockets, and packets between clients and peers.

A plane owns every UDP socket of the relay. It moves ChannelData, Send and Data
by its own tables, and hands every other STUN message to the control side. The
control side changes the tables by commands, which take effect in their order;
what must wait for them (the answer to the client) goes through `settled`.

One contract suite runs over every plane (tests/contracts/test_relay.py). None
may need more than this interface: the native plane keeps its tables in a
thread of its own. A plane may answer plain Binding requests itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from mosaic.wire.stun.address import Address, FiveTuple
from mosaic.wire.turn.known import KnownAsk
from mosaic.wire.turn.nonce import ChallengeTerms

Control = Callable[[bytes, FiveTuple], None]
"""Called with each STUN message that is not data."""

Sink = Callable[[bytes], None]
"""Takes one whole frame for a stream client."""

Joining = Callable[[list[bytes]], None]
"""Takes all frames that came for a stream client in one wake-up."""


BURST_S = 1.0
"""How many seconds' worth a bandwidth limit lets pass at once."""

LEAST_BURST_BYTES = 65536
"""The largest datagram must fit into any limit."""


class RelayError(Exception):
    """A relay socket cannot be opened."""


class NoRelayPort(RelayError):
    """Every port of the range is taken, or no descriptor is left."""


class HostUnavailable(RelayError):
    """The machine has no such address."""


@dataclass(slots=True)
class PlaneCounters:
    """Plain numbers for metrics; they only grow.

    *_no_route: no allocation, permission or channel lets the packet through.
    *_failed: the kernel would not take it.
    bindings, challenges: answered by the plane itself, in which case the core
    sees none.
    *_dropped: for want of room between the plane's thread and the reactor.
    stream_frames_dropped: of TCP clients whose queue was full, or too old.
    icmp: ICMP errors that clients were told of.
    over_limit: dropped because the allocation or its user was too fast.
    """

    from_clients: int = 0
    from_clients_bytes: int = 0
    from_peers: int = 0
    from_peers_bytes: int = 0
    hairpins: int = 0
    from_clients_no_route: int = 0
    from_peers_no_route: int = 0
    to_clients_failed: int = 0
    to_peers_failed: int = 0
    to_peers_refused: int = 0
    over_limit: int = 0
    icmp: int = 0
    not_stun: int = 0
    bindings: int = 0
    bindings_over_budget: int = 0
    challenges: int = 0
    challenges_over_budget: int = 0
    challenges_too_short: int = 0
    controls_dropped: int = 0
    frames_dropped: int = 0
    stream_frames_dropped: int = 0
    streams_dropped: int = 0


class RelayPlane(Protocol):
    """A data plane. Times are seconds on the clock that it was given.

    Bandwidth limits count payload bytes, both directions together, on every
    transport. A limit lets BURST_S seconds' worth pass at once, and at least
    one datagram of any size; what is over it is dropped and counted.
    """

    @property
    def abilities(self) -> frozenset[str]:
        """What this plane does beyond the least; the service offers no more.

        "dual", "reserve", "move": see the commands. "df": a Send indication
        with DONT-FRAGMENT leaves with the DF bit. "icmp": clients are told of
        ICMP errors (RFC 8656 section 11.5). "admit": see `AdmittingPlane`.
        """

    @property
    def counters(self) -> PlaneCounters:
        """What has moved so far."""

    def start(self, control: Control) -> None:
        """Begin to hand over STUN messages (on the reactor's thread)."""

    def stop(self) -> None:
        """Close every socket; nothing is called after this returns."""

    def listen(self, host: str, port: int) -> Address:
        """Open a UDP listener; port 0 picks one. Raises OSError.

        An IPv6 listener takes IPv6 alone. A wildcard listener answers from
        the address that the client reached.
        """

    def send(self, to: FiveTuple, data: bytes) -> None:
        """An answer, over the listener or stream that the client used.

        It leaves after every command so far has taken effect: the client's
        next packet finds what it was granted.
        """

    def attach_stream(
        self, five_tuple: FiveTuple, sink: Sink, many: Joining | None = None
    ) -> None:
        """A client of a stream, DTLS or a balancer has come.

        many: preferred by a plane that has several frames at once.
        """

    def detach_stream(self, five_tuple: FiveTuple) -> None:
        """It has gone. Its allocation is closed by a command."""

    def stream_received(self, five_tuple: FiveTuple, message: bytes) -> None:
        """One whole message from a stream client."""

    def stream_run(self, five_tuple: FiveTuple, data: bytes) -> int:
        """Bytes of a TCP or TLS client that begin with a message: whole
        ChannelData messages with their padding, and Send indications, up to the
        first of another kind. How many bytes were taken."""

    def open_relay(
        self,
        relay: int,
        five_tuple: FiveTuple,
        *,
        bind: str,
        advertise: str,
        expires_at: float,
        even: bool = False,
        bytes_per_s: float = 0.0,
        user: int = 0,
        reserve: int = 0,
        claims: int = 0,
    ) -> Address:
        """Open an allocation's socket on a random port; how peers see it.

        A client may have two relays, of different families ("dual"): what it
        sends goes out by the one that has the channel or the permission.
        reserve: the port is even and the next one is held under this number,
        until a relay claims it or `close` frees it ("reserve").
        claims: open on the port that is held under this number.

        relay: a number that is never used again. Raises RelayError.
        bytes_per_s: the allocation's own limit, 0 for none.
        user: allocations with the same number share the limit that
        `limit_user` gives it; 0 for nobody.
        """

    def limit(self, relay: int, bytes_per_s: float) -> None:
        """Another limit for an allocation from now on; 0 lifts it."""

    def limit_user(self, user: int, bytes_per_s: float) -> None:
        """A limit that a user's allocations share, made before they open; 0
        lifts it, and the number may be forgotten."""

    def extend(self, relay: int, expires_at: float) -> None:
        """The allocation passes packets until then."""

    def move(self, relay: int, five_tuple: FiveTuple) -> None:
        """The client is reached over another five-tuple from now on ("move")."""

    def permit(
        self, relay: int, host: str, expires_at: float, *, own_only: bool
    ) -> None:
        """Install or refresh a permission.

        own_only: it counts between relayed addresses of ours alone.
        """

    def bind(self, relay: int, channel: int, peer: Address, expires_at: float) -> None:
        """Bind or refresh a channel, after a permission for the peer's host."""

    def close(self, relay: int) -> None:
        """End an allocation. Commands for a number that is gone do nothing."""

    def settled(self, done: Callable[[], None]) -> None:
        """Call back when every command so far has taken effect."""


@runtime_checkable
class ChallengingPlane(Protocol):
    """A plane that meets strangers itself, so that the reactor need not."""

    def challenge_with(self, terms: ChallengeTerms) -> None:
        """Answer requests over UDP that have no credentials with 401 from now
        on, as the core would, within the same bounds."""


class Granting(NamedTuple):
    """What the clients of one credential get who are granted a relay together.

    key: signs the answers. bytes_per_s, user: as `open_relay` takes them.
    """

    bind: str
    advertise: str
    key: bytes
    bytes_per_s: float
    user: int


class Grant(NamedTuple):
    """What one of them gets."""

    ask: KnownAsk
    relay: int
    expires_at: float
    lifetime_s: int


@runtime_checkable
class AdmittingPlane(Protocol):
    """A plane that checks who asks, and hands over many who do at once."""

    def admit_with(self, admit: Callable[[list[KnownAsk]], None]) -> None:
        """Whom to tell of them. They do not come to `control`: what is not granted
        goes on from there."""

    def know(self, username: str, key: bytes) -> None:
        """Check requests of this username with this key (16 bytes): those that
        it signs go to `admit`, all others to `control` as ever."""

    def username_of(self, credential: int) -> tuple[str, bytes] | None:
        """What it was told under a number; None if it was forgotten since."""

    def grant(self, granting: Granting, grants: list[Grant]) -> list[Address | None]:
        """Open relays as `open_relay` does, and answer when `admit` returns. How
        peers see each; None for one that could not be opened, and is not
        answered."""


class Lender(Protocol):
    """Whose connection a plane reads and writes for a while."""

    def lent_received(self, message: bytes) -> None:
        """A STUN message that is no data."""

    def lent_lost(self, *, broken: bool) -> None:
        """The connection has ended. broken: what came was no TURN."""

    def given_back(self, unread: bytes, unsent: bytes) -> None:
        """It is yours again: what came and was not used, and what must leave
        before anything else."""


class Secured(Protocol):
    """OpenSSL of a connection with TLS: see `mosaic.tls.openssl.Lent`."""

    @property
    def address(self) -> int:
        """Where its object is, which lives as long as this does."""

    @property
    def calls(self) -> tuple[int, int, int, int]:
        """Where SSL_read, SSL_write, SSL_get_error and ERR_clear_error are."""

    def stand_on(self, fd: int) -> None:
        """Use this descriptor from now on. Raises MemoryError."""


@runtime_checkable
class AdoptingPlane(Protocol):
    """A plane that reads and writes the connections of TCP and TLS clients itself,
    for as long as they have a relay."""

    def adopt(
        self,
        five_tuple: FiveTuple,
        fd: int,
        unread: bytes,
        lender: Lender,
        *,
        queue_bytes: int,
        queue_s: float,
        secured: Secured | None = None,
    ) -> None:
        """The client of a relay that has just been opened or moved, and its socket's
        descriptor, which stays the lender's: nobody else reads or writes it
        until `given_back`, or `detach_stream`.

        unread: what came and is no whole message. What is sent waits in a
        queue of so many bytes and seconds; past that whole frames are dropped.
        secured: the connection speaks TLS; nobody else touches that either.
        Raises OSError if there is no descriptor left.
        """
