"""Bearer tokens of hubs and their screens: computed, not kept.

A hub asks for one every ten minutes, and five thousand of them come back at
once after a restart; so nothing is written. A token says whose it is and until
when, under a MAC over that and the hub's public key. It is good as long as a hub
of that key is enrolled: removal ends it. docs/decisions/050.
"""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import dataclass

from mosaic.wire.hubproofs import to_base64url
from mosaic.workspace.hubs import Hub

PREFIX = "mh_"
AGENT, SCREEN = "a", "s"
_FORM = re.compile(
    r"mh_([as])\.([0-9]{9})\.([0-9]{1,12})\.([A-Za-z0-9_-]{11})\.([A-Za-z0-9_-]{43})"
)
_SERIAL_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class HubToken:
    """A token as it says of itself, before its MAC is checked.

    kind: AGENT or SCREEN. serial: which one; a screen keeps its own when it
    renews. expires_at: Unix seconds.
    """

    kind: str
    hub_id: str
    expires_at: int
    serial: str
    mac: str

    @property
    def is_agent(self) -> bool:
        """Whether it is the agent's own."""
        return self.kind == AGENT


def new_serial() -> str:
    """Eight random bytes."""
    return to_base64url(secrets.token_bytes(_SERIAL_BYTES))


def read_token(text: str) -> HubToken | None:
    """None for what cannot be a hub's token."""
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    kind, hub_id, expires, serial, mac = match.groups()
    return HubToken(
        kind=kind, hub_id=hub_id, expires_at=int(expires), serial=serial, mac=mac
    )


class HubSigner:
    """Makes and checks them. server_key: secret, the same after a restart."""

    def __init__(self, server_key: bytes) -> None:
        self._key = hmac.digest(server_key, b"tokens of hubs", "sha256")

    def mint(self, hub: Hub, *, kind: str, expires_at: int, serial: str) -> str:
        """A token for a hub's agent or screen."""
        told = f"{kind}.{hub.hub_id}.{expires_at}.{serial}"
        return f"{PREFIX}{told}.{self._mac(told, hub)}"

    def is_genuine(self, token: HubToken, hub: Hub) -> bool:
        """Whether we made it for this hub and its key."""
        told = f"{token.kind}.{token.hub_id}.{token.expires_at}.{token.serial}"
        return hmac.compare_digest(self._mac(told, hub), token.mac)

    def _mac(self, told: str, hub: Hub) -> str:
        return to_base64url(
            hmac.digest(self._key, told.encode() + b"." + hub.public_key, "sha256")
        )
