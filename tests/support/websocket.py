"""A WebSocket client that sends any frames at all, right or wrong."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
PATIENCE_S = 30.0


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0
) -> bytes:
    """One masked frame (RFC 6455 section 5.2)."""
    head = bytes(((0x80 if fin else 0) | rsv << 4 | opcode,))
    size = len(payload)
    if size < 126:
        head += bytes((0x80 | size,))
    elif size < 65536:
        head += b"\xfe" + size.to_bytes(2, "big")
    else:
        head += b"\xff" + size.to_bytes(8, "big")
    mask = os.urandom(4)
    whole = mask * (size // 4 + 1)
    number = int.from_bytes(payload, "big") ^ int.from_bytes(whole[:size], "big")
    return head + mask + number.to_bytes(size, "big")


def close(code: int | None = 1000, reason: bytes = b"") -> bytes:
    """A close frame; None: without a code."""
    return frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason)


def fragments(opcode: int, payload: bytes, size: int) -> list[bytes]:
    """One message in frames of so many bytes."""
    parts = [payload[at : at + size] for at in range(0, len(payload), size)] or [b""]
    return [
        frame(opcode if not at else CONTINUATION, part, fin=at == len(parts) - 1)
        for at, part in enumerate(parts)
    ]


@dataclass
class Outcome:
    """What came back: whole messages, pongs, and the close code.

    closed: None if the server cut the connection without a close frame; 0 for
    a close frame without a code.
    """

    messages: list[tuple[int, bytes]] = field(default_factory=list)
    closed: int | None = None


def talk(port: int, path: str, sent: list[bytes], *, chop: int = 0) -> Outcome:
    """Send frames, then read until the server has closed (blocks).

    chop: send in pieces of so many bytes.
    """
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        reader = link.makefile("rb")
        status = reader.readline()
        assert b" 101 " in status, status
        while reader.readline() != b"\r\n":
            pass
        try:
            data = b"".join(sent)
            step = chop or len(data) or 1
            for at in range(0, len(data), step):
                link.sendall(data[at : at + step])
        except OSError:
            pass  # it closed in the middle, and says why
        return read_outcome(reader)


def read_outcome(reader: object) -> Outcome:
    """Whole messages until the server closes. reader: a binary file."""
    outcome, parts, kind = Outcome(), b"", 0
    read = reader.read  # type: ignore[attr-defined]  # a file object
    try:
        while head := read(2):
            size = head[1] & 0x7F
            if size == 126:
                size = int.from_bytes(read(2), "big")
            elif size == 127:
                size = int.from_bytes(read(8), "big")
            payload, opcode = read(size), head[0] & 0x0F
            if opcode == CLOSE:
                outcome.closed = int.from_bytes(payload[:2], "big")
                return outcome
            if opcode >= CLOSE:
                outcome.messages.append((opcode, payload))
                continue
            kind = opcode or kind
            parts += payload
            if head[0] & 0x80:
                outcome.messages.append((kind, parts))
                parts = b""
    except OSError:
        pass
    return outcome
