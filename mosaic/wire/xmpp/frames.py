"""XMPP in WebSocket messages (RFC 7395), sans I/O.

Each message is one element that stands alone, with its own namespaces: half an
element, or two, end the stream.
"""

from __future__ import annotations

from dataclasses import replace

from mosaic.wire.xmpp.stanza import NS_CLIENT, Stanza, StartTag
from mosaic.wire.xmpp.stream import (
    Event,
    StreamEnd,
    StreamFault,
    StreamParser,
    StreamStart,
)

NS_FRAMING = "urn:ietf:params:xml:ns:xmpp-framing"
SUBPROTOCOL = "xmpp"

_ROOT = b"<w>"
"""Stands around all messages, and lends them no namespace."""
_UNDECLARED = ((b"xmlns", b'""'),)
_CLIENT_DECLARED = f" xmlns='{NS_CLIENT}'".encode()
_STREAM_DECLARED = b" xmlns:stream='http://etherx.jabber.org/streams'"


class FrameParser(StreamParser):
    """Messages in, one at a time; the events of a stream out."""

    def __init__(self, *, max_stanza_bytes: int) -> None:
        super().__init__(max_stanza_bytes=max_stanza_bytes)
        self._bare = False
        self._header = _ROOT
        self._renew()

    def feed(self, data: bytes) -> list[Event]:
        """The event of one message; white space alone is none."""
        if self._dead:
            return []
        events = super().feed(data)
        if len(events) == 1:
            event = events[0]
            if isinstance(event, StreamFault):
                return events
            if isinstance(event, Stanza) and not self._unfinished():
                return [self._framed(event)]
        elif not events and not self._unfinished():
            return []
        self._dead = True
        text = "a message is one whole element"
        return [StreamFault(condition="not-well-formed", text=text)]

    def _unfinished(self) -> bool:
        return self._dead or self._depth != 1 or bool(self._gate.held)

    def _framed(self, stanza: Stanza) -> Event:
        """`<open/>` and `<close/>` stand for the tags of a stream."""
        if stanza.ns == NS_FRAMING and stanza.name == "open":
            return StreamStart(attributes=stanza.attributes)
        if stanza.ns == NS_FRAMING and stanza.name == "close":
            self._dead = True
            return StreamEnd()
        # Where it goes, a stream header declares a default namespace.
        return replace(stanza, inherited=_UNDECLARED) if self._bare else stanza

    def _started(self, name: str, attributes: dict[str, str]) -> None:
        if self._depth == 1:
            self._bare = all(prefix is not None for prefix, _ in self._namespaces)
        super()._started(name, attributes)


def standing_alone(raw: bytes) -> bytes:
    """An element of a client's stream with what the stream's header declares
    for it: nothing does that around a WebSocket message (RFC 7395 section 3.3.3).
    """
    start = StartTag(raw)
    declared = start.declares()
    added = b"" if b"xmlns" in declared else _CLIENT_DECLARED
    if b"stream:" in raw and b"xmlns:stream" not in declared:
        added += _STREAM_DECLARED
    return raw[: start.name_end] + added + raw[start.name_end :] if added else raw


def text_frame(payload: bytes) -> bytes:
    """A whole text message from a server (RFC 6455 section 5.2)."""
    size = len(payload)
    if size < 126:
        return b"\x81%c%b" % (size, payload)
    if size < 65536:
        return b"\x81\x7e%b%b" % (size.to_bytes(2, "big"), payload)
    return b"\x81\x7f%b%b" % (size.to_bytes(8, "big"), payload)
