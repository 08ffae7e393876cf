"""Bearer tokens: opaque, random, and kept only as digests.

A token is looked up by its SHA-256, so no comparison runs over secret bytes
and a stolen database opens no door. There is no algorithm to confuse and no
claim to forge: what a token may do stands in the database.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Callable

PREFIX = "ms_"
SECRET_BYTES = 32

_FORM = re.compile(r"ms_[A-Za-z0-9_-]{43}")


def mint(token_bytes: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """A new token: "ms_" and 32 random bytes as unpadded base64url."""
    text = base64.urlsafe_b64encode(token_bytes(SECRET_BYTES)).decode()
    return PREFIX + text.rstrip("=")


def digest(token: str) -> bytes:
    """What is kept of a token: 32 bytes."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def is_well_formed(token: str) -> bool:
    """Whether text can be a token at all; others are refused unread."""
    return _FORM.fullmatch(token) is not None
