"""What the server keeps instead of a password (RFC 5802 section 3, RFC 7677)."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from mosaic.wire.sasl.saslprep import saslprep

ITERATIONS = 10_000
SALT_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ScramVerifier:
    """StoredKey and ServerKey of one account; the password cannot be had back.

    salt: random bytes. iterations: PBKDF2 rounds. stored_key and server_key:
    as long as the digest ("sha256" or "sha1") is (RFC 5802 section 3).
    """

    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes
    digest: str = "sha256"

    def matches(self, password: str) -> bool:
        """Whether the password gives the same StoredKey, in constant time."""
        candidate = derive_verifier(
            password,
            salt=self.salt,
            iterations=self.iterations,
            digest=self.digest,
        )
        return hmac.compare_digest(candidate.stored_key, self.stored_key)


def derive_verifier(
    password: str,
    *,
    salt: bytes,
    iterations: int = ITERATIONS,
    digest: str = "sha256",
) -> ScramVerifier:
    """Compute the SCRAM verifier of a password.

    Costs one PBKDF2 (some milliseconds): call it outside the reactor thread.

    Raises SaslprepError if the password holds prohibited characters.
    """
    salted = hashlib.pbkdf2_hmac(digest, saslprep(password).encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", digest)
    return ScramVerifier(
        salt=salt,
        iterations=iterations,
        stored_key=hashlib.new(digest, client_key).digest(),
        server_key=hmac.digest(salted, b"Server Key", digest),
        digest=digest,
    )
