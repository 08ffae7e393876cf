"""Which peers a client reaches: permissions and channels (RFC 8656 sections 9-12)."""

from __future__ import annotations

from mosaic.wire.stun.address import Address
from mosaic.wire.turn import attributes as turn
from mosaic.wire.turn.allocation import Allocation
from mosaic.wire.turn.events import Bind, Event, Permit
from mosaic.wire.turn.peers import PeerPolicy
from mosaic.wire.turn.refusals import (
    BadRequest,
    Forbidden,
    InsufficientCapacity,
    PeerFamilyMismatch,
)
from mosaic.wire.turn.request import Request
from mosaic.wire.turn.table import Allocations

PERMISSION_S = 300.0
CHANNEL_S = 600.0


class Permissions:
    """The requests about peers, and what the policy says of them.

    Each request is authenticated; its method returns events, or raises a
    Refusal or MalformedAttribute.
    """

    def __init__(self, table: Allocations, policy: PeerPolicy) -> None:
        self._table = table
        self._policy = policy

    def check_peer(self, allocation: Allocation, peer: Address) -> None:
        """Whether a peer may be reached; raises PeerFamilyMismatch, Forbidden."""
        if allocation.half_for(peer.family) is None:
            raise PeerFamilyMismatch("no relayed address has this family")
        # a port number is another thing over the other protocol
        if self._table.has_relayed(peer, tcp=allocation.tcp):
            return
        if self._table.is_visitor(allocation):
            raise Forbidden("a network check reaches our own relays alone")
        why = self._policy.refusal(peer)
        if why is not None:
            raise Forbidden(why)

    def lets_in(self, allocation: Allocation, peer: Address, now: float) -> bool:
        """Whether a peer may connect to a TCP allocation (RFC 6062 section 5.3)."""
        if not allocation.permits(peer.host, now) or allocation.expires_at <= now:
            return False
        relayed = self._table.has_relayed(peer, tcp=True)
        return relayed or not self._own_only(allocation, peer.host)

    def _permit(self, allocation: Allocation, host: str, now: float) -> Permit:
        expires_at = now + PERMISSION_S
        if not allocation.permit(host, expires_at, now, self._table.limits.permissions):
            raise InsufficientCapacity("too many permissions")
        own_only = self._own_only(allocation, host)
        return Permit(_relay_for(allocation, host), host, expires_at, own_only)

    def _own_only(self, allocation: Allocation, host: str) -> bool:
        return self._policy.own_only(host) or self._table.is_visitor(allocation)

    def create_permission(self, request: Request) -> list[Event]:
        """Let one or more peers' hosts send to the client (section 10.2)."""
        allocation = self._table.of(request)
        peers = request.message.every(turn.XOR_PEER_ADDRESS)
        if not peers:
            raise BadRequest("no XOR-PEER-ADDRESS")
        for peer in peers:
            self.check_peer(allocation, peer)
        hosts = dict.fromkeys(peer.host for peer in peers)
        if len(hosts) > self._table.limits.permissions:
            raise InsufficientCapacity("too many permissions")
        permits = [self._permit(allocation, host, request.now) for host in hosts]
        return [*permits, request.success()]

    def channel_bind(self, request: Request) -> list[Event]:
        """Bind a channel to a peer, and permit its host (section 12.2)."""
        allocation = self._table.of(request)
        if allocation.tcp:
            # RFC 6062 section 5: channels are of UDP; coturn says 403 as well.
            raise Forbidden("TCP allocations have connections, not channels")
        channel = request.message.first(turn.CHANNEL_NUMBER)
        peer = request.message.first(turn.XOR_PEER_ADDRESS)
        if channel is None or peer is None:
            raise BadRequest("CHANNEL-NUMBER or XOR-PEER-ADDRESS missing")
        channels = self._table.limits.channels
        if channel not in channels:
            raise BadRequest(f"channels are {channels[0]:#x}-{channels[-1]:#x}")
        self.check_peer(allocation, peer)
        if allocation.bound_elsewhere(channel, peer, request.now):
            raise BadRequest("channel or peer is bound to another")
        permit = self._permit(allocation, peer.host, request.now)
        expires_at = request.now + CHANNEL_S
        allocation.bind(channel, peer, expires_at)
        bind = Bind(_relay_for(allocation, peer.host), channel, peer, expires_at)
        return [permit, bind, request.success()]

    def enforce_policy(self, now: float) -> list[Event]:
        """End the permissions and channels that the policy now refuses."""
        events: list[Event] = []
        for allocation in self._table:
            for host, ends in allocation.permissions():
                own_only = self._own_only(allocation, host)
                if not own_only and self._policy.refusal(Address(host, 0)):
                    allocation.permit(host, now, now, self._table.limits.permissions)
                    ends, own_only = now, True
                if own_only:
                    relay = _relay_for(allocation, host)
                    events.append(Permit(relay, host, ends, own_only))
            for channel, peer in allocation.channels():
                relayed = self._table.has_relayed(peer, tcp=False)
                if not relayed and self._policy.refusal(peer):
                    allocation.bind(channel, peer, now)
                    relay = _relay_for(allocation, peer.host)
                    events.append(Bind(relay, channel, peer, now))
        return events


def _relay_for(allocation: Allocation, host: str) -> int:
    """The number of the relay that reaches a host."""
    half = allocation.half_for(6 if ":" in host else 4)
    return allocation.relay if half is None else half.relay
