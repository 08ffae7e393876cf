"""The table of allocations: Allocate, Refresh and ends (RFC 8656 sections 7-8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from mosaic.wire.stun.address import Address, FiveTuple
from mosaic.wire.stun.attributes import Attribute
from mosaic.wire.turn import attributes as turn
from mosaic.wire.turn.allocated import allocated
from mosaic.wire.turn.allocation import Allocation, Half
from mosaic.wire.turn.counters import Counters
from mosaic.wire.turn.deadlines import Deadlines
from mosaic.wire.turn.events import (
    CloseRelay,
    Event,
    Extend,
    Move,
    OpenRelay,
    Vouch,
)
from mosaic.wire.turn.forwarding import STREAMS
from mosaic.wire.turn.known import KnownAsk
from mosaic.wire.turn.limits import Limits
from mosaic.wire.turn.peers import PeerPolicy
from mosaic.wire.turn.quotas import OwnerOf, Quotas, quota_host
from mosaic.wire.turn.refusals import (
    AddressFamilyNotSupported,
    AllocationMismatch,
    BadRequest,
    InsufficientCapacity,
    MobilityForbidden,
    PeerFamilyMismatch,
    TryAlternate,
    WrongCredentials,
)
from mosaic.wire.turn.request import Request
from mosaic.wire.turn.reservations import Reservation, Reservations
from mosaic.wire.turn.tickets import Tickets
from mosaic.wire.turn.visitors import LIFETIME_S as VISITOR_S
from mosaic.wire.turn.wanted import Wanted, granted_lifetime, read_allocate


class Allocations:
    """All allocations by five-tuple, and the methods that change them.

    Each method takes an authenticated request and returns events, or raises a
    Refusal or MalformedAttribute.
    """

    def __init__(
        self,
        policy: PeerPolicy,
        limits: Limits,
        counters: Counters,
        key: bytes,
        owner_of: OwnerOf = str,
    ) -> None:
        self._counters = counters
        self._last_relay = 0
        self._policy = policy
        self._limits = limits
        self._reservations = Reservations(key)
        self._tickets = Tickets(key)
        self._by_tuple: dict[FiveTuple, Allocation] = {}
        self._by_relay: dict[int, Allocation] = {}
        self._opening: dict[int, tuple[Request, Allocation]] = {}
        self._reserving: dict[int, int] = {}
        self._relayed: set[Address] = set()
        self._relayed_tcp: set[Address] = set()
        self._quotas = Quotas(owner_of)
        self._deadlines = Deadlines(self._by_tuple.values())

    def __len__(self) -> int:
        return len(self._by_tuple)

    def __contains__(self, five_tuple: FiveTuple) -> bool:
        return five_tuple in self._by_tuple

    def _number(self) -> int:
        """The next relay number: never used before."""
        self._last_relay += 1
        return self._last_relay

    # Allocate (section 7)

    def allocate(self, request: Request) -> list[Event]:
        """Ask for a relay, or answer a retransmission as the first time."""
        message, five_tuple = request.message, request.five_tuple
        held = self._by_tuple.get(five_tuple)
        if held is not None:
            # 7.2: 437 if the five-tuple is in use, but for a retransmission.
            if held.transaction != message.transaction:
                raise AllocationMismatch("this five-tuple has an allocation")
            if held.opening:
                return []
            return [allocated(request, held)]
        stream = five_tuple.transport in STREAMS
        wanted = read_allocate(message, self._limits, stream=stream)
        reserved = self._reserved(wanted, request)
        self._redirect(five_tuple)
        if reserved is None:
            self._check_quotas(request)
        families = wanted.families if reserved is None else (reserved.family,)
        allocation = Allocation(
            tuple(Half(self._number(), family) for family in families),
            five_tuple,
            request.username,
            message.transaction,
            self._lifetime(request.username, wanted.lifetime_s),
            tcp=wanted.tcp,
        )
        self._add(allocation, request)
        if wanted.mobile:
            self._tickets.give(allocation)
        reserve = self._number() if wanted.reserve else 0
        if reserved is not None:
            self._reservations.claim(reserved)
            self._quotas.refund(reserved.username, reserved.host)
        if reserve:
            self._reserving[allocation.relay] = reserve
        return [
            OpenRelay(
                half.relay,
                five_tuple,
                half.family,
                half.expires_at,
                wanted.even,
                reserve,
                0 if reserved is None else reserved.number,
                wanted.tcp,
            )
            for half in allocation.halves
        ]

    def _reserved(self, wanted: Wanted, request: Request) -> Reservation | None:
        """The port that a RESERVATION-TOKEN names; 508 if there is none."""
        if not wanted.token:
            return None
        find = self._reservations.find
        reserved = find(wanted.token, request.username, request.now)
        if reserved is None:
            raise InsufficientCapacity("no port is reserved by this token")
        return reserved

    def is_visitor(self, allocation: Allocation) -> bool:
        """Whether it is of a stranger who checks the network."""
        return self._quotas.is_visitor(allocation.username)

    def _lifetime(self, username: str, granted_s: int) -> int:
        """A visitor's allocation ends soon, whatever was asked for."""
        return VISITOR_S if self._quotas.is_visitor(username) else granted_s

    def _redirect(self, five_tuple: FiveTuple) -> None:
        """300 while new clients are sent elsewhere (RFC 8489 section 10): to a
        server of the family that the client uses."""
        for alternate in self._limits.alternates:
            if alternate.family == five_tuple.client.family:
                raise TryAlternate(alternate)

    def _check_quotas(self, request: Request) -> None:
        if len(self._by_tuple) >= self._limits.total:
            raise InsufficientCapacity("no more allocations")
        host = request.five_tuple.client.host
        self._quotas.check(request.username, host, self._limits)

    def _add(self, allocation: Allocation, request: Request) -> None:
        self._by_tuple[allocation.five_tuple] = allocation
        for half in allocation.halves:
            self._by_relay[half.relay] = allocation
            self._opening[half.relay] = (request, allocation)
        self._quotas.charge(allocation.username, allocation.five_tuple.client.host)
        self._deadlines.live_until(allocation, request.now + allocation.lifetime_s)

    def opened(self, relay: int, relayed: Address, now: float) -> list[Event]:
        """A relay socket is there: answer, or close it if nobody waits."""
        request, allocation = self._opening.pop(relay, (None, None))
        if request is None or allocation is None:
            return [CloseRelay(relay)]
        half = allocation.halves[0]
        if half.relay != relay:
            half = next(half for half in allocation.halves if half.relay == relay)
        half.relayed = relayed
        (self._relayed_tcp if allocation.tcp else self._relayed).add(relayed)
        self._policy.reached_at(relayed.host)
        self._policy.reached_at(allocation.five_tuple.server.host)
        reserve = self._reserving.pop(relay, 0)
        if reserve:
            host = allocation.five_tuple.client.host
            held = self._reservations.hold(
                reserve, allocation.username, host, half.family, now
            )
            self._quotas.charge(allocation.username, host)
            allocation.token = held.token
        return [] if allocation.opening else self._settled(request, allocation, now)

    def not_opened(self, relay: int, code: int) -> list[Event]:
        """There is no relay socket to be had: 440 or 508."""
        request, allocation = self._opening.pop(relay, (None, None))
        if request is None or allocation is None:
            return []
        self._reserving.pop(relay, None)
        half = next(half for half in allocation.halves if half.relay == relay)
        half.failure = code
        if allocation.opening:
            return []
        return self._settled(request, allocation, request.now)

    def _settled(
        self, request: Request, allocation: Allocation, now: float
    ) -> list[Event]:
        """Every half is open or has failed: one that is open makes a success
        (section 7.2), with ADDRESS-ERROR-CODE for the other."""
        if allocation.relayed is None:
            codes = {half.failure for half in allocation.halves}
            self.close(allocation.five_tuple)
            self._counters.refused += 1
            if codes == {440}:
                refusal = AddressFamilyNotSupported("family not served here")
                return [request.error(refusal)]
            return [request.error(InsufficientCapacity("no relay port is free"))]
        self._counters.allocations_made += 1
        answer = allocated(request, allocation)
        events: list[Event] = [answer]
        if now != request.now:  # else the plane has been told its end
            self._deadlines.live_until(allocation, now + allocation.lifetime_s)
            events = [*self._extend(allocation), answer]
        plain = self._limits.admission and _is_plain(request)
        if plain and not self.is_visitor(allocation):
            events.append(Vouch(request.username, request.key))
        return events

    # Of known credentials: the same, for many who have the commonest wish

    def admit(
        self, username: str, asks: list[KnownAsk], now: float
    ) -> list[Allocation | None]:
        """Make what `allocate` would make for each, up to the opening of its
        socket, of which `admitted` tells. None: `allocate` may refuse it, and
        must be asked."""
        limits, quotas, by_tuple = self._limits, self._quotas, self._by_tuple
        room = min(quotas.room_of(username, limits), limits.total - len(by_tuple))
        before: dict[str, int] = {}
        room_at: dict[str, int] = {}
        made: list[Allocation | None] = []
        for ask in asks:
            five_tuple = ask.five_tuple
            host = quota_host(five_tuple.client.host)
            left = room_at.get(host)
            if left is None:
                left = before[host] = quotas.room_at(five_tuple.client.host, limits)
            if left <= 0 or room <= 0 or five_tuple in by_tuple or limits.alternates:
                made.append(None)
                continue
            room, room_at[host] = room - 1, left - 1
            lifetime_s = granted_lifetime(ask.lifetime_s)
            half = Half(self._number(), 4)
            half.expires_at = now + lifetime_s
            allocation = Allocation(
                (half,), five_tuple, username, ask.transaction, lifetime_s
            )
            by_tuple[five_tuple] = self._by_relay[half.relay] = allocation
            self._deadlines.queue(allocation)
            made.append(allocation)
        for host, left in room_at.items():
            quotas.charge_host(username, host, before[host] - left)
        return made

    def admitted(self, made: list[Allocation], relayed: list[Address | None]) -> None:
        """Their sockets are open, and the clients are told. Where there is no
        socket it is as if nothing had been asked."""
        hosts: set[str] = set()
        for allocation, address in zip(made, relayed, strict=True):
            if address is None:
                self.close(allocation.five_tuple)
                continue
            allocation.halves[0].relayed = address
            self._relayed.add(address)
            hosts.update((address.host, allocation.five_tuple.server.host))
            self._counters.allocations_made += 1
        for host in hosts:
            self._policy.reached_at(host)

    def _extend(self, allocation: Allocation) -> list[Event]:
        halves = allocation.open_halves()
        return [Extend(half.relay, half.expires_at) for half in halves]

    # Refresh (section 8)

    def refresh(self, request: Request) -> list[Event]:
        """Lengthen the life of an allocation or of its half of one family, end it
        with LIFETIME 0, or move it."""
        ticket = request.message.first(turn.MOBILITY_TICKET)
        if ticket is not None and not self._limits.mobility:
            raise MobilityForbidden("allocations do not move here")
        moved: list[Event] = []
        if ticket and request.five_tuple not in self._by_tuple:
            moved = self._move(request, ticket)
        allocation = self.of(request)
        family = request.message.first(turn.REQUESTED_ADDRESS_FAMILY)
        if family is not None and allocation.half_for(family) is None:
            raise PeerFamilyMismatch("no relayed address has this family")
        requested = request.message.first(turn.LIFETIME)
        if requested == 0:
            closing = self._end(allocation, family)
            return [*moved, *closing, request.success([(turn.LIFETIME, 0)])]
        lifetime_s = self._lifetime(request.username, granted_lifetime(requested))
        allocation.lifetime_s = lifetime_s
        self._deadlines.live_until(allocation, request.now + lifetime_s, family)
        rows: list[tuple[Attribute[Any], Any]] = [(turn.LIFETIME, lifetime_s)]
        if ticket and allocation.tickets:
            rows.append((turn.MOBILITY_TICKET, allocation.tickets[0]))
        return [*moved, *self._extend(allocation), request.success(rows)]

    def _end(self, allocation: Allocation, family: int | None) -> list[Event]:
        """One family of a dual allocation, or all of it (section 8.2)."""
        halves = allocation.open_halves()
        if family is None or len(halves) == 1:
            return self.close(allocation.five_tuple)
        half = next(half for half in halves if half.family == family)
        allocation.give_up(family)
        return self._close_half(half)

    def _close_half(self, half: Half) -> list[Event]:
        self._opening.pop(half.relay, None)
        self._reserving.pop(half.relay, None)
        self._by_relay.pop(half.relay, None)
        if half.relayed is None:
            return []
        self._relayed.discard(half.relayed)
        self._relayed_tcp.discard(half.relayed)
        return [CloseRelay(half.relay)]

    def _move(self, request: Request, ticket: bytes) -> list[Event]:
        """The owner of an allocation has another address (RFC 8016 section 3.2).

        A ticket alone moves nothing: the Refresh is signed with the
        credentials that made the allocation (441 otherwise).
        """
        allocation = self._tickets.find(ticket)
        if allocation is None:
            raise BadRequest("no allocation has this ticket")
        if allocation.username != request.username:
            raise WrongCredentials("another username made this allocation")
        if allocation.tcp:
            raise MobilityForbidden("TCP allocations do not move")
        before, after = allocation.five_tuple, request.five_tuple
        if self._by_tuple.get(before) is allocation:
            del self._by_tuple[before]
        self._quotas.refund(allocation.username, before.client.host)
        self._quotas.charge(allocation.username, after.client.host)
        allocation.five_tuple = after
        self._by_tuple[after] = allocation
        self._policy.reached_at(after.server.host)
        self._tickets.used(allocation, ticket)
        return [Move(half.relay, after) for half in allocation.open_halves()]

    def of(self, request: Request) -> Allocation:
        """The caller's allocation; raises AllocationMismatch, WrongCredentials."""
        allocation = self._by_tuple.get(request.five_tuple)
        if allocation is None or allocation.opening:
            raise AllocationMismatch("no allocation")
        if allocation.username != request.username:
            raise WrongCredentials("another username made this allocation")
        return allocation

    def has_relayed(self, address: Address, *, tcp: bool) -> bool:
        """Whether it is the relayed address of an allocation of that protocol."""
        return address in (self._relayed_tcp if tcp else self._relayed)

    # Operation

    @property
    def limits(self) -> Limits:
        """Those of this moment."""
        return self._limits

    def set_limits(self, limits: Limits) -> None:
        """Other limits for what comes; what stands is kept."""
        self._limits = limits

    def __iter__(self) -> Iterator[Allocation]:
        """Those that stand, for reading."""
        return (held for held in self._by_tuple.values() if held.relayed)

    def made_by(self, five_tuple: FiveTuple) -> str:
        """Who made the client's allocation; "" if there is none."""
        held = self._by_tuple.get(five_tuple)
        return "" if held is None else held.username

    # Ends

    def close(self, five_tuple: FiveTuple) -> list[Event]:
        """End an allocation, if there is one."""
        allocation = self._by_tuple.pop(five_tuple, None)
        return [] if allocation is None else self._closed(allocation)

    def _closed(self, allocation: Allocation) -> list[Event]:
        self._deadlines.forget(allocation)
        self._tickets.forget(allocation)
        self._quotas.refund(allocation.username, allocation.five_tuple.client.host)
        if allocation.relayed is not None:
            self._counters.allocations_ended += 1
        return [event for half in allocation.halves for event in self._close_half(half)]

    def client_lost(self, five_tuple: FiveTuple) -> list[Event]:
        """A stream has closed: its allocation ends, unless it may still move."""
        allocation = self._by_tuple.get(five_tuple)
        if allocation is not None and allocation.tickets and not allocation.opening:
            return []
        return self.close(five_tuple)

    def by_relay(self, relay: int) -> Allocation | None:
        """The allocation that a relay number belongs to."""
        return self._by_relay.get(relay)

    def drop(self, matches: Callable[[str], bool]) -> list[Event]:
        """End the allocations of usernames that match, and what they reserved."""
        gone = [t for t, held in self._by_tuple.items() if matches(held.username)]
        events = [event for five_tuple in gone for event in self.close(five_tuple)]
        return events + self._let_go(self._reservations.drop(matches))

    def _let_go(self, reserved: list[Reservation]) -> list[Event]:
        for held in reserved:
            self._quotas.refund(held.username, held.host)
        return [CloseRelay(held.number) for held in reserved]

    def expire(self, now: float) -> list[Event]:
        """End what has outlived its time."""
        over = self._reservations.expire(now)
        events = self._let_go(over) if over else []
        for allocation in self._deadlines.come_up(now):
            ended = [half for half in allocation.halves if half.expires_at <= now]
            if len(ended) == len(allocation.halves):
                events += self.close(allocation.five_tuple)
                continue
            for half in ended:
                allocation.give_up(half.family)
                events += self._close_half(half)
            self._deadlines.queue(allocation)
        return events

    def next_deadline(self) -> float | None:
        """When to call `expire`: at the next end, or a little before."""
        reserved = self._reservations.next_deadline()
        ends = self._deadlines.next()
        if ends is None or reserved is None:
            return reserved if ends is None else ends
        return min(ends, reserved)


def _is_plain(request: Request) -> bool:
    """Whether it is signed as nearly all are: an MD5 key and SHA-1, over UDP."""
    sha1 = request.message.digest == "sha1" and len(request.key) == 16
    return sha1 and request.five_tuple.transport == "udp"
