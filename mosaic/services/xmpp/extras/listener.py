"""Others' components at this server (XEP-0114): the side that listens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from mosaic.services.xmpp.exchange import Exchange, Undeliverable, error_reply
from mosaic.services.xmpp.extras.outlet import Receive
from mosaic.services.xmpp.outbox import Outbox, Turn
from mosaic.wire.xmpp.component import (
    NS_COMPONENT,
    ComponentParser,
    for_component,
    proves,
)
from mosaic.wire.xmpp.jid import Jid, JidError, parse_jid
from mosaic.wire.xmpp.stanza import Stanza
from mosaic.wire.xmpp.stream import (
    NS_STREAM,
    Event,
    StreamEnd,
    StreamFault,
    StreamStart,
)
from mosaic.wire.xmpp.xml import element, read_node

NS_STREAMS = "urn:ietf:params:xml:ns:xmpp-streams"
OUTBOX_BYTES = 16 << 20
CLOSE_TIMEOUT_S = 5.0

_log = Logger()


class ComponentHosts:
    """The components that may connect, by domain, and those that have.

    secrets: what each must know. about_us: answers what they ask of the domain
    itself; their users are strangers to everything else.
    """

    def __init__(
        self,
        exchange: Exchange,
        clock: IReactorTime,
        *,
        secrets: Mapping[str, str],
        about_us: Receive,
        new_id: Callable[[], str],
        max_stanza_bytes: int,
        handshake_timeout_s: float,
    ) -> None:
        self.exchange = exchange
        self.clock = clock
        self.new_id = new_id
        self.max_stanza_bytes = max_stanza_bytes
        self.handshake_timeout_s = handshake_timeout_s
        self._secrets = dict(secrets)
        self._about_us = about_us
        self._standing: dict[str, ComponentStream] = {}
        self.streams: set[ComponentStream] = set()
        for domain in secrets:
            exchange.components[domain] = self._pass_on

    def knows(self, domain: str) -> bool:
        """Whether a component of that domain is expected."""
        return domain in self._secrets

    def lets_in(self, domain: str, stream_id: str, said: str) -> bool:
        """Whether the handshake is right."""
        return proves(said, stream_id, self._secrets[domain])

    def stands(self, stream: ComponentStream) -> None:
        """It is the domain's component now; an older one of it goes."""
        older = self._standing.get(stream.domain)
        self._standing[stream.domain] = stream
        if older is not None:
            older.close("conflict")
        _log.info("the component {domain} is here", domain=stream.domain)

    def gone(self, stream: ComponentStream) -> None:
        """Safe to call twice."""
        if self._standing.get(stream.domain) is stream:
            del self._standing[stream.domain]
            _log.info("the component {domain} has gone", domain=stream.domain)

    def said(self, stream: ComponentStream, stanza: Stanza, sender: Jid) -> None:
        """Deliver what a component sent; it is told why it could not be."""
        to_text = stanza.to or ""
        try:
            to = parse_jid(to_text)
            if to == Jid("", self.exchange.domain, ""):
                self._about_us(stanza, sender, to)
            else:
                self.exchange.deliver(stanza, sender, to)
        except JidError:
            self._bounce(stream, stanza, Undeliverable("jid-malformed"), to_text)
        except Undeliverable as error:
            self._bounce(stream, stanza, error, to_text)

    def write(self, domain: str, data: bytes) -> bool:
        """Bytes for a component, False if it is not here."""
        stream = self._standing.get(domain)
        if stream is None:
            return False
        stream.send(for_component(data))
        return True

    def close_all(self) -> Deferred[None]:
        """Part from everybody; fires when all have gone."""
        streams = list(self.streams)
        gone = DeferredList([stream.closed() for stream in streams])
        for stream in streams:
            stream.close("system-shutdown")
        return gone.addCallback(lambda _: None)

    def _pass_on(self, stanza: Stanza, sender: Jid, to: Jid) -> None:
        """Raises Undeliverable while the component is away."""
        raw = stanza.stamped(str(sender), to=str(to))
        if not self.write(to.domain, raw):
            text = "the component is not connected"
            raise Undeliverable("remote-server-timeout", text=text)

    def _bounce(
        self, stream: ComponentStream, stanza: Stanza, error: Undeliverable, to: str
    ) -> None:
        said_by = stanza.attributes.get("from", "")
        reply = error_reply(stanza, error, sender=to, to=said_by)
        if reply is not None:
            stream.send(reply.encode())


class _Phase(Enum):
    HEADER = auto()
    HANDSHAKE = auto()
    OPEN = auto()
    CLOSED = auto()


class ComponentStream(Protocol):
    """One component's stream: header, handshake, then stanzas of its domain."""

    transport: Any

    def __init__(self, hosts: ComponentHosts) -> None:
        self._hosts = hosts
        self.domain = ""
        self._id = hosts.new_id()
        self._phase = _Phase.HEADER
        self._header_sent = False
        self._parser = ComponentParser(max_stanza_bytes=hosts.max_stanza_bytes)
        self._deadline: IDelayedCall | None = None
        self._gone: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        """The deadline is absolute."""
        self._hosts.streams.add(self)
        if hasattr(self.transport, "setTcpKeepAlive"):
            self.transport.setTcpKeepAlive(True)
        self._outbox = Outbox(
            self.transport,
            Turn(self._hosts.clock),
            limit_bytes=OUTBOX_BYTES,
            overflow=self._too_slow,
        )
        self.transport.registerProducer(self._outbox, True)
        self._deadline = self._hosts.clock.callLater(
            self._hosts.handshake_timeout_s, self.close, "connection-timeout"
        )

    def dataReceived(self, data: bytes) -> None:
        """Act on each event in order."""
        for event in self._parser.feed(data):
            if self._phase is _Phase.CLOSED:
                return
            self._perform(event)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The domain is without its component."""
        self._phase = _Phase.CLOSED
        self._outbox.close()
        self._cancel_deadline()
        self._hosts.streams.discard(self)
        self._hosts.gone(self)
        self._gone.callback(None)

    def send(self, data: bytes) -> None:
        """A stanza for the component."""
        if self._phase is _Phase.OPEN:
            self._outbox.write(data)

    def close(self, condition: str | None = None) -> None:
        """End the stream, with a stream error if one is named."""
        if self._phase is _Phase.CLOSED:
            return
        self._send_header()
        self._phase = _Phase.CLOSED
        self._cancel_deadline()
        self._hosts.gone(self)
        if condition is not None:
            what = element(condition, ns=NS_STREAMS)
            self._say(element("stream:error", None, what))
        self._say("</stream:stream>")
        self._outbox.flush()
        self._outbox.close()
        self.transport.unregisterProducer()
        self.transport.loseConnection()
        self._deadline = self._hosts.clock.callLater(
            CLOSE_TIMEOUT_S, self.transport.abortConnection
        )

    def closed(self) -> Deferred[None]:
        """Fires when the connection is gone."""
        waiter: Deferred[None] = Deferred()
        self._gone.chainDeferred(waiter)
        return waiter

    def _perform(self, event: Event) -> None:
        if isinstance(event, StreamStart):
            self._started(event)
        elif isinstance(event, StreamFault):
            self.close(event.condition)
        elif isinstance(event, StreamEnd):
            self.close()
        elif self._phase is _Phase.HANDSHAKE:
            self._shake(event)
        elif event.is_stanza:
            self._heard(event)
        else:
            self.close("unsupported-stanza-type")

    def _started(self, start: StreamStart) -> None:
        """Section 3: its `to` is the domain that it wants to be."""
        wanted = start.attributes.get("to", "")
        try:
            self.domain = parse_jid(wanted).domain
        except JidError:
            self.close("improper-addressing")
            return
        if not self._hosts.knows(self.domain) or wanted != self.domain:
            self.close("host-unknown")
            return
        self._send_header()
        self._phase = _Phase.HANDSHAKE

    def _shake(self, event: Stanza) -> None:
        said = read_node(event).text if event.name == "handshake" else ""
        if not self._hosts.lets_in(self.domain, self._id, said):
            _log.warn("a component did not prove to be {domain}", domain=self.domain)
            self.close("not-authorized")
            return
        self._cancel_deadline()
        self._phase = _Phase.OPEN
        self._outbox.write(b"<handshake/>")
        self._hosts.stands(self)

    def _heard(self, stanza: Stanza) -> None:
        """It speaks for its own domain, to somebody (section 3)."""
        try:
            sender = parse_jid(stanza.attributes.get("from", ""))
        except JidError:
            sender = Jid("", "", "")
        if sender.domain != self.domain:
            self.close("invalid-from")
        elif stanza.to is None:
            self.close("improper-addressing")
        else:
            self._hosts.said(self, stanza, sender)

    def _too_slow(self) -> None:
        if self._phase is not _Phase.CLOSED:
            _log.warn("the component {domain} reads too slowly", domain=self.domain)
            self._phase = _Phase.CLOSED
            self._hosts.gone(self)
            self.transport.abortConnection()

    def _send_header(self) -> None:
        if self._header_sent:
            return
        self._header_sent = True
        facts = {
            "xmlns:stream": NS_STREAM,
            "id": self._id,
            "from": self.domain or self._hosts.exchange.domain,
        }
        opened = element("stream:stream", facts, ns=NS_COMPONENT)
        self._say("<?xml version='1.0'?>" + opened.removesuffix("/>") + ">")

    def _say(self, text: str) -> None:
        self._outbox.write(text.encode())

    def _cancel_deadline(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()


class ComponentFactory(Factory):
    """Makes a stream for each connection."""

    noisy = False

    def __init__(self, hosts: ComponentHosts) -> None:
        self._hosts = hosts

    def buildProtocol(self, addr: IAddress | None) -> ComponentStream:
        """For one component."""
        return ComponentStream(self._hosts)


class HostsOutlet:
    """The way of our answers to components' users: see Outlet."""

    def __init__(self, hosts: ComponentHosts) -> None:
        self._hosts = hosts

    def send(self, to: Jid, data: bytes) -> bool:
        """To the component of the address."""
        return self._hosts.write(to.domain, data)

    def deliver(self, stanza: Stanza, sender: Jid, to: Jid) -> None:
        """Raises Undeliverable."""
        self._hosts.exchange.deliver(stanza, sender, to)
