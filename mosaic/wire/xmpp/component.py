"""The component protocol (XEP-0114): streams of another default namespace.

A stanza there is a client's stanza, byte for byte, as long as its start tag
does not name a namespace: the stream's header is what differs.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import replace

from mosaic.wire.xmpp.stanza import NS_CLIENT, STANZA_NAMES, Stanza, start_tag_end
from mosaic.wire.xmpp.stream import Event, StreamFault, StreamParser

NS_COMPONENT = "jabber:component:accept"
MAX_HEADER_BYTES = 4096

_TAG = re.compile(rb"""<(?![?!])(?:[^"'>]|"[^"]*"|'[^']*')*>""")
_XMLNS = re.compile(rb"""(\sxmlns\s*=\s*)("[^"]*"|'[^']*')""")


class ComponentParser:
    """Bytes of a component's stream in, events out, as StreamParser gives them;
    stanzas come in the namespace of clients."""

    def __init__(self, *, max_stanza_bytes: int) -> None:
        self._parser = StreamParser(max_stanza_bytes=max_stanza_bytes)
        self._header: bytes | None = b""

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete; after a StreamFault none."""
        if self._header is not None:
            self._header += data
            found = _TAG.search(self._header)
            if found is None and len(self._header) <= MAX_HEADER_BYTES:
                return []
            begin, end = found.span() if found else (0, 0)
            data, self._header = self._header, None
            head = _translated(data[begin:end], NS_COMPONENT, NS_CLIENT)
            if head is None:
                self._parser.feed(b"<")  # whatever comes now is not heard
                self._parser.feed(b"!x")
                return [StreamFault(condition="invalid-namespace")]
            data = data[:begin] + head + data[end:]
        return [self._as_clients(event) for event in self._parser.feed(data)]

    def _as_clients(self, event: Event) -> Event:
        if not isinstance(event, Stanza) or event.ns != NS_COMPONENT:
            return event
        if event.name not in STANZA_NAMES:
            return event
        end, _ = start_tag_end(event.raw, 0)
        head = _translated(event.raw[:end], NS_COMPONENT, NS_CLIENT)
        if head is None:  # by a prefix
            return event
        return replace(event, raw=head + event.raw[end:], ns=NS_CLIENT)


def for_component(raw: bytes) -> bytes:
    """A client's stanza as it goes into a component's stream: its start tag
    does not say a namespace any more."""
    end, _ = start_tag_end(raw, 0)
    head = raw[:end]
    for found in _XMLNS.finditer(head):
        if found[2][1:-1] == NS_CLIENT.encode():
            return raw[: found.start()] + raw[found.end() :]
    return raw


def handshake(stream_id: str, secret: str) -> str:
    """What proves that the secret is known (section 3): SHA-1 in hexadecimal."""
    return hashlib.sha1(f"{stream_id}{secret}".encode()).hexdigest()  # noqa: S324 - what the XEP demands


def proves(said: str, stream_id: str, secret: str) -> bool:
    """Whether a handshake is right, in constant time."""
    expected = handshake(stream_id, secret).encode()
    return hmac.compare_digest(said.strip().encode(), expected)


def _translated(head: bytes, old: str, new: str) -> bytes | None:
    """A start tag with another default namespace; None if it has not the old."""
    found = _XMLNS.search(head)
    if found is None or found[2][1:-1] != old.encode():
        return None
    return b"%b%b'%b'%b" % (
        head[: found.start()],
        found[1],
        new.encode(),
        head[found.end() :],
    )
