"""The TURN server core (RFC 8656): who may ask, and who gets which answer.

`TurnServer` takes STUN messages and the time, and returns events. It owns the
door: integrity, nonces, budgets, unknown attributes. What the methods mean is
in `table`, `permissions` and `tcp`; packets between client and peers never come
here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from mosaic.wire.stun import attributes as stun
from mosaic.wire.stun.address import Address, FiveTuple
from mosaic.wire.stun.attributes import Attribute, ErrorCode
from mosaic.wire.stun.discovery import BadDiscovery, Discovery
from mosaic.wire.stun.errors import MalformedAttribute, MalformedMessage
from mosaic.wire.stun.message import (
    FINGERPRINT_BYTES,
    Class,
    Message,
    Method,
    encode,
    parse,
)
from mosaic.wire.turn.allocation import Allocation
from mosaic.wire.turn.attributes import TURN_UNDERSTOOD
from mosaic.wire.turn.budget import StrangerBudget
from mosaic.wire.turn.counters import Counters
from mosaic.wire.turn.door import Door, PasswordsFor, UsernameOf
from mosaic.wire.turn.events import Answer, CloseRelay, Event
from mosaic.wire.turn.known import KnownAsk
from mosaic.wire.turn.limits import Limits
from mosaic.wire.turn.nonce import ChallengeTerms, Nonces
from mosaic.wire.turn.peers import PeerPolicy
from mosaic.wire.turn.permissions import Permissions
from mosaic.wire.turn.quotas import OwnerOf
from mosaic.wire.turn.refusals import BadRequest, Refusal, UnknownAttribute
from mosaic.wire.turn.request import Request
from mosaic.wire.turn.table import Allocations
from mosaic.wire.turn.tcp import Connections

_SPOOFABLE = ("udp", "udp-proxy")


class TurnServer:
    """One server: all transports of a process feed the same one.

    realm: 1-12 bytes (see `nonce`). passwords_for: long-term passwords.
    discovery: our addresses for RFC 5780; without it mapping alone is told.
    username_of: who a USERHASH stands for (RFC 8489 section 9.2).
    owner_of: whose a username is, for the quota of a person.
    nonce_key: 32 random bytes. Raises ValueError for a realm too long.
    """

    def __init__(
        self,
        *,
        realm: str,
        passwords_for: PasswordsFor,
        username_of: UsernameOf | None = None,
        policy: PeerPolicy,
        nonce_key: bytes,
        limits: Limits | None = None,
        counters: Counters | None = None,
        discovery: Discovery | None = None,
        owner_of: OwnerOf = str,
    ) -> None:
        limits = limits or Limits()
        self.counters = counters or Counters()
        self._door = Door(
            realm=realm,
            passwords_for=passwords_for,
            username_of=username_of,
            nonces=Nonces(nonce_key, realm=realm, lifetime_s=limits.nonce_s),
        )
        self._budget = StrangerBudget(
            per_s=limits.stranger_answers_per_s, burst=limits.stranger_burst
        )
        self._table = Allocations(policy, limits, self.counters, nonce_key, owner_of)
        self._permissions = Permissions(self._table, policy)
        self._discovery = discovery or Discovery()
        self._methods: dict[int, Callable[[Request], list[Event]]] = {
            Method.ALLOCATE: self._table.allocate,
            Method.REFRESH: self._table.refresh,
            Method.CREATE_PERMISSION: self._permissions.create_permission,
            Method.CHANNEL_BIND: self._permissions.channel_bind,
        }
        self._connections = Connections(self._table, self._permissions, nonce_key)
        if limits.tcp_relay:
            self._methods[Method.CONNECT] = self._connections.connect
            self._methods[Method.CONNECTION_BIND] = self._connections.connection_bind

    def datagram_received(
        self, data: bytes, five_tuple: FiveTuple, now: float
    ) -> list[Event]:
        """One STUN message, from a datagram or cut out of a stream.

        Whatever the bytes are, this returns events and raises nothing.
        """
        try:
            message = parse(data)
        except MalformedMessage:
            self.counters.malformed += 1
            return []
        if message.cls is not Class.REQUEST:
            return []
        if message.method == Method.BINDING:
            return self._binding(message, five_tuple, now)
        method = self._methods.get(message.method)
        if method is None:
            return []
        try:
            request = self._door.authenticate(message, five_tuple, now)
        except Refusal as refusal:
            return self._answer_stranger(message, refusal, five_tuple, now)
        return self._perform(request, method)

    def _perform(
        self, request: Request, method: Callable[[Request], list[Event]]
    ) -> list[Event]:
        events = self.expire(request.now)
        try:
            unknown = request.message.unknown_required(TURN_UNDERSTOOD)
            if unknown:
                raise UnknownAttribute(*unknown)
            events += self._with_connections(method(request))
        except MalformedAttribute as error:
            events.append(request.error(BadRequest(str(error))))
        except Refusal as refusal:
            self.counters.refused += 1
            self.counters.peers_refused += refusal.code == 403
            events.append(request.error(refusal))
        return events

    def _binding(
        self, message: Message, five_tuple: FiveTuple, now: float
    ) -> list[Event]:
        """Tell a client where we see it (RFC 8489 section 12), and what it asks
        of its NAT (RFC 5780). Needs no password."""
        unknown = message.unknown_required(self._discovery.understood(five_tuple))
        try:
            if unknown:
                raise UnknownAttribute(*unknown)
            reply = self._discovery.reply(message, five_tuple)
        except (MalformedAttribute, BadDiscovery):
            return self._answer_stranger(message, BadRequest(), five_tuple, now)
        except UnknownAttribute as refusal:
            return self._answer_stranger(message, refusal, five_tuple, now)
        if not self._within_budget(five_tuple, now):
            return []
        self.counters.bindings += 1
        # Over IPv6 this is 44 bytes for a bare request of 20: more than twice,
        # and 1.4 times with the IP and UDP headers. See also `discovery`.
        data = encode(
            message.method,
            Class.SUCCESS,
            message.transaction,
            reply.attributes,
            fingerprint=message.fingerprint,
        )
        return [Answer(reply.five_tuple, data)]

    def challenge_terms(self) -> ChallengeTerms:
        """For a data plane that challenges strangers itself: it answers as we
        would, and each checks what the other has made."""
        return self._door.terms()

    def _within_budget(self, five_tuple: FiveTuple, now: float) -> bool:
        if five_tuple.transport not in _SPOOFABLE:
            return True
        if self._budget.take(five_tuple.client.host, now):
            return True
        self.counters.strangers_over_budget += 1
        return False

    def _answer_stranger(
        self, message: Message, refusal: Refusal, five_tuple: FiveTuple, now: float
    ) -> list[Event]:
        """An unsigned error without reason: short, and only within the budget."""
        follows: list[tuple[Attribute[Any], Any]] = []
        spoofable = five_tuple.transport in _SPOOFABLE
        room = 2 * len(message.raw)
        if refusal.code in (401, 438):
            self.counters.challenges += 1
            ends = FINGERPRINT_BYTES if message.fingerprint else 0
            offer = not spoofable or self._door.offer_bytes + ends <= room
            follows = self._door.challenge(five_tuple.client, now, offer=offer)
        elif refusal.code == 420:
            follows = refusal.attributes()
        data = encode(
            message.method,
            Class.ERROR,
            message.transaction,
            [(stun.ERROR_CODE, ErrorCode(refusal.code)), *follows],
            fingerprint=message.fingerprint,
        )
        if spoofable and len(data) > room:
            self.counters.strangers_too_short += 1
            return []
        within = self._within_budget(five_tuple, now)
        return [Answer(five_tuple, data)] if within else []

    def holds(self, username: str, key: bytes, now: float) -> bool:
        """Whether a key that was vouched for is still the username's."""
        return self._door.holds(username, key, now)

    def admit(
        self, username: str, asks: list[KnownAsk], now: float
    ) -> list[Allocation | None]:
        """The short way of Allocates that the data plane has checked: of a username
        whose key `holds`, after `expire(now)`. The plane opens their relays; then
        comes `admitted` for those. None: the whole message must go to
        `datagram_received`, which may refuse it."""
        return self._table.admit(username, asks, now)

    def admitted(self, made: list[Allocation], relayed: list[Address | None]) -> None:
        """Their relays are open, and the plane answers. None: there was no port,
        and it is as if nothing had been asked."""
        self._table.admitted(made, relayed)

    def relay_opened(self, relay: int, relayed: Address, now: float) -> list[Event]:
        """The plane has opened what `OpenRelay` asked for.

        relayed: as peers see it. If the client has gone meanwhile, the relay
        is closed again.
        """
        return self._table.opened(relay, relayed, now)

    def relay_refused(self, relay: int, code: int) -> list[Event]:
        """The plane could not: 440 for the family, 508 for want of a port."""
        return self._table.not_opened(relay, code)

    def client_lost(self, five_tuple: FiveTuple) -> list[Event]:
        """A stream has closed: its allocation ends (RFC 8656 section 5), unless
        it has a ticket to move by (RFC 8016)."""
        return self._with_connections(self._table.client_lost(five_tuple))

    def drop(self, matches: Callable[[str], bool]) -> list[Event]:
        """End the allocations of usernames that match, at once."""
        return self._with_connections(self._table.drop(matches))

    def expire(self, now: float) -> list[Event]:
        """End what has outlived its time."""
        events = self._table.expire(now)
        if not len(self._connections):
            return events
        return [*self._with_connections(events), *self._connections.expire(now)]

    def next_deadline(self) -> float | None:
        """When `expire` has something to do, on the clock of `now`."""
        ours = self._table.next_deadline()
        theirs = self._connections.next_deadline() if len(self._connections) else None
        if ours is None or theirs is None:
            return theirs if ours is None else ours
        return min(ours, theirs)

    # Connections of TCP allocations (RFC 6062)

    def _with_connections(self, events: list[Event]) -> list[Event]:
        """What happens, and the end of connections whose relays it closes."""
        if not len(self._connections):
            return events
        closed = {event.relay for event in events if isinstance(event, CloseRelay)}
        return [*events, *self._connections.relays_closed(closed)]

    def peer_connected(self, connection: int, now: float) -> list[Event]:
        """A peer has taken what `ConnectPeer` asked for."""
        return self._connections.connected(connection, now)

    def peer_failed(self, connection: int) -> list[Event]:
        """It has not."""
        return self._connections.failed(connection)

    def peer_arrived(
        self, relay: int, peer: Address, now: float
    ) -> tuple[int, list[Event]]:
        """A peer has connected to a relayed address: the connection's number,
        or 0 if it must be closed, and what else is to be done."""
        return self._connections.arrived(relay, peer, now)

    def peer_closed(self, connection: int) -> None:
        """A peer's connection, or the client's that is joined to it, has gone."""
        self._connections.closed(connection)

    def set_limits(self, limits: Limits) -> None:
        """Other limits for what comes; what stands is kept."""
        self._table.set_limits(limits)

    def enforce_policy(self, now: float) -> list[Event]:
        """End what the peer policy, which has changed, no longer allows."""
        events = self._permissions.enforce_policy(now)
        return [*events, *self._connections.enforce_policy()]

    def allocations(self) -> Iterator[Allocation]:
        """Those that stand, for reading."""
        return iter(self._table)

    def made_by(self, five_tuple: FiveTuple) -> str:
        """Who made the client's allocation; "" if there is none."""
        return self._table.made_by(five_tuple)

    def has_allocation(self, five_tuple: FiveTuple) -> bool:
        """Whether the client has one, or is about to."""
        return five_tuple in self._table

    def __len__(self) -> int:
        return len(self._table)
