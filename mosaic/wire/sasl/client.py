"""The client side of SCRAM and SCRAM-PLUS, sans I/O: for hubs and tests."""

from __future__ import annotations

import hashlib
import hmac

from mosaic.wire.sasl.errors import MalformedRequest, NotAuthorized
from mosaic.wire.sasl.grammar import (
    BINDING_TYPE,
    attributes,
    base64_text,
    escape_name,
    unbase64,
)
from mosaic.wire.sasl.saslprep import saslprep

MIN_ITERATIONS = 4096
"""RFC 7677 section 4: fewer would help whoever listens to guess."""
MAX_ITERATIONS = 1_000_000
"""A hostile server must not keep a small box busy for minutes."""


class ScramClient:
    """One login: first() out, final() out, verify() at the end.

    binding: tls-exporter bytes when the -PLUS mechanism was chosen.
    can_bind: whether to send "y": able to bind, but the server did not offer.
    digest: the hash in the mechanism's name. offer: of offer_hash(), made of what
    the server seemed to offer; None to take its word for it.
    """

    def __init__(
        self,
        username: str,
        password: str,
        *,
        nonce: str,
        binding: bytes | None = None,
        can_bind: bool = False,
        authzid: str | None = None,
        digest: str = "sha256",
        offer: str | None = None,
    ) -> None:
        self._digest = digest
        self._offer = offer
        self._password = password
        self._nonce = nonce
        flag = "n"
        if binding is not None:
            flag = f"p={BINDING_TYPE}"
        elif can_bind:
            flag = "y"
        wished = f"a={escape_name(authzid)}" if authzid else ""
        self._gs2_header = f"{flag},{wished},".encode()
        self._binding = binding or b""
        self._first_bare = f"n={escape_name(saslprep(username))},r={nonce}".encode()
        self._server_signature = b""

    def first(self) -> bytes:
        """client-first-message."""
        return self._gs2_header + self._first_bare

    def final(self, server_first: bytes) -> bytes:
        """client-final-message; costs one PBKDF2.

        Raises MalformedRequest, or NotAuthorized when the server did not
        extend our nonce, asks for too few or too many iterations, or offered
        something else than what we saw (XEP-0474).
        """
        salt, iterations, nonce = self._read(server_first)
        salted = hashlib.pbkdf2_hmac(
            self._digest, saslprep(self._password).encode(), salt, iterations
        )
        client_key = hmac.digest(salted, b"Client Key", self._digest)
        server_key = hmac.digest(salted, b"Server Key", self._digest)
        channel = base64_text(self._gs2_header + self._binding)
        without_proof = f"c={channel},r={nonce}".encode()
        auth_message = b",".join((self._first_bare, server_first, without_proof))
        stored_key = hashlib.new(self._digest, client_key).digest()
        signature = hmac.digest(stored_key, auth_message, self._digest)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self._server_signature = hmac.digest(server_key, auth_message, self._digest)
        return without_proof + f",p={base64_text(proof)}".encode()

    def _read(self, server_first: bytes) -> tuple[bytes, int, str]:
        pairs = attributes(server_first)
        if [name for name, _ in pairs[:3]] != ["r", "s", "i"]:
            raise MalformedRequest("server-first-message needs r, s and i")
        nonce, salt, count = (value for _, value in pairs[:3])
        if not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise NotAuthorized("the server did not extend our nonce")
        if not (count.isascii() and count.isdigit() and len(count) <= 9):
            raise MalformedRequest("the iteration count is not a number")
        if not MIN_ITERATIONS <= int(count) <= MAX_ITERATIONS:
            raise NotAuthorized(f"{count} iterations are not acceptable")
        offered = dict(pairs[3:]).get("h")
        if self._offer is not None and offered not in (None, self._offer):
            raise NotAuthorized("somebody changed what the server offered")
        return unbase64(salt), int(count), nonce

    def verify(self, server_final: bytes) -> None:
        """Raises NotAuthorized unless the server knew the verifier too."""
        name, value = attributes(server_final)[0]
        if name != "v" or not self._server_signature:
            raise NotAuthorized("the server refused")
        if not hmac.compare_digest(unbase64(value), self._server_signature):
            raise NotAuthorized("the server does not know the password's verifier")
