"""The data path of allocations, pure: where a packet goes, or that it goes nowhere.

A `Route` is what the data plane knows of one allocation. It checks every time
on the clock itself, so that a late timer never extends anybody's authority.
The native plane does the same in C; this is what its twin runs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from mosaic.wire.stun.address import MAGIC_COOKIE, Address, FiveTuple, pack_xor
from mosaic.wire.stun.attributes import Attribute
from mosaic.wire.stun.errors import MalformedAttribute, MalformedMessage
from mosaic.wire.stun.message import Class, Method, encode, message_type, parse
from mosaic.wire.turn.attributes import (
    DATA,
    DONT_FRAGMENT,
    ICMP,
    TURN_UNDERSTOOD,
    XOR_PEER_ADDRESS,
    Icmp,
)
from mosaic.wire.turn.channel import decode_channel_data

SEND_TYPE = message_type(Method.SEND, Class.INDICATION).to_bytes(2, "big")
_DATA_TYPE = message_type(Method.DATA, Class.INDICATION).to_bytes(2, "big")
COOKIE = MAGIC_COOKIE.to_bytes(4, "big")
_KEEP_DEAD = 64
STREAMS = ("tcp", "tls")
"""Transports whose frames are padded (RFC 8656 section 12.5)."""
_ICMP_V4 = (3, 11)
"""Destination unreachable (with "fragmentation needed") and time exceeded."""
_ICMP_V6 = (1, 2, 3)
"""Destination unreachable, packet too big, time exceeded."""


class Permission:
    """A host that may reach the client until then (RFC 8656 section 9)."""

    __slots__ = ("expires_at", "own_only")

    def __init__(self, expires_at: float, own_only: bool) -> None:
        self.expires_at = expires_at
        self.own_only = own_only


class Channel:
    """A channel bound to a peer until then (RFC 8656 section 12)."""

    __slots__ = ("expires_at", "head", "peer", "permission")

    def __init__(self, number: int, peer: Address, permission: Permission) -> None:
        self.head = number.to_bytes(2, "big")
        self.peer = peer
        self.permission = permission
        self.expires_at = 0.0


class Outbound(NamedTuple):
    """A payload for a peer. own_only: only if it is a relayed address of ours.
    dont_fragment: the datagram wants the DF bit (RFC 8656 section 11.2)."""

    peer: Address
    payload: bytes | memoryview
    own_only: bool
    dont_fragment: bool = False


class Route:
    """One allocation on the data path; see the module."""

    __slots__ = (
        "_channels",
        "_indications",
        "_numbers",
        "_permissions",
        "expires_at",
        "five_tuple",
        "relay",
        "relayed",
        "stream",
    )

    def __init__(
        self, relay: int, five_tuple: FiveTuple, relayed: Address, expires_at: float
    ) -> None:
        self.relay = relay
        self.five_tuple = five_tuple
        self.relayed = relayed
        self.expires_at = expires_at
        self.stream = five_tuple.transport in STREAMS
        self._indications = 0
        self._permissions: dict[str, Permission] = {}
        self._channels: dict[int, Channel] = {}
        self._numbers: dict[Address, Channel] = {}

    def move(self, five_tuple: FiveTuple) -> None:
        """The client is elsewhere now (RFC 8016)."""
        self.five_tuple = five_tuple
        self.stream = five_tuple.transport in STREAMS

    def permit(self, host: str, expires_at: float, own_only: bool, now: float) -> None:
        """Install or refresh a permission. Channels share it."""
        held = self._permissions.get(host)
        if held is not None:
            held.expires_at, held.own_only = expires_at, own_only
            return
        if len(self._permissions) >= _KEEP_DEAD:
            self._forget_dead(now)
        self._permissions[host] = Permission(expires_at, own_only)

    def _forget_dead(self, now: float) -> None:
        for number in [n for n, c in self._channels.items() if c.expires_at <= now]:
            del self._numbers[self._channels.pop(number).peer]
        used = {id(channel.permission) for channel in self._channels.values()}
        for host, held in list(self._permissions.items()):
            if held.expires_at <= now and id(held) not in used:
                del self._permissions[host]

    def bind(self, number: int, peer: Address, expires_at: float) -> None:
        """Bind or refresh a channel; its peer's host has a permission."""
        held = self._channels.get(number)
        if held is None or held.peer != peer:
            for old in (held, self._numbers.get(peer)):
                if old is not None:
                    self._channels.pop(int.from_bytes(old.head, "big"), None)
                    self._numbers.pop(old.peer, None)
            held = Channel(number, peer, self._permissions[peer.host])
            self._channels[number] = self._numbers[peer] = held
        held.expires_at = expires_at

    def from_client(self, data: bytes | memoryview, now: float) -> Outbound | None:
        """Where a ChannelData message or Send indication of the client goes."""
        if self.expires_at <= now:
            return None
        decoded = decode_channel_data(data)
        if decoded is None:
            return self._from_indication(bytes(data), now)
        channel = self._channels.get(decoded[0])
        if channel is None or channel.expires_at <= now:
            return None
        return Outbound(channel.peer, decoded[1], channel.permission.own_only)

    def _from_indication(self, data: bytes, now: float) -> Outbound | None:
        """A Send indication (section 11.2); anything wrong is silence."""
        try:
            message = parse(data)
            peer, payload = message.first(XOR_PEER_ADDRESS), message.first(DATA)
        except (MalformedMessage, MalformedAttribute):
            return None
        if message.method != Method.SEND or message.cls is not Class.INDICATION:
            return None
        if peer is None or payload is None or message.unknown_required(TURN_UNDERSTOOD):
            return None
        permission = self._permissions.get(peer.host)
        if permission is None or permission.expires_at <= now:
            return None
        whole = any(code == DONT_FRAGMENT.code for code, _ in message.attributes)
        return Outbound(peer, payload, permission.own_only, whole)

    def from_peer(
        self, peer: Address, payload: bytes | memoryview, now: float, *, own: bool
    ) -> bytes | None:
        """What the client gets for a peer's datagram, or None.

        own: the peer is another relayed address here; without it a permission
        for our own host does not count.
        """
        channel = self._numbers.get(peer)
        if channel is not None:
            permission: Permission | None = channel.permission
        else:
            permission = self._permissions.get(peer.host)
        if permission is None or permission.expires_at <= now or self.expires_at <= now:
            return None
        if permission.own_only and not own:
            return None
        if channel is None or channel.expires_at <= now:
            return self._indication(peer, payload)
        size = len(payload)
        pad = bytes(-size % 4) if self.stream else b""
        return b"".join((channel.head, size.to_bytes(2, "big"), payload, pad))

    def out_until(self, number: int) -> float:
        """Until when packets to that channel pass, if nothing changes; 0 if not
        at all, or to our own relayed addresses only."""
        channel = self._channels.get(number)
        if channel is None or channel.permission.own_only:
            return 0.0
        return min(self.expires_at, channel.expires_at)

    def in_until(self, peer: Address) -> tuple[float, int] | None:
        """Until when packets from that peer pass to a channel, if nothing
        changes, and the channel; None if they do not."""
        channel = self._numbers.get(peer)
        if channel is None or channel.permission.own_only:
            return None
        until = min(self.expires_at, channel.expires_at, channel.permission.expires_at)
        return until, int.from_bytes(channel.head, "big")

    def from_icmp(
        self, peer: Address, icmp_type: int, code: int, data: bytes, now: float
    ) -> bytes | None:
        """The frame that tells the client of an ICMP error (section 11.5).

        peer: where the datagram that met it was sent. data: 4 bytes, the rest
        of the ICMP header. None for types that are of no use to a client, and
        for peers without a permission.
        """
        if icmp_type not in (_ICMP_V6 if peer.family == 6 else _ICMP_V4):
            return None
        permission = self._permissions.get(peer.host)
        if permission is None or permission.expires_at <= now or self.expires_at <= now:
            return None
        self._indications += 1
        rows: list[tuple[Attribute[Any], Any]] = [
            (XOR_PEER_ADDRESS, peer),
            (ICMP, Icmp(icmp_type, code, data)),
        ]
        transaction = (self.relay << 48 | self._indications).to_bytes(12, "big")
        return encode(Method.DATA, Class.INDICATION, transaction, rows)

    def _indication(self, peer: Address, payload: bytes | memoryview) -> bytes | None:
        """A Data indication (section 11.3)."""
        self._indications += 1
        transaction = (self.relay << 48 | self._indications).to_bytes(12, "big")
        address = pack_xor(peer, transaction)
        size = len(payload)
        length = 4 + len(address) + 4 + size + -size % 4
        if length > 0xFFFF:
            return None
        return b"".join(
            (
                _DATA_TYPE,
                length.to_bytes(2, "big"),
                COOKIE,
                transaction,
                b"\x00\x12",
                len(address).to_bytes(2, "big"),
                address,
                b"\x00\x13",
                size.to_bytes(2, "big"),
                payload,
                bytes(-size % 4),
            )
        )
