"""Keys of long-term credentials, and names made comparable (RFC 8489 section 9.2).

OpaqueString (RFC 8265 section 4.2) is what makes a password typed on two
keyboards the same password: NFC, and every kind of space is a space.
"""

from __future__ import annotations

import hashlib
import unicodedata
from functools import lru_cache

KEPT = 1024
"""How many keys are remembered: what makes them is all that they depend on,
so one that is remembered is never wrong, only perhaps never asked for again."""


def opaque_string(text: str) -> str:
    """The text as OpaqueString leaves it; raises ValueError for what it forbids.

    Printable ASCII is its own result. Forbidden: nothing at all, and control
    characters, surrogates, private use and what no one has assigned.
    """
    if text.isascii() and text.isprintable() and text:
        return text
    spaced = "".join(" " if unicodedata.category(c) == "Zs" else c for c in text)
    composed = unicodedata.normalize("NFC", spaced)
    if not composed or any(
        unicodedata.category(c) in ("Cc", "Cs", "Co", "Cn", "Cf", "Zl", "Zp")
        for c in composed
    ):
        raise ValueError("no OpaqueString")
    return composed


def _joined(username: str, realm: str, password: str) -> bytes:
    return f"{username}:{opaque_string(realm)}:{opaque_string(password)}".encode()


@lru_cache(maxsize=KEPT)
def long_term_key(username: str, realm: str, password: str) -> bytes:
    """The key with password algorithm MD5 (section 18.5.1.1), and RFC 5389's.

    The username is taken as the message has it: whoever sent it has prepared
    it. Raises ValueError if realm or password is no OpaqueString.
    """
    text = _joined(username, realm, password)
    return hashlib.md5(text, usedforsecurity=False).digest()


@lru_cache(maxsize=KEPT)
def long_term_key_sha256(username: str, realm: str, password: str) -> bytes:
    """The key with password algorithm SHA-256 (section 18.5.1.2)."""
    return hashlib.sha256(_joined(username, realm, password)).digest()


def user_hash(username: str, realm: str) -> bytes:
    """The value of USERHASH (section 14.4)."""
    text = f"{opaque_string(username)}:{opaque_string(realm)}"
    return hashlib.sha256(text.encode()).digest()
