"""What a password must be, and what stands in for one that does not exist."""

from __future__ import annotations

import hmac
import secrets
from functools import lru_cache

from mosaic.wire.sasl.saslprep import SaslprepError, saslprep
from mosaic.wire.sasl.verifier import SALT_BYTES, ScramVerifier, derive_verifier

MIN_PASSWORD_CHARS = 6
MAX_PASSWORD_CHARS = 1024


def check_password(password: str) -> None:
    """Raises ValueError, with a sentence for the person, if it cannot be kept."""
    if len(password) > MAX_PASSWORD_CHARS:
        raise ValueError(f"a password has at most {MAX_PASSWORD_CHARS} characters")
    try:
        prepared = saslprep(password)
    except SaslprepError as error:
        raise ValueError(f"this password cannot be used: {error}") from None
    if len(prepared) < MIN_PASSWORD_CHARS:
        raise ValueError(f"a password has at least {MIN_PASSWORD_CHARS} characters")


def new_verifier(
    password: str, *, iterations: int, digest: str = "sha256"
) -> ScramVerifier:
    """The verifier to keep, with a fresh salt. One PBKDF2: run in a thread."""
    return derive_verifier(
        password,
        salt=secrets.token_bytes(SALT_BYTES),
        iterations=iterations,
        digest=digest,
    )


def fake_verifier(
    name: str, *, key: bytes, iterations: int, digest: str = "sha256"
) -> ScramVerifier:
    """What an unknown account shows: always the same for the same name.

    key: the server's secret, so that nobody else can tell it from a real one.
    No password matches it but by chance of 1 in 2**256.
    """

    subject = name.encode("utf-8", "surrogatepass")

    if digest != "sha256":
        subject = digest.encode() + b"\x00" + subject

    # Only the salt is ever shown; the keys need to be nobody's.
    stored_key, server_key = _nobodys_keys(key, digest)
    return ScramVerifier(
        salt=hmac.digest(key, b"salt\x00" + subject, digest)[:SALT_BYTES],
        iterations=iterations,
        stored_key=stored_key,
        server_key=server_key,
        digest=digest,
    )


@lru_cache(maxsize=8)
def _nobodys_keys(key: bytes, digest: str) -> tuple[bytes, bytes]:
    return (
        hmac.digest(key, b"stored key", digest),
        hmac.digest(key, b"server key", digest),
    )


def check_against(verifier: ScramVerifier, password: str) -> bool:
    """Whether it matches; never raises. One PBKDF2: run in a thread."""
    if len(password) > MAX_PASSWORD_CHARS:
        return False
    try:
        return verifier.matches(password)
    except SaslprepError:
        return False
