"""Strangers who only check the network: relays on a short leash.

Anybody may ask for a visitor's credential, so it must be worth nothing to
somebody who wants a relay: few allocations, for a minute, slow, and towards
our own relayed addresses alone (see docs/decisions/044-relays-for-strangers.md).
"""

from __future__ import annotations

PREFIX = "~check-"
"""Owners of visitors begin like this; no account or participant needs to."""

LIFETIME_S = 60
"""Life of their credentials, and of each allocation."""

PER_VISITOR = 8
"""Allocations at once: a browser asks for UDP, TCP and TLS, on each of its
interfaces."""

TOTAL = 100
"""Allocations at once of all visitors together."""

BYTES_PER_S = 262144.0
"""For all relays of one visitor together, both directions."""


def visitor(address_key: str) -> str:
    """The owner name for an address."""
    return PREFIX + address_key.replace(":", "-").replace("/", "_")


def is_visitor(owner: str) -> bool:
    """Whether an owner is one."""
    return owner.startswith(PREFIX)
