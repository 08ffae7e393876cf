"""What a password must be, and what stands in for one that does not exist."""

from __future__ import annotations

import hmac
import secrets

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

    def part(label: bytes) -> bytes:
        return hmac.digest(key, label + b"\x00" + subject, digest)

    return ScramVerifier(
        salt=part(b"salt")[:SALT_BYTES],
        iterations=iterations,
        stored_key=part(b"stored key"),
        server_key=part(b"server key"),
        digest=digest,
    )


def check_against(verifier: ScramVerifier, password: str) -> bool:
    """Whether it matches; never raises. One PBKDF2: run in a thread."""
    if len(password) > MAX_PASSWORD_CHARS:
        return False
    try:
        return verifier.matches(password)
    except SaslprepError:
        return False
