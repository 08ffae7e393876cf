"""What one client, and all together, may hold, and which extensions there are."""

from __future__ import annotations

from dataclasses import dataclass

from mosaic.wire.stun.address import Address
from mosaic.wire.turn.channel import CHANNELS


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Numbers and switches of a server.

    per_owner: of everybody whose credentials are the same person's together.
    channels: RFC 8656's. Clients of RFC 5766 may pick 0x4000-0x7FFF.
    dual, port_pairs, dont_fragment: what the data plane can do: two families
    in one allocation, reserved ports, the DF bit.
    mobility: allocations may move to another address (RFC 8016).
    admission: the data plane checks requests of known credentials.
    tcp_relay: peers may be reached over TCP (RFC 6062).
    alternates: servers that new clients are sent to (300), of either family.
    tcp_connections: of one TCP allocation, at once.
    """

    per_credential: int = 10
    per_owner: int = 100
    per_address: int = 200
    total: int = 8000
    permissions: int = 512
    channels: range = CHANNELS
    nonce_s: float = 3600.0
    stranger_answers_per_s: float = 1000.0
    stranger_burst: float = 4000.0
    dual: bool = True
    port_pairs: bool = True
    dont_fragment: bool = True
    mobility: bool = False
    admission: bool = False
    tcp_relay: bool = False
    tcp_connections: int = 64
    alternates: tuple[Address, ...] = ()
