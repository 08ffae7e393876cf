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


def read_sync(reader: Reader) -> tuple[Step, bytes]:
    """The payload of types 0 and 4. Raises ProtocolError."""
    step = reader.var_uint()
    if step > Step.UPDATE:
        raise ProtocolError(f"sync step {step} is unknown")
    return Step(step), reader.bytes()
