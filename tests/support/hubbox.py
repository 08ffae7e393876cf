"""A room box's side of REST: its key, and what it signs."""

from __future__ import annotations

import secrets
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mosaic.wire.hubproofs import enrolment_text, to_base64url, token_text
from mosaic.workspace.hubcodes import parse_code


class HubBox:
    """A box that may be enrolled: bodies of its requests."""

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.public_key = self.key.public_key().public_bytes_raw()

    def enrolment(self, code: str, **more: Any) -> dict[str, Any]:
        """For POST /hubs; more: other fields."""
        signed = self.key.sign(enrolment_text(parse_code(code), self.public_key))
        return {
            "code": code,
            "public_key": to_base64url(self.public_key),
            "proof": to_base64url(signed),
            "version": "1.0",
            "platform": "Debian 12",
            **more,
        }

    def proof(self, hub_id: str, time: int, nonce: str | None = None) -> dict[str, Any]:
        """For POST /hubs/{hub_id}/tokens."""
        nonce = nonce or secrets.token_urlsafe(16)
        signed = self.key.sign(token_text(hub_id, time, nonce))
        return {"time": time, "nonce": nonce, "signature": to_base64url(signed)}
