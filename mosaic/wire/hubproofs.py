"""What a hub signs, as bytes (docs/protocols/hub.md). Both ends use this."""

from __future__ import annotations

import base64
import binascii
import re

KEY_BYTES = 32
"""An Ed25519 public key (RFC 8032 section 5.1.5)."""
SIGNATURE_BYTES = 64
NONCE = re.compile(r"[A-Za-z0-9_-]{16,64}")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*={0,2}")


def to_base64url(data: bytes) -> str:
    """Without padding (RFC 4648 section 5)."""
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def from_base64url(text: str, size_bytes: int) -> bytes:
    """Exactly that many octets; padding is forgiven. Raises ValueError."""
    if len(text) > 4 * size_bytes or not _BASE64URL.fullmatch(text):
        raise ValueError("this is no base64url")
    bare = text.rstrip("=")
    try:
        data = base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    except binascii.Error as error:
        raise ValueError("this is no base64url") from error
    if len(data) != size_bytes:
        raise ValueError(f"this is not {size_bytes} octets")
    return data


def enrolment_text(code: str, public_key: bytes) -> bytes:
    """What proves the key of a new hub. code: in its normal form."""
    return f"mosaic-hub-enrol\n{code}\n{to_base64url(public_key)}".encode("ascii")


def token_text(hub_id: str, time: int, nonce: str) -> bytes:
    """What a hub signs for a token. time: Unix seconds."""
    return f"mosaic-hub-token\n{hub_id}\n{time}\n{nonce}".encode("ascii")
