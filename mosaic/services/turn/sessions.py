"""What `mosaic turn sessions` shows of an allocation."""

from __future__ import annotations

from typing import Any

from mosaic.auth.turn_credentials import owner_of
from mosaic.wire.stun.address import Address
from mosaic.wire.turn.allocation import Allocation


def row_of(held: Allocation, now: float) -> dict[str, Any]:
    """Whose it is, where its ends are, and how long it still lives.

    now: on the core's clock, in seconds.
    """
    return {
        "user": owner_of(held.username) or held.username,
        "transport": held.five_tuple.transport,
        "client": address_text(held.five_tuple.client),
        "relayed": address_text(held.relayed),
        "permissions": sum(ends > now for _, ends in held.permissions()),
        "channels": len(held.channels()),
        "expires_in_s": round(held.expires_at - now),
    }


def address_text(address: Address | None) -> str:
    """`192.0.2.1:5000` or `[2001:db8::1]:5000`."""
    if address is None:
        return ""
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{address.port}"
