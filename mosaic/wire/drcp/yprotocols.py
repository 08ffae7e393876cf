"""The messages of y-protocols that all three doors share: sync and awareness."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from mosaic.wire.drcp.lib0 import (
    ProtocolError,
    Reader,
    var_bytes,
    var_string,
    var_uint,
)


class Type(IntEnum):
    """Message types; those below 64 are y-protocols' and Hocuspocus's."""

    SYNC = 0
    AWARENESS = 1
    AUTH = 2
    QUERY_AWARENESS = 3
    SYNC_REPLY = 4
    STATELESS = 5
    BROADCAST_STATELESS = 6
    HOCUSPOCUS_CLOSE = 7
    SYNC_STATUS = 8
    PING = 9
    PONG = 10
    HELLO = 64
    WELCOME = 65
    OPEN = 66
    OPENED = 67
    CLOSE = 68
    ERROR = 69
    PERM = 70
    EVENT = 71
    RPC = 72
    RPC_RESULT = 73
    SIGNAL = 74
    REFRESH = 75
    RESYNC = 76


class Step(IntEnum):
    """What a sync message carries."""

    STATE_VECTOR = 0
    ANSWER = 1
    UPDATE = 2


@dataclass(slots=True)
class AwarenessEntry:
    """One client's state: JSON text, or "null" for one that has gone."""

    client: int
    clock: int
    state: str


def encode_sync(step: Step, data: bytes) -> bytes:
    """A sync message, type included."""
    return bytes((Type.SYNC, step)) + var_bytes(data)


def encode_awareness(entries: Iterable[AwarenessEntry]) -> bytes:
    """An awareness update, without the message around it."""
    parts = [
        var_uint(entry.client) + var_uint(entry.clock) + var_string(entry.state)
        for entry in entries
    ]
    return var_uint(len(parts)) + b"".join(parts)


def awareness_message(entries: Iterable[AwarenessEntry]) -> bytes:
    """An awareness message, type included."""
    return bytes((Type.AWARENESS,)) + var_bytes(encode_awareness(entries))


def decode_awareness(data: bytes) -> list[AwarenessEntry]:
    """Read an awareness update. Raises ProtocolError."""
    one = decode_one(data)
    if one is not None:
        return [one]
    return decode_all(data)


def decode_all(data: bytes) -> list[AwarenessEntry]:
    """The long way, for any number of entries. Raises ProtocolError."""
    reader = Reader(data)
    count = reader.var_uint()
    if count * 3 > reader.left:
        raise ProtocolError(f"{count} awareness states announced")
    entries = [
        AwarenessEntry(reader.var_uint(), reader.var_uint(), reader.string())
        for _ in range(count)
    ]
    if reader.left:
        raise ProtocolError("bytes after the awareness update")
    return entries


def decode_one(data: bytes) -> AwarenessEntry | None:
    """The only entry of a short update, which is what a moving pointer makes;
    None: read it the long way."""
    size = len(data)
    if not 8 < size < 256 or data[0] != 1:
        return None
    at = 1
    numbers = []
    for most in (28, 21, 7):  # bits before the last seven, so within the bytes
        value = shift = 0
        byte = data[at]
        at += 1
        while byte >= 0x80:
            if shift >= most or at == size:
                return None
            value |= (byte & 0x7F) << shift
            shift += 7
            byte = data[at]
            at += 1
        numbers.append(value | byte << shift)
        if at == size:
            return None
    client, clock, length = numbers
    if at + length != size:
        return None
    try:
        return AwarenessEntry(client, clock, data[at:].decode())
    except UnicodeDecodeError:
        return None


def read_sync(reader: Reader) -> tuple[Step, bytes]:
    """The payload of types 0 and 4. Raises ProtocolError."""
    step = reader.var_uint()
    if step > Step.UPDATE:
        raise ProtocolError(f"sync step {step} is unknown")
    return Step(step), reader.bytes()
