"""What the server remembers of one allocation (RFC 8656 section 5)."""

from __future__ import annotations

from mosaic.wire.stun.address import Address, FiveTuple


class Half:
    """One relayed address of an allocation; a dual allocation has two.

    relay: its number in commands to the data plane.
    relayed: None while the socket is being opened.
    failure: why there is none: 440 or 508.
    expires_at: its own end (section 8.1: a Refresh may name one family).
    """

    __slots__ = ("expires_at", "failure", "family", "relay", "relayed")

    def __init__(self, relay: int, family: int) -> None:
        self.relay = relay
        self.family = family
        self.relayed: Address | None = None
        self.failure = 0
        self.expires_at = 0.0


class Allocation:
    """One client's relayed addresses, its permissions and channels.

    username: who made it; nobody else may change it (441).
    transaction: of the Allocate, so that its retransmission is known.
    queued_at: its place in the queue of deadlines.
    tcp: peers are reached over TCP (RFC 6062).
    token: of the port that was reserved with it, or empty.
    tickets: by which it may move (RFC 8016), the last one given first.
    The data plane keeps its own copy of what it needs for packets; this one
    answers the questions of requests.
    """

    __slots__ = (
        "_channels",
        "_numbers",
        "_permissions",
        "five_tuple",
        "halves",
        "lifetime_s",
        "queued_at",
        "tcp",
        "tickets",
        "token",
        "transaction",
        "username",
    )

    def __init__(
        self,
        halves: tuple[Half, ...],
        five_tuple: FiveTuple,
        username: str,
        transaction: bytes,
        lifetime_s: int,
        *,
        tcp: bool = False,
    ) -> None:
        self.halves = halves
        self.five_tuple = five_tuple
        self.username = username
        self.transaction = transaction
        self.lifetime_s = lifetime_s
        self.tcp = tcp
        self.queued_at = 0.0
        self.token = b""
        self.tickets: tuple[bytes, ...] = ()
        self._permissions: dict[str, float] | None = None
        self._channels: dict[int, tuple[Address, float]] | None = None
        self._numbers: dict[Address, int] | None = None

    @property
    def relay(self) -> int:
        """The first half's number: the allocation's in logs and lists."""
        return self.halves[0].relay

    @property
    def relayed(self) -> Address | None:
        """The first relayed address that is open; None while none is."""
        for half in self.halves:
            if half.relayed is not None:
                return half.relayed
        return None

    @property
    def expires_at(self) -> float:
        """When all of it has ended."""
        return max(half.expires_at for half in self.halves)

    @property
    def first_end(self) -> float:
        """When the first half of it ends."""
        halves = self.halves
        if len(halves) == 1:
            return halves[0].expires_at
        return min(half.expires_at for half in halves)

    @property
    def opening(self) -> bool:
        """Whether a half still waits for its socket."""
        return any(not half.relayed and not half.failure for half in self.halves)

    def open_halves(self) -> list[Half]:
        """Those that have a relayed address."""
        return [half for half in self.halves if half.relayed]

    def half_for(self, family: int) -> Half | None:
        """The open half of a family."""
        for half in self.halves:
            if half.family == family and half.relayed:
                return half
        return None

    def give_up(self, family: int) -> None:
        """One family of a dual allocation has ended, with its permissions and
        channels; those of the other are not touched (section 8.1)."""
        self.halves = tuple(half for half in self.halves if half.family != family)
        for host in [h for h in self._permissions or {} if _family(h) == family]:
            del (self._permissions or {})[host]
        for number, peer in self.channels():
            if peer.family == family:
                del (self._channels or {})[number]
                del (self._numbers or {})[peer]

    def permit(self, host: str, expires_at: float, now: float, limit: int) -> bool:
        """Remember a permission; False if there are too many live ones."""
        if self._permissions is None:
            self._permissions = {}
        table = self._permissions
        if host not in table and len(table) >= limit:
            for old in [held for held, ends in table.items() if ends <= now]:
                del table[old]
            if len(table) >= limit:
                return False
        table[host] = expires_at
        return True

    def permits(self, host: str, now: float) -> bool:
        """Whether a permission for the host is alive."""
        return self._permissions is not None and self._permissions.get(host, 0.0) > now

    def bound_elsewhere(self, channel: int, peer: Address, now: float) -> bool:
        """Whether channel or peer is bound to another (RFC 8656 section 12.2)."""
        if self._channels is None or self._numbers is None:
            return False
        self._forget_dead(channel, now)
        number = self._numbers.get(peer)
        if number is not None:
            self._forget_dead(number, now)
        held = self._channels.get(channel)
        return (held is not None and held[0] != peer) or (
            self._numbers.get(peer, channel) != channel
        )

    def _forget_dead(self, channel: int, now: float) -> None:
        assert self._channels is not None
        assert self._numbers is not None
        held = self._channels.get(channel)
        if held is not None and held[1] <= now:
            del self._channels[channel]
            del self._numbers[held[0]]

    def bind(self, channel: int, peer: Address, expires_at: float) -> None:
        """Remember a binding that `bound_elsewhere` has no objection to."""
        if self._channels is None or self._numbers is None:
            self._channels, self._numbers = {}, {}
        self._channels[channel] = (peer, expires_at)
        self._numbers[peer] = channel

    def permissions(self) -> list[tuple[str, float]]:
        """Every host that has a permission and its end, dead ones too."""
        return list((self._permissions or {}).items())

    def channels(self) -> list[tuple[int, Address]]:
        """Every binding, dead ones too."""
        return [(n, peer) for n, (peer, _) in (self._channels or {}).items()]


def _family(host: str) -> int:
    return 6 if ":" in host else 4
