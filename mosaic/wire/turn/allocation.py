"""What the server remembers of one allocation (RFC 8656 section 5)."""

from __future__ import annotations

from mosaic.wire.stun.address import Address, FiveTuple


class Allocation:
    """One client's relayed address, its permissions and channels.

    relay: its number in commands to the data plane.
    relayed: None while the socket is being opened.
    username: who made it; nobody else may change it (441).
    transaction: of the Allocate, so that its retransmission is known.
    queued_at: its place in the queue of deadlines.
    The data plane keeps its own copy of what it needs for packets; this one
    answers the questions of requests.
    """

    __slots__ = (
        "_channels",
        "_numbers",
        "_permissions",
        "expires_at",
        "family",
        "five_tuple",
        "lifetime_s",
        "queued_at",
        "relay",
        "relayed",
        "transaction",
        "username",
    )

    def __init__(
        self,
        relay: int,
        five_tuple: FiveTuple,
        username: str,
        transaction: bytes,
        family: int,
        lifetime_s: int,
    ) -> None:
        self.relay = relay
        self.five_tuple = five_tuple
        self.username = username
        self.transaction = transaction
        self.family = family
        self.lifetime_s = lifetime_s
        self.expires_at = 0.0
        self.queued_at = 0.0
        self.relayed: Address | None = None
        self._permissions: dict[str, float] | None = None
        self._channels: dict[int, tuple[Address, float]] | None = None
        self._numbers: dict[Address, int] | None = None

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
