"""A client's stream on TCP and TLS (RFC 6120 section 4.2)."""

from __future__ import annotations

from functools import lru_cache

from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from mosaic.services.xmpp.c2s import ClientStream
from mosaic.services.xmpp.outbox import Outbox
from mosaic.services.xmpp.streams.base import StreamBase
from mosaic.wire.xmpp.stanza import NS_CLIENT
from mosaic.wire.xmpp.stream import NS_STREAM, StreamParser
from mosaic.wire.xmpp.xml import element


class TcpStream(ClientStream, Protocol):
    """One XML document in each direction."""

    goodbye = "</stream:stream>"

    def new_parser(self, max_stanza_bytes: int) -> StreamParser:
        """See StreamBase."""
        return StreamParser(max_stanza_bytes=max_stanza_bytes)

    def opening(self, stream_id: str) -> str:
        """Ours (RFC 6120 section 4.7); the element stays open."""
        return f'{_opening(self._house.exchange.domain)} id="{stream_id}">'

    def open_outbox(self, outbox: Outbox) -> None:
        """The bytes are what they are."""
        self.write = outbox.write

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The transport is gone; Protocol's own does nothing."""
        StreamBase.connectionLost(self, reason)


@lru_cache(maxsize=8)
def _opening(domain: str) -> str:
    attributes = {
        "xmlns:stream": NS_STREAM,
        "from": domain,
        "version": "1.0",
        "xml:lang": "en",
    }
    opened = element("stream:stream", attributes, ns=NS_CLIENT)
    return "<?xml version='1.0'?>" + opened.removesuffix("/>")
