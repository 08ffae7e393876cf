"""Signing keys: Ed25519 in PEM files (PKCS #8), with a passphrase or without."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from securesystemslib.signer import CryptoSigner, SSlibKey

from mosaic.release.errors import ReleaseRefused


def make_key(file: Path, *, passphrase: bytes | None = None) -> Path:
    """Make a key pair; the public half's file (`.pub`), which may be given away.

    file: the private half, mode 0600; nothing is ever overwritten.

    Raises ReleaseRefused.
    """
    public = public_file(file)
    key = Ed25519PrivateKey.generate()
    encryption: KeySerializationEncryption = NoEncryption()
    if passphrase is not None:
        encryption = BestAvailableEncryption(passphrase)
    private_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    public_pem = key.public_key().public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    _write_new(file, private_pem, 0o600)
    _write_new(public, public_pem, 0o644)
    return public


def public_file(file: Path) -> Path:
    """Where the public half of a private key's file is."""
    return file.with_name(f"{file.name}.pub")


def load_signer(file: Path, *, passphrase: bytes | None = None) -> CryptoSigner:
    """A private key. Raises ReleaseRefused."""
    data = _read(file)
    if file.stat().st_mode & 0o077:
        raise ReleaseRefused(f"{file} can be read by others: chmod 600 {file}")
    try:
        key = load_pem_private_key(data, passphrase)
    except TypeError as error:
        wrong = "has no passphrase" if passphrase else "needs its passphrase"
        raise ReleaseRefused(f"{file} {wrong}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        what = "is no private key, or that is not its passphrase"
        raise ReleaseRefused(f"{file} {what}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ReleaseRefused(f"{file} is no Ed25519 key")
    return CryptoSigner(key)


def needs_passphrase(file: Path) -> bool:
    """Whether a private key is encrypted. Raises ReleaseRefused."""
    return b"ENCRYPTED" in _read(file)


def load_public(file: Path) -> SSlibKey:
    """A public key. Raises ReleaseRefused."""
    try:
        key = load_pem_public_key(_read(file))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ReleaseRefused(f"{file} is no public key (a file NAME.pub)") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ReleaseRefused(f"{file} is no Ed25519 key")
    return SSlibKey.from_crypto(key)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ReleaseRefused(f"{file}: {error.strerror}") from error


def _write_new(file: Path, data: bytes, mode: int) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError as error:
        raise ReleaseRefused(f"{file} exists: keys are never overwritten") from error
    except OSError as error:
        raise ReleaseRefused(f"{file}: {error.strerror}") from error
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
