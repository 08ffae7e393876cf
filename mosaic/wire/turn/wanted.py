"""What an Allocate asks for, read and judged (RFC 8656 section 7.2)."""

from __future__ import annotations

import msgspec

from mosaic.wire.stun import attributes as stun
from mosaic.wire.stun.message import Message
from mosaic.wire.turn import attributes as turn
from mosaic.wire.turn.limits import Limits
from mosaic.wire.turn.refusals import (
    AddressFamilyNotSupported,
    BadRequest,
    InsufficientCapacity,
    MobilityForbidden,
    UnknownAttribute,
    UnsupportedTransport,
)

DEFAULT_LIFETIME_S = 600
MAX_LIFETIME_S = 3600
_TCP, _UDP = 6, 17
_RESERVE_NEXT = 0x80
_PLAIN = frozenset(
    row.code
    for row in (
        turn.REQUESTED_TRANSPORT,
        turn.LIFETIME,
        stun.USERNAME,
        stun.USERHASH,
        stun.REALM,
        stun.NONCE,
        stun.PASSWORD_ALGORITHM,
        stun.PASSWORD_ALGORITHMS,
        stun.MESSAGE_INTEGRITY,
        stun.MESSAGE_INTEGRITY_SHA256,
        stun.SOFTWARE,
    )
)
"""What an Allocate holds that asks for nothing but a relay: nearly all of them."""


class Wanted(msgspec.Struct, frozen=True):
    """families: one of 4 and 6, or both for a dual allocation.
    token: of a port that was reserved before, or empty."""

    families: tuple[int, ...]
    lifetime_s: int
    even: bool = False
    reserve: bool = False
    token: bytes = b""
    tcp: bool = False
    mobile: bool = False


def granted_lifetime(requested: int | None) -> int:
    """Seconds that an allocation gets (section 7.2)."""
    if requested is None:
        return DEFAULT_LIFETIME_S
    return max(DEFAULT_LIFETIME_S, min(requested, MAX_LIFETIME_S))


def read_allocate(message: Message, limits: Limits, *, stream: bool) -> Wanted:
    """Judge an Allocate, in the order of section 7.2; raises Refusal.

    stream: it came over TCP or TLS (RFC 6062 section 5.1 asks for that).
    """
    transport = message.first(turn.REQUESTED_TRANSPORT)
    if transport is None:
        raise BadRequest("no REQUESTED-TRANSPORT")
    tcp = transport == _TCP and limits.tcp_relay
    if transport != _UDP and not tcp:
        raise UnsupportedTransport("only UDP")
    if not tcp and message.values.keys() <= _PLAIN:
        return Wanted((4,), granted_lifetime(message.first(turn.LIFETIME)))
    if message.first(turn.DONT_FRAGMENT) is not None and not limits.dont_fragment:
        raise UnknownAttribute(turn.DONT_FRAGMENT.code)
    even = message.first(turn.EVEN_PORT)
    token = message.first(turn.RESERVATION_TOKEN)
    if tcp:
        _check_tcp(message, stream)
    reserve = even is not None and bool(even & _RESERVE_NEXT)
    families = _families(message, limits, reserve=reserve)
    if reserve and not limits.port_pairs:
        raise InsufficientCapacity("no pairs of ports are reserved here")
    ticket = message.first(turn.MOBILITY_TICKET)
    if ticket:
        raise BadRequest("a new allocation has no ticket yet")
    if ticket is not None and (tcp or not limits.mobility):
        raise MobilityForbidden("allocations do not move here")
    return Wanted(
        families,
        granted_lifetime(message.first(turn.LIFETIME)),
        even is not None,
        reserve,
        token or b"",
        tcp,
        ticket is not None,
    )


def _check_tcp(message: Message, stream: bool) -> None:
    """RFC 6062 section 5.1: 400 over UDP, and with what only datagrams have."""
    if not stream:
        raise BadRequest("TCP allocations are made over TCP or TLS")
    for row in (turn.EVEN_PORT, turn.RESERVATION_TOKEN, turn.DONT_FRAGMENT):
        if any(code == row.code for code, _ in message.attributes):
            raise BadRequest(f"{row.name} means nothing over TCP")


def _families(message: Message, limits: Limits, *, reserve: bool) -> tuple[int, ...]:
    requested = message.first(turn.REQUESTED_ADDRESS_FAMILY)
    additional = message.first(turn.ADDITIONAL_ADDRESS_FAMILY)
    if additional is None:
        additional = message.first(turn.DRAFT_ADDITIONAL_ADDRESS_FAMILY)
    if message.first(turn.RESERVATION_TOKEN) is not None:
        asked = message.first(turn.EVEN_PORT), requested, additional
        if any(value is not None for value in asked):
            raise BadRequest("a reserved port has its family and number")
    if requested is not None and additional is not None:
        raise BadRequest("REQUESTED- and ADDITIONAL-ADDRESS-FAMILY")
    if requested == 0:
        raise AddressFamilyNotSupported("unknown address family")
    if additional is not None:
        if additional != 6:
            raise BadRequest("the additional family is IPv6")
        if reserve:
            raise BadRequest("one port is reserved, not two")
        if limits.dual:
            return (4, 6)
    return (requested or 4,)
