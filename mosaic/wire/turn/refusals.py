"""Error answers, each with its code (RFC 8489 section 14.8, RFC 8656 section 19)."""

from __future__ import annotations


class Refusal(Exception):
    """An error answer: its code, and a reason for people."""

    code = 500


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


class UnknownAttribute(Refusal):
    """A comprehension-required attribute that we do not know."""

    code = 420
