"""DRCP/1 messages, without I/O: what a client sends, and how any frame reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mosaic.wire.drcp.events import Json
from mosaic.wire.drcp.lib0 import ProtocolError, Reader, var_bytes, var_uint
from mosaic.wire.drcp.native import (
    VERSION,
    close_message,
    json_message,
    open_message,
    read_json,
)
from mosaic.wire.drcp.yprotocols import (
    AwarenessEntry,
    Step,
    Type,
    awareness_message,
    decode_awareness,
    encode_sync,
    read_sync,
)


@dataclass(frozen=True, slots=True)
class Message:
    """One message, of either side.

    value: for JSON types the object; for sync (step, bytes); for awareness the
    entries; for open (name, state vector); for opened an Opened; for syncStatus
    a bool; for texts the string; else None, also for types from 64 on that are
    not known here.
    """

    channel: int
    type: int
    value: Any = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A document as it was when the channel was opened.

    reference: a snapshotRef; then `update` is what that state lacks.
    """

    epoch: str
    write: bool
    update: bytes
    state_vector: bytes
    reference: Json | None = None


_JSON = {
    Type.HELLO,
    Type.WELCOME,
    Type.ERROR,
    Type.PERM,
    Type.EVENT,
    Type.RPC,
    Type.RPC_RESULT,
    Type.SIGNAL,
    Type.REFRESH,
    Type.RESYNC,
}


def read_frame(frame: bytes) -> list[Message]:
    """Everything in one frame. Raises ProtocolError."""
    reader, messages = Reader(frame), []
    while reader.left:
        channel, kind = reader.var_uint(), reader.var_uint()
        messages.append(Message(channel, kind, _value(kind, reader)))
    return messages


def _value(kind: int, reader: Reader) -> Any:
    if kind >= 64:
        payload = reader.bytes()
        if kind in _JSON:
            return read_json(payload)
        if kind == Type.OPEN:
            inside = Reader(payload)
            return inside.string(), inside.bytes()
        if kind == Type.OPENED:
            return _opened(Reader(payload))
        return None
    match kind:
        case Type.SYNC | Type.SYNC_REPLY:
            return read_sync(reader)
        case Type.AWARENESS:
            return decode_awareness(reader.bytes())
        case Type.STATELESS | Type.BROADCAST_STATELESS | Type.HOCUSPOCUS_CLOSE:
            return reader.string()
        case Type.SYNC_STATUS:
            return reader.var_uint() == 1
        case Type.QUERY_AWARENESS | Type.PING | Type.PONG:
            return None
        case _:
            raise ProtocolError(f"message type {kind} is unknown")


def _opened(inside: Reader) -> Opened:
    epoch, write = inside.string(), inside.var_uint() == 1
    update, state_vector = inside.bytes(), inside.bytes()
    # What a later version may add comes after the reference.
    reference = None
    if inside.left:
        text = inside.bytes()
        reference = read_json(var_bytes(text)) if text else None
    return Opened(epoch, write, update, state_vector, reference)


def hello(
    token: str,
    *,
    client: str,
    resume: tuple[str, int] | None = None,
    caps: Sequence[str] = (),
) -> bytes:
    """The first message."""
    body: dict[str, Any] = {"v": [VERSION], "client": client, "caps": list(caps)}
    body["token"] = token
    if resume is not None:
        body["resume"] = {"sid": resume[0], "last_seq": resume[1]}
    return json_message(0, Type.HELLO, body)


def open_document(channel: int, name: str, state_vector: bytes = b"") -> bytes:
    """Open a document; state_vector: what is known already."""
    return open_message(channel, name, state_vector)


def close_channel(channel: int) -> bytes:
    """Close a document."""
    return close_message(channel)


def sync(channel: int, step: Step, data: bytes) -> bytes:
    """A state vector, an answer or an update."""
    return var_uint(channel) + encode_sync(step, data)


def awareness(channel: int, client: int, clock: int, state: str) -> bytes:
    """One's own awareness state (JSON text)."""
    entry = AwarenessEntry(client, clock, state)
    return var_uint(channel) + awareness_message([entry])


def ping(channel: int = 0) -> bytes:
    """Answered by a pong."""
    return var_uint(channel) + bytes((Type.PING,))


def pong(channel: int = 0) -> bytes:
    """The answer to a ping."""
    return var_uint(channel) + bytes((Type.PONG,))


def event(kind: str, data: dict[str, Any]) -> bytes:
    """chat, state or reaction."""
    return json_message(0, Type.EVENT, {"type": kind, "data": data})


def rpc(call: int, method: str, params: dict[str, Any]) -> bytes:
    """A call."""
    body = {"id": call, "method": method, "params": params}
    return json_message(0, Type.RPC, body)


def signal(to: str, data: Any) -> bytes:
    """Something for one other participant."""
    return json_message(0, Type.SIGNAL, {"to": to, "data": data})


def refresh(token: str) -> bytes:
    """A newer token for the same participant."""
    return json_message(0, Type.REFRESH, {"token": token})


def unknown(channel: int, kind: int, data: bytes) -> bytes:
    """A message of a type to come (64 and above)."""
    return var_uint(channel) + var_uint(kind) + var_bytes(data)
