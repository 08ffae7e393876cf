"""Hocuspocus's framing: each message begins with the document's address.

An address is `<hub_id>/<document>`, and since provider 4 optionally a NUL and a
session id, so that one socket may hold a document twice. A frame that is a
single byte 9 or 10 is a ping or pong of the connection.
"""

from __future__ import annotations

from collections.abc import Sequence

from mosaic.wire.drcp import events as ev
from mosaic.wire.drcp.lib0 import ProtocolError, Reader, var_string
from mosaic.wire.drcp.native import read_common, read_shared
from mosaic.wire.drcp.yprotocols import (
    AwarenessEntry,
    Step,
    Type,
    awareness_message,
    encode_sync,
)

MAX_ADDRESS = 512

_TOKEN, _DENIED, _AUTHENTICATED = 0, 1, 2


def split_address(address: str) -> tuple[str, str]:
    """The Hub ID and the document's name. Raises ProtocolError (4404)."""
    hub_id, slash, name = address.partition("\0")[0].partition("/")
    if not slash:
        raise ProtocolError("the document name is not <hub_id>/<name>", code=4404)
    return hub_id, name


def authenticated(address: str, *, write: bool) -> bytes:
    """The token was good; also sent again when the role changes."""
    scope = "read-write" if write else "readonly"
    return _auth(address, _AUTHENTICATED, scope)


def permission_denied(address: str, reason: str) -> bytes:
    """The token was not good for this document."""
    return _auth(address, _DENIED, reason)


def closed(address: str, reason: str) -> bytes:
    """The server closes this document on this connection."""
    head = var_string(address) + bytes((Type.HOCUSPOCUS_CLOSE,))
    return head + var_string(reason)


def _auth(address: str, kind: int, text: str) -> bytes:
    return var_string(address) + bytes((Type.AUTH, kind)) + var_string(text)


class HocuspocusFraming:
    """How the room's messages look on `/hocuspocus`: one in each frame."""

    def key(self, channel: ev.Channel) -> object:
        """Members with the same key get the same bytes."""
        return ("hocuspocus", channel)

    def batch(
        self, channel: ev.Channel, update: bytes, entries: Sequence[AwarenessEntry]
    ) -> list[bytes]:
        """One tick's update (b"" if none) and awareness."""
        head = self._head(channel)
        out = [head + encode_sync(Step.UPDATE, update)] if update else []
        if entries:
            out.append(head + awareness_message(entries))
        return out

    def sync(self, channel: ev.Channel, step: Step, data: bytes) -> list[bytes]:
        """A sync message."""
        return [self._head(channel) + encode_sync(step, data)]

    def status(self, channel: ev.Channel, saved: bool, count: int) -> list[bytes]:
        """So many updates are committed, or refused."""
        return [self._head(channel) + bytes((Type.SYNC_STATUS, int(saved)))] * count

    def error(self, channel: ev.Channel, code: int, message: str) -> list[bytes]:
        """The protocol has no errors: nothing."""
        return []

    def stateless(self, channel: ev.Channel, text: str) -> list[bytes]:
        """A text for the client."""
        return [self._head(channel) + bytes((Type.STATELESS,)) + var_string(text)]

    def pong(self, channel: ev.Channel | None) -> list[bytes]:
        """The answer to a ping."""
        head = b"" if channel is None else self._head(channel)
        return [head + bytes((Type.PONG,))]

    def keep_alive(self, channel: ev.Channel) -> list[bytes]:
        """An awareness message without states."""
        return [self._head(channel) + awareness_message(())]

    def _head(self, channel: ev.Channel) -> bytes:
        assert isinstance(channel, str)
        return var_string(channel)


class HocuspocusSession:
    """Reads the frames of one connection; keeps nothing but its breakage."""

    def __init__(self) -> None:
        self._broken = False

    def receive(self, frame: bytes) -> list[ev.Event]:
        """The event of one frame; never raises."""
        if self._broken:
            return []
        try:
            return self._read(frame)
        except ProtocolError as error:
            self._broken = True
            return [ev.Violation(error.code, str(error))]

    def _read(self, frame: bytes) -> list[ev.Event]:
        if frame == bytes((Type.PING,)):
            return [ev.Ping(None)]
        if frame == bytes((Type.PONG,)):
            return []
        reader = Reader(frame)
        address = reader.string()
        if not address or len(address) > MAX_ADDRESS:
            raise ProtocolError("the document name is empty or too long")
        common = read_common(address, frame, reader.at)
        if common is not None:
            return [common]
        kind = reader.var_uint()
        if kind == Type.AUTH:
            if reader.var_uint() != _TOKEN:
                raise ProtocolError("a client sends tokens only")
            # What follows the token is the provider's version: of no use.
            return [ev.Authenticate(address, reader.string())]
        if kind == Type.PING:
            return [ev.Ping(address)]
        if kind == Type.PONG:
            return []
        return [read_shared(address, kind, reader)]


def token_message(address: str, token: str) -> bytes:
    """What a client sends first."""
    return _auth(address, _TOKEN, token)


def client_sync(address: str, step: Step, data: bytes) -> bytes:
    """A client's sync message."""
    return var_string(address) + encode_sync(step, data)


def read_address(frame: bytes) -> tuple[str, int, Reader]:
    """Address, type and the reader of the rest, for a client."""
    reader = Reader(frame)
    return reader.string(), reader.var_uint(), reader
