"""The grammar that both sides of SCRAM share (RFC 5802 section 7)."""

from __future__ import annotations

import base64
import binascii

from mosaic.wire.sasl.errors import IncorrectEncoding, MalformedRequest

MECHANISM = "SCRAM-SHA-256"
MECHANISM_PLUS = "SCRAM-SHA-256-PLUS"
DIGESTS = {MECHANISM: "sha256", "SCRAM-SHA-1": "sha1"}
"""Of the mechanisms without channel binding; with it they end in -PLUS."""
BINDING_TYPE = "tls-exporter"
"""The one channel binding spoken here (RFC 9266)."""
EXPORTER_LABEL = b"EXPORTER-Channel-Binding"
"""Label for TLS exporters, with no context and 32 bytes (RFC 9266 section 2)."""
EXPORTER_BYTES = 32

MAX_MESSAGE_BYTES = 8192
"""No honest SCRAM message comes near; hashing longer ones serves nobody."""


def attributes(message: bytes) -> list[tuple[str, str]]:
    """Split `a=1,b=2` into pairs, in order.

    Raises MalformedRequest unless every part is one letter, "=", a value.
    """
    pairs = []
    for part in text(message).split(","):
        name, equals, value = part.partition("=")
        if not equals or len(name) != 1 or not name.isascii() or not name.isalpha():
            raise MalformedRequest("an attribute is not of the form letter=value")
        pairs.append((name, value))
    return pairs


def text(message: bytes) -> str:
    """Decode a message. Raises MalformedRequest if it is too long, not UTF-8
    or holds NUL."""
    if len(message) > MAX_MESSAGE_BYTES:
        raise MalformedRequest("the message is too long")
    try:
        decoded = message.decode()
    except UnicodeDecodeError as error:
        raise MalformedRequest("the message is not UTF-8") from error
    if "\0" in decoded:
        raise MalformedRequest("the message holds NUL")
    return decoded


def unbase64(value: str | bytes) -> bytes:
    """Decode strict base64. Raises IncorrectEncoding."""
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise IncorrectEncoding("not base64") from error


def base64_text(value: bytes) -> str:
    """Encode as base64 text with padding and no line breaks."""
    return base64.b64encode(value).decode("ascii")


def escape_name(name: str) -> str:
    """Write a saslname: "=" and "," become =3D and =2C."""
    return name.replace("=", "=3D").replace(",", "=2C")


def unescape_name(saslname: str) -> str:
    """Read a saslname. Raises MalformedRequest for any other "="."""
    parts = saslname.split("=")
    for part in parts[1:]:
        if not part.startswith(("2C", "3D")):
            raise MalformedRequest("a name holds a bare =")
    return saslname.replace("=2C", ",").replace("=3D", "=")


def printable(value: str) -> bool:
    """Whether a nonce has only visible ASCII but no comma, and at least one."""
    return bool(value) and all("!" <= char <= "~" and char != "," for char in value)
