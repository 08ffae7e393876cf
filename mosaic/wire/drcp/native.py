"""DRCP/1 on the server's side: frames in, events out; messages as bytes.

docs/protocols/drcp.md is the specification. A Session knows which channels are
open and nothing of rooms, roles or sockets.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mosaic.wire.drcp import events as ev
from mosaic.wire.drcp.lib0 import (
    ProtocolError,
    Reader,
    var_bytes,
    var_string,
    var_uint,
)
from mosaic.wire.drcp.yprotocols import (
    AwarenessEntry,
    Step,
    Type,
    awareness_message,
    encode_sync,
    read_sync,
)

SUBPROTOCOL = "drcp.1"
VERSION = 1
MAX_CHANNEL = 255
MAX_CHANNELS = 64
MAX_MESSAGES_PER_FRAME = 4096
PING_S = 20
"""The server pings idle sockets (RFC 6455) and drops those that stay silent."""

SNAPSHOT_REF = "snapshotRef"
CAPS = (SNAPSHOT_REF,)
"""What this version can do beyond the first; both sides name theirs."""

RETRY_AFTER_S = {4429: 5.0, 4500: 5.0}
"""Errors on a channel that may be gone when the same is tried again."""

_EMPTY = var_bytes(b"")


def json_bytes(value: Any) -> bytes:
    """JSON without spaces, in UTF-8."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(
        errors="replace"
    )


def json_message(channel: int, kind: Type, value: Any) -> bytes:
    """A DRCP message whose payload is JSON."""
    return var_uint(channel) + var_uint(kind) + var_bytes(var_bytes(json_bytes(value)))


def opened_message(
    channel: int,
    *,
    epoch: str,
    write: bool,
    update: bytes,
    state_vector: bytes,
    reference: ev.Json | None = None,
) -> bytes:
    """The answer to open. reference: a snapshotRef, for those who asked."""
    inside = (
        var_string(epoch)
        + var_uint(int(write))
        + var_bytes(update)
        + var_bytes(state_vector)
    )
    if reference is not None:
        inside += var_bytes(json_bytes(reference))
    return var_uint(channel) + var_uint(Type.OPENED) + var_bytes(inside)


def close_message(channel: int) -> bytes:
    """The channel is closed."""
    return var_uint(channel) + var_uint(Type.CLOSE) + _EMPTY


def open_message(channel: int, name: str, state_vector: bytes) -> bytes:
    """What a client sends to open a document."""
    inside = var_string(name) + var_bytes(state_vector)
    return var_uint(channel) + var_uint(Type.OPEN) + var_bytes(inside)


def read_json(data: bytes) -> ev.Json:
    """The JSON object inside a payload. Raises ProtocolError."""
    text = Reader(data).string()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError("the payload is not JSON") from None
    if not isinstance(value, dict):
        raise ProtocolError("the payload is no JSON object")
    return value


def error_body(code: int, message: str) -> ev.Json:
    """An error; with retry_after_s if trying again may help."""
    body: ev.Json = {"code": code, "message": message}
    if code in RETRY_AFTER_S:
        body["retry_after_s"] = RETRY_AFTER_S[code]
    return body


class NativeFraming:
    """How the room's messages look on `/drcp`: several in one frame."""

    def key(self, channel: ev.Channel) -> object:
        """Members with the same key get the same bytes."""
        return channel

    def batch(
        self, channel: ev.Channel, update: bytes, entries: Sequence[AwarenessEntry]
    ) -> list[bytes]:
        """One tick's update (b"" if none) and awareness."""
        head = self._head(channel)
        out = head + encode_sync(Step.UPDATE, update) if update else b""
        if entries:
            out += head + awareness_message(entries)
        return [out]

    def sync(self, channel: ev.Channel, step: Step, data: bytes) -> list[bytes]:
        """A sync message."""
        return [self._head(channel) + encode_sync(step, data)]

    def status(self, channel: ev.Channel, saved: bool, count: int) -> list[bytes]:
        """So many updates are committed, or refused."""
        one = self._head(channel) + bytes((Type.SYNC_STATUS, int(saved)))
        return [one * count]

    def error(self, channel: ev.Channel, code: int, message: str) -> list[bytes]:
        """An error on a channel; it does not close the socket."""
        assert isinstance(channel, int)
        body = error_body(code, message)
        return [json_message(channel, Type.ERROR, body)]

    def stateless(self, channel: ev.Channel, text: str) -> list[bytes]:
        """A text for the client."""
        return [self._head(channel) + bytes((Type.STATELESS,)) + var_string(text)]

    def pong(self, channel: ev.Channel | None) -> list[bytes]:
        """The answer to a ping."""
        return [self._head(channel or 0) + bytes((Type.PONG,))]

    def keep_alive(self, channel: ev.Channel) -> list[bytes]:
        """Native clients ping by themselves: nothing."""
        return []

    def _head(self, channel: ev.Channel) -> bytes:
        assert isinstance(channel, int)
        return var_uint(channel)


class Session:
    """One native connection's messages, in order.

    open_channels: those that the client opened and nobody closed. Call
    close_channel() when the server closes one or refuses to open it.
    """

    def __init__(self, *, max_channels: int = MAX_CHANNELS) -> None:
        self.open_channels: set[int] = set()
        self._max_channels = max_channels
        self._greeted = False
        self._broken = False

    def close_channel(self, channel: int) -> None:
        """The channel may be opened again."""
        self.open_channels.discard(channel)

    def receive(self, frame: bytes) -> list[ev.Event]:
        """The events of one frame; never raises.

        After a Violation with channel None nothing is read any more.
        """
        events: list[ev.Event] = []
        if self._broken:
            return events
        if frame and frame[0] in self.open_channels and frame[0] < 0x80:
            common = read_common(frame[0], frame, 1)
            if common is not None:
                return [common]
        reader = Reader(frame)
        try:
            while reader.left:
                if len(events) >= MAX_MESSAGES_PER_FRAME:
                    raise ProtocolError("too many messages in a frame", code=4429)
                self._message(reader, events)
        except ProtocolError as error:
            self._broken = True
            events.append(ev.Violation(error.code, str(error)))
        return events

    def _message(self, reader: Reader, events: list[ev.Event]) -> None:
        channel, kind = reader.var_uint(), reader.var_uint()
        if channel > MAX_CHANNEL:
            raise ProtocolError(f"channel {channel} is above {MAX_CHANNEL}")
        if not self._greeted and kind != Type.HELLO:
            raise ProtocolError("hello must come first", code=4401)
        if kind >= 64:
            payload = reader.bytes()
            if channel == 0:
                self._control(kind, payload, events)
            else:
                self._channel(channel, kind, payload, events)
        elif kind == Type.PING:
            events.append(ev.Ping(channel))
        elif kind != Type.PONG:
            event = read_shared(channel, kind, reader)
            if channel in self.open_channels:
                events.append(event)
                if isinstance(event, ev.Close):
                    self.open_channels.discard(channel)
            else:
                events.append(
                    ev.Violation(4404, f"channel {channel} is not open", channel)
                )

    def _control(self, kind: int, payload: bytes, events: list[ev.Event]) -> None:
        """A DRCP message on channel 0; unknown types are skipped."""
        if kind == Type.HELLO:
            if self._greeted:
                raise ProtocolError("hello came twice")
            events.append(read_hello(read_json(payload)))
            self._greeted = True
        elif kind == Type.EVENT:
            body = read_json(payload)
            events.append(
                ev.RoomEvent(_text(body, "type"), _object(body.get("data", {})))
            )
        elif kind == Type.RPC:
            body = read_json(payload)
            call = body.get("id")
            if isinstance(call, bool) or not isinstance(call, int | str):
                raise ProtocolError("rpc.id must be a number or a string")
            params = _object(body.get("params") or {})
            events.append(ev.Rpc(call, _text(body, "method"), params))
        elif kind == Type.SIGNAL:
            body = read_json(payload)
            events.append(ev.Signal(_text(body, "to"), body.get("data")))
        elif kind == Type.REFRESH:
            events.append(ev.Refresh(_text(read_json(payload), "token")))

    def _channel(
        self, channel: int, kind: int, payload: bytes, events: list[ev.Event]
    ) -> None:
        """A DRCP message on a document's channel."""
        if kind == Type.OPEN:
            reader = Reader(payload)
            name, state_vector = reader.string(), reader.bytes()
            if channel in self.open_channels:
                events.append(ev.Violation(4400, "the channel is open", channel))
            elif len(self.open_channels) >= self._max_channels:
                events.append(ev.Violation(4429, "too many documents", channel))
            else:
                self.open_channels.add(channel)
                events.append(ev.Open(channel, name, state_vector))
        elif kind == Type.CLOSE and channel in self.open_channels:
            self.open_channels.discard(channel)
            events.append(ev.Close(channel))


def read_common(
    channel: ev.Channel, frame: bytes, at: int
) -> ev.Update | ev.Awareness | None:
    """The update or awareness that a frame consists of from `at` on.

    None: it is another message, has a length of more than two bytes, or is
    not all; read it the long way.
    """
    size = len(frame) - at
    if size < 3:
        return None
    kind = frame[at]
    if kind == 0 and frame[at + 1] == 2:
        at += 2
    elif kind == 1:
        at += 1
    else:
        return None
    length = frame[at]
    at += 1
    if length >= 0x80:
        if at == len(frame) or frame[at] >= 0x80:
            return None
        length += (frame[at] << 7) - 0x80
        at += 1
    if length != len(frame) - at:
        return None
    if kind == 0:
        return ev.Update(channel, frame[at:], False)
    return ev.Awareness(channel, frame[at:])


def read_shared(channel: ev.Channel, kind: int, reader: Reader) -> ev.Event:
    """A message with y-protocols' payload. Raises ProtocolError."""
    match kind:
        case Type.SYNC | Type.SYNC_REPLY:
            step, data = read_sync(reader)
            if step is Step.STATE_VECTOR:
                return ev.StateVector(channel, data, kind == Type.SYNC_REPLY)
            return ev.Update(channel, data, step is Step.ANSWER)
        case Type.AWARENESS:
            return ev.Awareness(channel, reader.bytes())
        case Type.QUERY_AWARENESS:
            return ev.QueryAwareness(channel)
        case Type.STATELESS | Type.BROADCAST_STATELESS:
            return ev.Stateless(
                channel, reader.string(), kind == Type.BROADCAST_STATELESS
            )
        case Type.HOCUSPOCUS_CLOSE:
            reader.string()
            return ev.Close(channel)
        case _:
            raise ProtocolError(f"message type {kind} is unknown here")


def read_hello(body: ev.Json) -> ev.Hello:
    """Check the first message. Raises ProtocolError."""
    versions = body.get("v")
    if not isinstance(versions, list) or VERSION not in versions:
        raise ProtocolError(f"hello.v must contain {VERSION}")
    resume = None
    if body.get("resume") is not None:
        wanted = _object(body["resume"])
        last_seq = wanted.get("last_seq")
        if isinstance(last_seq, bool) or not isinstance(last_seq, int):
            raise ProtocolError("resume.last_seq must be a number")
        resume = (_text(wanted, "sid"), last_seq)
    caps = body.get("caps", [])
    if not isinstance(caps, list):
        raise ProtocolError("hello.caps must be a list")
    return ev.Hello(
        _text(body, "token"),
        str(body.get("client", ""))[:200],
        resume,
        frozenset(cap for cap in CAPS if cap in caps),
    )


def _text(body: ev.Json, key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str):
        raise ProtocolError(f"{key} must be a string")
    return value


def _object(value: object) -> ev.Json:
    if not isinstance(value, dict):
        raise ProtocolError("an object was expected")
    return value
