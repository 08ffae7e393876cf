"""SASL HT-SHA-256: a login by a token, in one message (draft-schmaus-kitten-
sasl-ht-08), sans I/O."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from mosaic.wire.sasl.errors import MalformedRequest
from mosaic.wire.sasl.grammar import MAX_MESSAGE_BYTES
from mosaic.wire.sasl.saslprep import SaslprepError, saslprep

HT_EXPORTER = "HT-SHA-256-EXPR"
"""Bound to the TLS connection by tls-exporter (RFC 9266)."""
HT_NONE = "HT-SHA-256-NONE"
"""Bound to nothing: for clients that cannot see their TLS, such as browsers."""


@dataclass(frozen=True, slots=True)
class Initiation:
    """The client's message. tag: its HMAC over the channel binding."""

    username: str
    tag: bytes


def read_initiation(message: bytes) -> Initiation:
    """Name, NUL, HMAC (section 3.1). Raises MalformedRequest."""
    name, nul, tag = message.partition(b"\0")
    if not nul or not name or len(tag) != 32 or len(message) > MAX_MESSAGE_BYTES:
        raise MalformedRequest("the initiator's message is malformed")
    try:
        username = saslprep(name.decode())
    except (UnicodeDecodeError, SaslprepError) as error:
        raise MalformedRequest("the name cannot be prepared") from error
    if not username:
        raise MalformedRequest("the name is empty")
    return Initiation(username, tag)


def initiator_tag(secret: str, binding: bytes) -> bytes:
    """What the client must show. binding: b"" for HT-*-NONE."""
    return hmac.digest(secret.encode(), b"Initiator" + binding, "sha256")


def responder_tag(secret: str, binding: bytes) -> bytes:
    """How the server shows that it knows the token too (section 3.3)."""
    return hmac.digest(secret.encode(), b"Responder" + binding, "sha256")
