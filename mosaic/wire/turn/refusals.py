"""Error answers, each with its code (RFC 8489 section 14.8, RFC 8656 section 19)."""

from __future__ import annotations

from typing import Any

from mosaic.wire.stun import attributes as stun
from mosaic.wire.stun.address import Address
from mosaic.wire.stun.attributes import Attribute

Attributes = list[tuple[Attribute[Any], Any]]


class Refusal(Exception):
    """An error answer: its code, and a reason for people."""

    code = 500

    def attributes(self) -> Attributes:
        """What else the answer holds."""
        return []


class BadRequest(Refusal):
    """Something that must be there is not, or is broken."""

    code = 400


class Unauthorized(Refusal):
    """No credentials, or wrong ones."""

    code = 401


class Forbidden(Refusal):
    """A peer that may not be reached."""

    code = 403


class AllocationMismatch(Refusal):
    """There is an allocation and must not be, or the other way round."""

    code = 437


class StaleNonce(Refusal):
    """The nonce is old or not ours."""

    code = 438


class AddressFamilyNotSupported(Refusal):
    """Neither IPv4 nor IPv6, or one that this machine lacks."""

    code = 440


class WrongCredentials(Refusal):
    """The allocation belongs to another username."""

    code = 441


class UnsupportedTransport(Refusal):
    """Peers are reached over UDP."""

    code = 442


class PeerFamilyMismatch(Refusal):
    """The peer's family is not the relayed address's."""

    code = 443


class AllocationQuotaReached(Refusal):
    """This credential or this address has enough."""

    code = 486


class InsufficientCapacity(Refusal):
    """We have no more to give."""

    code = 508


class TryAlternate(Refusal):
    """Another server is meant to take new allocations (RFC 8489 section 10)."""

    code = 300

    def __init__(self, alternate: Address) -> None:
        super().__init__("try another server")
        self.alternate = alternate

    def attributes(self) -> Attributes:
        """ALTERNATE-SERVER."""
        return [(stun.ALTERNATE_SERVER, self.alternate)]


class MobilityForbidden(Refusal):
    """Allocations do not move here (RFC 8016)."""

    code = 405


class ConnectionAlreadyExists(Refusal):
    """There is a connection to this peer, or soon will be (RFC 6062)."""

    code = 446


class ConnectionFailed(Refusal):
    """The peer did not take the connection, or not in time (RFC 6062)."""

    code = 447


class UnknownAttribute(Refusal):
    """Comprehension-required attributes that we do not know."""

    code = 420

    def __init__(self, *codes: int) -> None:
        super().__init__("unknown attribute")
        self.codes = codes

    def attributes(self) -> Attributes:
        """UNKNOWN-ATTRIBUTES."""
        return [(stun.UNKNOWN_ATTRIBUTES, self.codes)]
