"""The server side of SCRAM and SCRAM-PLUS (RFC 5802, 7677, 9266), sans I/O.

Four messages: client-first in, server-first out, client-final in, server-final
out. The caller looks the verifier up between the first two; for a name that it
does not know it gives a fake one, so that both answers look alike.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from mosaic.wire.sasl.errors import MalformedRequest, NotAuthorized
from mosaic.wire.sasl.grammar import (
    BINDING_TYPE,
    attributes,
    base64_text,
    printable,
    text,
    unbase64,
    unescape_name,
)
from mosaic.wire.sasl.saslprep import SaslprepError, saslprep
from mosaic.wire.sasl.verifier import ScramVerifier


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientFirst:
    """Who wants in. authzid: the identity wished for, or None for its own."""

    username: str
    authzid: str | None


class ScramServer:
    """One login.

    nonce: fresh printable ASCII without comma, from a secure source.
    plus: the client chose the -PLUS mechanism. binding: the tls-exporter bytes
    of this connection, or None when -PLUS was not offered on it. digest: the
    hash in the mechanism's name. offer: of offer_hash(), None to say nothing.
    """

    def __init__(
        self,
        *,
        nonce: str,
        plus: bool = False,
        binding: bytes | None = None,
        digest: str = "sha256",
        offer: str | None = None,
    ) -> None:
        if not printable(nonce):
            raise ValueError("a nonce is printable ASCII without comma")
        if plus and binding is None:
            raise ValueError("-PLUS needs channel binding data")
        self._nonce = nonce
        self._plus = plus
        self._binding = binding
        self._digest = digest
        self._offer = offer
        self._gs2_header = b""
        self._client_first_bare = b""
        self._server_first = b""
        self._verifier: ScramVerifier | None = None

    def client_first(self, message: bytes) -> ClientFirst:
        """Read client-first-message.

        Raises MalformedRequest for bad grammar or an unknown extension, and
        NotAuthorized for a downgrade: "y" says that the client can bind but
        was not offered -PLUS, and it was (RFC 5802 section 6).
        """
        if self._gs2_header:
            raise MalformedRequest("a second client-first-message")
        parts = text(message).split(",", 2)
        if len(parts) != 3:
            raise MalformedRequest("the GS2 header is cut short")
        flag, authzid, bare = parts
        self._check_flag(flag)
        self._gs2_header = f"{flag},{authzid},".encode()
        self._client_first_bare = bare.encode()
        username, client_nonce = _name_and_nonce(self._client_first_bare)
        self._nonce = client_nonce + self._nonce
        return ClientFirst(username=username, authzid=_authzid(authzid))

    def _check_flag(self, flag: str) -> None:
        """The gs2-cbind-flag must fit the mechanism and what was offered."""
        if flag.startswith("p="):
            if not self._plus:
                raise MalformedRequest("channel binding without a -PLUS mechanism")
            if flag != f"p={BINDING_TYPE}":
                raise NotAuthorized("this type of channel binding was not offered")
        elif self._plus:
            raise MalformedRequest("a -PLUS mechanism without channel binding")
        elif flag == "y":
            if self._binding is not None:
                raise NotAuthorized("the offer of -PLUS was hidden from the client")
        elif flag != "n":
            raise MalformedRequest("unknown channel binding flag")

    def server_first(self, verifier: ScramVerifier) -> bytes:
        """The salt, the iterations and the joint nonce, and what was offered."""
        if not self._gs2_header:
            raise MalformedRequest("no client-first-message came before")
        if verifier.digest != self._digest:
            raise ValueError(f"a verifier of {verifier.digest} for {self._digest}")
        self._verifier = verifier
        salt = base64_text(verifier.salt)
        first = f"r={self._nonce},s={salt},i={verifier.iterations}"
        if self._offer is not None:
            first += f",h={self._offer}"
        self._server_first = first.encode()
        return self._server_first

    def client_final(self, message: bytes) -> bytes:
        """Check the proof and return server-final-message.

        Raises NotAuthorized when the proof, the nonce or the binding is wrong.
        """
        if self._verifier is None:
            raise MalformedRequest("client-final-message came out of turn")
        verifier, self._verifier = self._verifier, None
        pairs = attributes(message)
        names = [name for name, _ in pairs]
        # RFC 5802 section 5.1: "m" is reserved and must fail the exchange.
        if names[:2] != ["c", "r"] or names[-1] != "p" or "m" in names:
            raise MalformedRequest("client-final-message needs c, r, …, p")
        binding, nonce, proof = pairs[0][1], pairs[1][1], unbase64(pairs[-1][1])
        if unbase64(binding) != self._expected_binding():
            raise NotAuthorized("wrong channel binding")
        if not hmac.compare_digest(nonce.encode(), self._nonce.encode()):
            raise NotAuthorized("wrong nonce")
        without_proof = message[: message.rindex(b",p=")]
        auth_message = b",".join(
            (self._client_first_bare, self._server_first, without_proof)
        )
        if not _proves(verifier, auth_message, proof):
            raise NotAuthorized("wrong proof")
        signature = hmac.digest(verifier.server_key, auth_message, self._digest)
        return f"v={base64_text(signature)}".encode()

    def _expected_binding(self) -> bytes:
        """cbind-input: the GS2 header, and the channel's own bytes for -PLUS."""
        if self._plus:
            return self._gs2_header + (self._binding or b"")
        return self._gs2_header


def _name_and_nonce(bare: bytes) -> tuple[str, str]:
    """client-first-message-bare is n=…,r=… with optional extensions."""
    pairs = attributes(bare)
    names = [name for name, _ in pairs]
    if names[:2] != ["n", "r"]:
        raise MalformedRequest("client-first-message needs n and r, in order")
    nonce = pairs[1][1]
    if not printable(nonce):
        raise MalformedRequest("the nonce is not printable ASCII")
    try:
        username = saslprep(unescape_name(pairs[0][1]))
    except SaslprepError as error:
        raise MalformedRequest("the name cannot be prepared") from error
    if not username:
        raise MalformedRequest("the name is empty")
    return username, nonce


def _authzid(part: str) -> str | None:
    if not part:
        return None
    if not part.startswith("a=") or part == "a=":
        raise MalformedRequest("the GS2 header holds something but an authzid")
    return unescape_name(part[2:])


def _proves(verifier: ScramVerifier, auth_message: bytes, proof: bytes) -> bool:
    """Whether H(proof XOR ClientSignature) is the StoredKey (section 3)."""
    signature = hmac.digest(verifier.stored_key, auth_message, verifier.digest)
    if len(proof) != len(signature):
        return False
    mixed = int.from_bytes(proof) ^ int.from_bytes(signature)
    client_key = mixed.to_bytes(len(proof))
    hashed = hashlib.new(verifier.digest, client_key).digest()
    return hmac.compare_digest(hashed, verifier.stored_key)
