"""Who the hub is: an Ed25519 key that never leaves the box, and what it signs."""

from __future__ import annotations

import os
import re
import stat
from base64 import urlsafe_b64encode
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

FILE = "hub.key"
CODE_LENGTH = 10

_CODE = re.compile(r"[0-9A-HJKMNP-TV-Z]{10}")
_ALIKE = str.maketrans("OIL", "011")


class KeyRefused(Exception):
    """The key file cannot be used; one line that says what to do."""


def base64url(content: bytes) -> str:
    """Without padding."""
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def parse_code(text: str) -> str:
    """An activation code as it is signed and sent, from what a person typed:
    `7kq2m-xw9rd` is `7KQ2MXW9RD`. Raises ValueError."""
    code = re.sub(r"[\s\-]+", "", text[:64]).upper().translate(_ALIKE)
    if not _CODE.fullmatch(code):
        raise ValueError(
            "an activation code has ten letters and digits, like 7KQ2M-XW9RD"
        )
    return code


class HubKey:
    """Signs for the hub."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private

    @property
    def public(self) -> str:
        """32 octets, base64url."""
        return base64url(self._private.public_key().public_bytes_raw())

    @property
    def public_octets(self) -> bytes:
        """The same as they are."""
        return self._private.public_key().public_bytes_raw()

    def prove_enrolment(self, code: str) -> str:
        """The `proof` of an enrolment. code: as parse_code gives it."""
        return self._sign(f"mosaic-hub-enrol\n{code}\n{self.public}")

    def prove_token(self, hub_id: str, time: int, nonce: str) -> str:
        """The `signature` of a request for a token."""
        return self._sign(f"mosaic-hub-token\n{hub_id}\n{time}\n{nonce}")

    def _sign(self, text: str) -> str:
        return base64url(self._private.sign(text.encode()))


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
