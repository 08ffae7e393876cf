"""Authenticated requests and the table of allocations (RFC 8656 sections 7-12)."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mosaic.wire.stun import attributes as stun
from mosaic.wire.stun.address import Address, FiveTuple
from mosaic.wire.turn import attributes as turn
from mosaic.wire.turn.allocation import Allocation
from mosaic.wire.turn.budget import prefix_of
from mosaic.wire.turn.channel import CHANNELS
from mosaic.wire.turn.counters import Counters
from mosaic.wire.turn.events import (
    Answer,
    Bind,
    CloseRelay,
    Event,
    Extend,
    OpenRelay,
    Permit,
)
from mosaic.wire.turn.peers import PeerPolicy
from mosaic.wire.turn.refusals import (
    AddressFamilyNotSupported,
    AllocationMismatch,
    AllocationQuotaReached,
    BadRequest,
    Forbidden,
    InsufficientCapacity,
    PeerFamilyMismatch,
    UnsupportedTransport,
    WrongCredentials,
)
from mosaic.wire.turn.request import Request

DEFAULT_LIFETIME_S = 600
MAX_LIFETIME_S = 3600
PERMISSION_S = 300.0
CHANNEL_S = 600.0
_UDP = 17


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client, and all together, may hold.

    channels: RFC 8656's. Clients of RFC 5766 may pick 0x4000-0x7FFF.
    """

    per_credential: int = 10
    per_address: int = 200
    total: int = 8000
    permissions: int = 512
    channels: range = CHANNELS
    nonce_s: float = 3600.0
    stranger_answers_per_s: float = 1000.0
    stranger_burst: float = 4000.0


def granted_lifetime(requested: int | None) -> int:
    """Seconds that an allocation gets (RFC 8656 section 7.2)."""
    if requested is None:
        return DEFAULT_LIFETIME_S
    return max(DEFAULT_LIFETIME_S, min(requested, MAX_LIFETIME_S))


def quota_host(host: str) -> str:
    """What counts as one address: an IPv4 address, or an IPv6 /56."""
    return prefix_of(host) if ":" in host else host


class Allocations:
    """All allocations by five-tuple, and the methods that change them.

    Each method takes an authenticated request and returns events, or raises a
    Refusal or MalformedAttribute.
    """

    def __init__(self, policy: PeerPolicy, limits: Limits, counters: Counters) -> None:
        self._counters = counters
        self._last_relay = 0
        self._policy = policy
        self._limits = limits
        self._by_tuple: dict[FiveTuple, Allocation] = {}
        self._opening: dict[int, tuple[Request, Allocation]] = {}
        self._relayed: set[Address] = set()
        self._per_credential: Counter[str] = Counter()
        self._per_host: Counter[str] = Counter()
        self._deadlines: list[tuple[float, int, Allocation]] = []

    def __len__(self) -> int:
        return len(self._by_tuple)

    def __contains__(self, five_tuple: FiveTuple) -> bool:
        return five_tuple in self._by_tuple

    # Allocate (section 7)

    def allocate(self, request: Request) -> list[Event]:
        """Ask for a relay, or answer a retransmission as the first time."""
        message, five_tuple = request.message, request.five_tuple
        held = self._by_tuple.get(five_tuple)
        if held is not None:
            # 7.2: 437 if the five-tuple is in use, but for a retransmission.
            if held.transaction != message.transaction:
                raise AllocationMismatch("this five-tuple has an allocation")
            if held.relayed is None:
                return []
            return [self._allocated(request, held)]
        transport = message.first(turn.REQUESTED_TRANSPORT)
        if transport is None:
            raise BadRequest("no REQUESTED-TRANSPORT")
        if transport != _UDP:
            raise UnsupportedTransport("only UDP")
        family = message.first(turn.REQUESTED_ADDRESS_FAMILY)
        if family == 0:
            raise AddressFamilyNotSupported("unknown address family")
        even = message.first(turn.EVEN_PORT)
        if even is not None and even & 0x80:
            raise InsufficientCapacity("no pairs of ports are reserved here")
        lifetime_s = granted_lifetime(message.first(turn.LIFETIME))
        self._check_quotas(request)
        self._last_relay += 1
        allocation = Allocation(
            self._last_relay,
            five_tuple,
            request.username,
            message.transaction,
            family or 4,
            lifetime_s,
        )
        self._add(allocation, request)
        return [
            OpenRelay(
                allocation.relay,
                five_tuple,
                allocation.family,
                allocation.expires_at,
                even is not None,
            )
        ]

    def _check_quotas(self, request: Request) -> None:
        if len(self._by_tuple) >= self._limits.total:
            raise InsufficientCapacity("no more allocations")
        if self._per_credential[request.username] >= self._limits.per_credential:
            raise AllocationQuotaReached("too many allocations of this credential")
        host = quota_host(request.five_tuple.client.host)
        if self._per_host[host] >= self._limits.per_address:
            raise AllocationQuotaReached("too many allocations from this address")

    def _add(self, allocation: Allocation, request: Request) -> None:
        five_tuple = allocation.five_tuple
        self._by_tuple[five_tuple] = allocation
        self._opening[allocation.relay] = (request, allocation)
        self._per_credential[allocation.username] += 1
        self._per_host[quota_host(five_tuple.client.host)] += 1
        self._live_until(allocation, request.now + allocation.lifetime_s)

    def _live_until(self, allocation: Allocation, expires_at: float) -> None:
        """Set the end. The queue holds each allocation once, at its end or
        before: what comes up early goes back (see `expire`)."""
        allocation.expires_at = expires_at
        if not allocation.queued_at or expires_at < allocation.queued_at:
            self._queue(allocation)

    def _queue(self, allocation: Allocation) -> None:
        allocation.queued_at = allocation.expires_at
        entry = (allocation.expires_at, allocation.relay, allocation)
        heapq.heappush(self._deadlines, entry)
        if len(self._deadlines) > 2 * len(self._by_tuple) + 64:
            self._deadlines = [
                (held.queued_at, held.relay, held) for held in self._by_tuple.values()
            ]
            heapq.heapify(self._deadlines)

    def opened(self, relay: int, relayed: Address, now: float) -> list[Event]:
        """The relay socket is there: answer, or close it if nobody waits."""
        request, allocation = self._opening.pop(relay, (None, None))
        if request is None or allocation is None:
            return [CloseRelay(relay)]
        allocation.relayed = relayed
        self._relayed.add(relayed)
        self._policy.reached_at(relayed.host)
        self._policy.reached_at(allocation.five_tuple.server.host)
        self._counters.allocations_made += 1
        self._live_until(allocation, now + allocation.lifetime_s)
        return [
            Extend(relay, allocation.expires_at),
            self._allocated(request, allocation),
        ]

    def not_opened(self, relay: int, code: int) -> list[Event]:
        """There is no relay socket to be had: 440 or 508."""
        request, allocation = self._opening.get(relay, (None, None))
        if request is None or allocation is None:
            return []
        self.close(allocation.five_tuple)
        self._counters.refused += 1
        if code == 440:
            return [request.error(AddressFamilyNotSupported("family not served here"))]
        return [request.error(InsufficientCapacity("no relay port is free"))]

    def _allocated(self, request: Request, allocation: Allocation) -> Answer:
        return request.success(
            [
                (turn.XOR_RELAYED_ADDRESS, allocation.relayed),
                (turn.LIFETIME, allocation.lifetime_s),
                (stun.XOR_MAPPED_ADDRESS, request.five_tuple.client),
            ]
        )

    # Refresh (section 8)

    def refresh(self, request: Request) -> list[Event]:
        """Lengthen an allocation's life, or end it with LIFETIME 0."""
        allocation = self._of(request)
        family = request.message.first(turn.REQUESTED_ADDRESS_FAMILY)
        if family is not None and family != allocation.family:
            raise PeerFamilyMismatch("the relayed address has another family")
        requested = request.message.first(turn.LIFETIME)
        if requested == 0:
            closing = self.close(allocation.five_tuple)
            return [*closing, request.success([(turn.LIFETIME, 0)])]
        lifetime_s = granted_lifetime(requested)
        allocation.lifetime_s = lifetime_s
        self._live_until(allocation, request.now + lifetime_s)
        return [
            Extend(allocation.relay, allocation.expires_at),
            request.success([(turn.LIFETIME, lifetime_s)]),
        ]

    def _of(self, request: Request) -> Allocation:
        """The caller's allocation; raises AllocationMismatch, WrongCredentials."""
        allocation = self._by_tuple.get(request.five_tuple)
        if allocation is None or allocation.relayed is None:
            raise AllocationMismatch("no allocation")
        if allocation.username != request.username:
            raise WrongCredentials("another username made this allocation")
        return allocation

    # Permissions and channels (sections 10 and 12)

    def _check_peer(self, allocation: Allocation, peer: Address) -> None:
        if peer.family != allocation.family:
            raise PeerFamilyMismatch("the relayed address has another family")
        if peer in self._relayed:
            return
        why = self._policy.refusal(peer)
        if why is not None:
            raise Forbidden(why)

    def _permit(self, allocation: Allocation, host: str, now: float) -> Permit:
        expires_at = now + PERMISSION_S
        if not allocation.permit(host, expires_at, now, self._limits.permissions):
            raise InsufficientCapacity("too many permissions")
        own_only = self._policy.own_only(host)
        return Permit(allocation.relay, host, expires_at, own_only)

    def create_permission(self, request: Request) -> list[Event]:
        """Let one or more peers' hosts send to the client (section 10.2)."""
        allocation = self._of(request)
        peers = request.message.every(turn.XOR_PEER_ADDRESS)
        if not peers:
            raise BadRequest("no XOR-PEER-ADDRESS")
        for peer in peers:
            self._check_peer(allocation, peer)
        hosts = dict.fromkeys(peer.host for peer in peers)
        if len(hosts) > self._limits.permissions:
            raise InsufficientCapacity("too many permissions")
        permits = [self._permit(allocation, host, request.now) for host in hosts]
        return [*permits, request.success()]

    def channel_bind(self, request: Request) -> list[Event]:
        """Bind a channel to a peer, and permit its host (section 12.2)."""
        allocation = self._of(request)
        channel = request.message.first(turn.CHANNEL_NUMBER)
        peer = request.message.first(turn.XOR_PEER_ADDRESS)
        if channel is None or peer is None:
            raise BadRequest("CHANNEL-NUMBER or XOR-PEER-ADDRESS missing")
        channels = self._limits.channels
        if channel not in channels:
            raise BadRequest(f"channels are {channels[0]:#x}-{channels[-1]:#x}")
        self._check_peer(allocation, peer)
        if allocation.bound_elsewhere(channel, peer, request.now):
            raise BadRequest("channel or peer is bound to another")
        permit = self._permit(allocation, peer.host, request.now)
        expires_at = request.now + CHANNEL_S
        allocation.bind(channel, peer, expires_at)
        bind = Bind(allocation.relay, channel, peer, expires_at)
        return [permit, bind, request.success()]

    # Operation

    def set_limits(self, limits: Limits) -> None:
        """Other limits for what comes; what stands is kept."""
        self._limits = limits

    def __iter__(self) -> Iterator[Allocation]:
        """Those that stand, for reading."""
        return (held for held in self._by_tuple.values() if held.relayed)

    def username_of(self, five_tuple: FiveTuple) -> str:
        """Who made the client's allocation; "" if there is none."""
        held = self._by_tuple.get(five_tuple)
        return "" if held is None else held.username

    def enforce_policy(self, now: float) -> list[Event]:
        """End the permissions and channels that the policy now refuses."""
        events: list[Event] = []
        for allocation in self:
            for host, ends in allocation.permissions():
                own_only = self._policy.own_only(host)
                if not own_only and self._policy.refusal(Address(host, 0)):
                    allocation.permit(host, now, now, self._limits.permissions)
                    ends, own_only = now, True
                if own_only:
                    events.append(Permit(allocation.relay, host, ends, own_only))
            for channel, peer in allocation.channels():
                if peer not in self._relayed and self._policy.refusal(peer):
                    allocation.bind(channel, peer, now)
                    events.append(Bind(allocation.relay, channel, peer, now))
        return events

    # Ends

    def close(self, five_tuple: FiveTuple) -> list[Event]:
        """End an allocation, if there is one."""
        allocation = self._by_tuple.pop(five_tuple, None)
        if allocation is None:
            return []
        allocation.queued_at = -1.0
        self._opening.pop(allocation.relay, None)
        for counter, key in (
            (self._per_credential, allocation.username),
            (self._per_host, quota_host(five_tuple.client.host)),
        ):
            counter[key] -= 1
            if counter[key] <= 0:
                del counter[key]
        if allocation.relayed is None:
            return []
        self._relayed.discard(allocation.relayed)
        self._counters.allocations_ended += 1
        return [CloseRelay(allocation.relay)]

    def drop(self, matches: Callable[[str], bool]) -> list[Event]:
        """End the allocations of usernames that match."""
        gone = [t for t, held in self._by_tuple.items() if matches(held.username)]
        return [event for five_tuple in gone for event in self.close(five_tuple)]

    def expire(self, now: float) -> list[Event]:
        """End what has outlived its time."""
        events: list[Event] = []
        while self._deadlines and self._deadlines[0][0] <= now:
            queued_at, _, allocation = heapq.heappop(self._deadlines)
            if allocation.queued_at != queued_at:
                continue
            if allocation.expires_at <= now:
                events += self.close(allocation.five_tuple)
            else:
                self._queue(allocation)
        return events

    def next_deadline(self) -> float | None:
        """When to call `expire`: at the next end, or a little before."""
        while self._deadlines:
            queued_at, _, allocation = self._deadlines[0]
            if allocation.queued_at == queued_at:
                return queued_at
            heapq.heappop(self._deadlines)
        return None
