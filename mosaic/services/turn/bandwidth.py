"""Whose relays are whose, and how fast they may be."""

from __future__ import annotations

from mosaic.auth.turn_credentials import owner_of
from mosaic.config.settings import Turn
from mosaic.relay.interface import RelayPlane
from mosaic.services.turn.tcpside import TcpSide
from mosaic.services.turn.users import Users
from mosaic.wire.turn.visitors import BYTES_PER_S, is_visitor


class Bandwidth:
    """Tells the plane, and the side of TCP, the limits of relays and of users.

    bytes_per_s: what a relay gets that opens now; 0 for no limit.
    """

    def __init__(self, plane: RelayPlane, tcp: TcpSide, settings: Turn) -> None:
        self._plane = plane
        self._tcp = tcp
        self.users = Users()
        self._visitors: set[int] = set()
        self.bytes_per_s = settings.bytes_per_s_allocation
        self._user_bytes_per_s = settings.bytes_per_s_user

    def user(self, username: str) -> tuple[str, int]:
        """Whose a username is, and the number of that user."""
        owner = owner_of(username) or username
        number, new = self.users.number(owner)
        if new and is_visitor(owner):
            self._visitors.add(number)
            self._limit_user(number, self._of_visitor())
        elif new and self._user_bytes_per_s:
            self._limit_user(number, self._user_bytes_per_s)
        return owner, number

    def _of_visitor(self) -> float:
        """A stranger who checks the network is never faster than a user."""
        return min(self._user_bytes_per_s or BYTES_PER_S, BYTES_PER_S)

    def opened(self, relay: int, owner: str) -> None:
        """A relay of somebody who has a number."""
        self.users.opened(relay, owner)

    def opened_all(self, owner: str, relays: list[int]) -> None:
        """Several of them."""
        self.users.opened_all(relays, owner)

    def refused(self, owner: str) -> None:
        """There was no relay to be had: who has no other is forgotten."""
        self._forget(self.users.settle(owner))

    def closed(self, relay: int) -> None:
        """A relay has ended."""
        self._forget(self.users.closed(relay))

    def limit_relays(self, bytes_per_s: float) -> None:
        """Another limit for each relay, those that are open too."""
        self.bytes_per_s = bytes_per_s
        for relay in self.users.relays():
            self._plane.limit(relay, bytes_per_s)
            self._tcp.limit(relay, bytes_per_s)

    def limit_users(self, bytes_per_s: float) -> None:
        """Another limit for each user."""
        self._user_bytes_per_s = bytes_per_s
        for user in self.users.numbers():
            limit = self._of_visitor() if user in self._visitors else bytes_per_s
            self._limit_user(user, limit)

    def _limit_user(self, user: int, bytes_per_s: float) -> None:
        self._plane.limit_user(user, bytes_per_s)
        self._tcp.limit_user(user, bytes_per_s)

    def _forget(self, user: int | None) -> None:
        if user is not None:
            self._visitors.discard(user)
            self._limit_user(user, 0.0)
