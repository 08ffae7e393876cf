"""Who the hub is: an Ed25519 key that never leaves the box, and what it signs."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from secrets import token_urlsafe

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from mosaic.hub.memory import sync_folder
from mosaic.wire.hubproofs import enrolment_text, to_base64url, token_text

FILE = "hub.key"


class KeyRefused(Exception):
    """The key file cannot be used; one line that says what to do."""


class HubKey:
    """Signs for the hub."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private

    @property
    def public(self) -> str:
        """32 octets, base64url."""
        return to_base64url(self._public_bytes)

    @property
    def _public_bytes(self) -> bytes:
        return self._private.public_key().public_bytes_raw()

    @property
    def public_octets(self) -> bytes:
        """The same as they are."""
        return self._private.public_key().public_bytes_raw()

    def prove_enrolment(self, code: str) -> str:
        """The `proof` of an enrolment. code: in its normal form."""
        return self._sign(enrolment_text(code, self._public_bytes))

    def prove_token(self, hub_id: str, time: int, nonce: str) -> str:
        """The `signature` of a request for a token."""
        return self._sign(token_text(hub_id, time, nonce))

    def _sign(self, text: bytes) -> str:
        return to_base64url(self._private.sign(text))


def new_nonce() -> str:
    """Accepted once."""
    return token_urlsafe(18)


def load_or_make_key(folder: Path) -> HubKey:
    """`hub.key` in the state folder, made if it is not there.

    It is never replaced: one that cannot be read, or that others can, is a
    KeyRefused, since another key would be another hub.
    """
    path = folder / FILE
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return _make(path)
    except OSError as error:
        raise KeyRefused(f"{path}: {error.strerror}") from error
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077:
            raise KeyRefused(f"{path} can be read by others; run chmod 600 {path}")
        content = file.read(4096)
    try:
        private = load_pem_private_key(content, None)
    except (ValueError, TypeError):
        private = None
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyRefused(
            f"{path} holds no Ed25519 key; bring it back from a backup, or move it "
            "away and enrol this box anew"
        )
    return HubKey(private)


def _make(path: Path) -> HubKey:
    """Made whole under another name: a kill leaves no half of a key."""
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    new = path.with_name(FILE + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(
        new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
    )
    with open(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(descriptor)
    os.link(new, path)  # fails where somebody else made one meanwhile
    new.unlink()
    sync_folder(path.parent)
    return HubKey(private)
