"""Requests that a data plane has checked for the core (decision 024)."""

from __future__ import annotations

from typing import NamedTuple

from mosaic.wire.stun.address import FiveTuple


class KnownAsk(NamedTuple):
    """An Allocate over UDP for an IPv4 relay and nothing else, whose nonce is
    fresh and whose integrity is of a key that was vouched for.

    credential: the plane's number for username and key. ends: the five-tuple as
    the plane has it. lifetime_s: what is asked for, None for nothing; more than
    can be granted may be told as less, and is still more.
    data: the whole message.
    """

    credential: int
    five_tuple: FiveTuple
    ends: bytes
    transaction: bytes
    lifetime_s: int | None
    fingerprint: bool
    data: bytes
