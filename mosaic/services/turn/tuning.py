"""What the settings mean for the core, at the start and after a reload."""

from __future__ import annotations

from dataclasses import replace

from mosaic.config.checks import parse_ip_port
from mosaic.config.settings import Turn
from mosaic.relay.interface import RelayPlane
from mosaic.wire.stun.address import Address, canonical
from mosaic.wire.turn.limits import Limits

RELOADABLE = (
    "allow_peers",
    "deny_peers",
    "allocations_per_credential",
    "allocations_per_user",
    "allocations_per_address",
    "allocations_total",
    "bytes_per_s_allocation",
    "bytes_per_s_user",
    "alternate_server",
)
"""Settings that `TurnService.change` takes."""


def with_quotas(limits: Limits, settings: Turn) -> Limits:
    """How much one credential, one user, one address and all may hold."""
    return replace(
        limits,
        per_credential=settings.allocations_per_credential,
        per_owner=settings.allocations_per_user,
        per_address=settings.allocations_per_address,
        total=settings.allocations_total,
    )


def with_extensions(limits: Limits, plane: RelayPlane, settings: Turn) -> Limits:
    """What the plane can do, and of that what the operator wants."""
    abilities: frozenset[str] = getattr(plane, "abilities", frozenset())
    return replace(
        limits,
        dual="dual" in abilities,
        port_pairs="reserve" in abilities,
        dont_fragment="df" in abilities,
        admission="admit" in abilities,
        mobility=settings.mobility and "move" in abilities,
        tcp_relay=settings.tcp_relay,
    )


def draining(limits: Limits, settings: Turn) -> Limits:
    """Nobody new comes in: 300 where there is another server, else 508."""
    return replace(limits, total=0, alternates=alternates(settings.alternate_server))


def alternates(text: str) -> tuple[Address, ...]:
    """The server of `turn.alternate_server`, or none. Raises ConfigError."""
    found = parse_ip_port("turn.alternate_server", text)
    return () if found is None else (Address(canonical(found[0]), found[1]),)
