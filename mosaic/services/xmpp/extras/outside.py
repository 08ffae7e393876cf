# mypy: disable-error-code="no-untyped-call"
# Twisted's service and words packages have no annotations.
"""Our components under another server: Prosody, ejabberd (XEP-0114).

Each address is a component of its own there, with a stream of its own: not
every server gives the stanzas for several addresses to one. Importing this
imports wokkel: only when a parent is made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.application.internet import backoffPolicy
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import (
    IDelayedCall,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.words.xish.xmlstream import STREAM_ERROR_EVENT

from mosaic.services.xmpp import compat
from mosaic.services.xmpp.components import StanzaHandler
from mosaic.services.xmpp.exchange import Undeliverable
from mosaic.services.xmpp.extras.outlet import Outlet, Receive
from mosaic.wire.xmpp.component import for_component
from mosaic.wire.xmpp.jid import Jid
from mosaic.wire.xmpp.stanza import Stanza

compat.install()
# The shim comes first: wokkel cannot be imported without it.
from wokkel import component  # noqa: E402

HANDSHAKE_S = 10.0
MAX_BEHIND_BYTES = 16 << 20
"""What may wait for a server that does not read before the stream is cut."""
retry_after = backoffPolicy(initialDelay=1.0, maxDelay=60.0)
"""Seconds before try number n, with jitter."""

_log = Logger()


class OutsideParent:
    """Another server, reached through an endpoint.

    secret: the same for each of our addresses.
    """

    def __init__(
        self, clock: IReactorTime, endpoint: IStreamClientEndpoint, *, secret: str
    ) -> None:
        self._clock = clock
        self._endpoint = endpoint
        self._secret = secret
        self._links: dict[str, Link] = {}
        self._receivers: dict[str, Receive] = {}

    def host(self, domain: str, receive: Receive) -> Outlet:
        """See Parent."""
        self._receivers[domain] = receive
        handler = StanzaHandler(self._receive, self._accepts)
        link = Link(self._clock, self._endpoint, domain, self._secret)
        handler.setHandlerParent(link)
        self._links[domain] = link
        return LinkOutlet(link)

    def _accepts(self, sender: Jid, to: Jid) -> bool:
        """For an address of ours, whichever stream it comes by (ejabberd may give
        one the stanzas of all), and not in our own name."""
        return to.domain in self._links and sender.domain not in self._links

    def _receive(self, stanza: Stanza, sender: Jid, to: Jid) -> None:
        self._receivers[to.domain](stanza, sender, to)

    @property
    def connected(self) -> frozenset[str]:
        """The addresses that stand."""
        return frozenset(d for d, link in self._links.items() if link.stands)

    def start(self) -> None:
        """Connect, and again whenever a stream is lost."""
        for link in self._links.values():
            link.startService()

    def stop(self) -> Deferred[None]:
        """Leave; fires when every stream is closed."""
        gone = DeferredList([link.stopService() for link in self._links.values()])
        return gone.addCallback(lambda _: None)


class Link(component.Component):  # type: ignore[misc]  # wokkel is untyped
    """One address's stream to the server; it is set up again when it is lost.

    Wokkel's component with an endpoint, a deadline for the handshake, and a
    back-off with jitter that also a refused handshake makes longer.
    """

    def __init__(
        self,
        clock: IReactorTime,
        endpoint: IStreamClientEndpoint,
        domain: str,
        secret: str,
    ) -> None:
        super().__init__(None, None, domain, secret)
        self.domain = domain
        self.stands = False
        self._clock = clock
        self._endpoint = endpoint
        self._tries = 0
        self._wanted = False
        self._connecting: Deferred[Any] | None = None
        self._call: IDelayedCall | None = None
        self._closed: Deferred[None] | None = None
        self._behind: Backlog | None = None
        self.factory.addBootstrap(STREAM_ERROR_EVENT, self._stream_error)

    def startService(self) -> None:
        """Connect."""
        Service.startService(self)
        self._wanted = True
        self._connect()

    def stopService(self) -> Deferred[None]:
        """Close the stream; fires when the connection is gone."""
        Service.stopService(self)
        self._wanted = False
        self._cancel()
        if self._connecting is not None:
            self._connecting.cancel()
        if self.xmlstream is None:
            return succeed(None)
        self._closed = Deferred()
        closed = self._closed
        if self.stands:
            self.xmlstream.sendFooter()
        self.xmlstream.transport.loseConnection()
        self._call = self._clock.callLater(HANDSHAKE_S, self._abort)
        return closed

    def write(self, data: bytes) -> bool:
        """Bytes into the stream, False if there is none."""
        if not self.stands or self._behind is None:
            return False
        self._behind.write(data)
        return True

    def _connect(self) -> None:
        self._call = None
        self._connecting = self._endpoint.connect(self.factory)
        self._connecting.addCallbacks(self._connected_to, self._failed)

    def _connected_to(self, stream: Any) -> None:
        self._connecting = None
        if self.xmlstream is not None and not self.stands:
            self._call = self._clock.callLater(HANDSHAKE_S, self._abort)

    def _failed(self, failure: Failure) -> None:
        self._connecting = None
        if self._wanted:
            self._retry(failure.getErrorMessage())

    def _retry(self, why: str) -> None:
        self._tries += 1
        delay = retry_after(self._tries)
        _log.info(
            "no stream for {domain} ({why}); next try in {delay:.1f} s",
            domain=self.domain,
            why=why,
            delay=delay,
        )
        self._call = self._clock.callLater(delay, self._connect)

    def _authd(self, stream: Any) -> None:
        """The handshake was right."""
        self._cancel()
        self._tries = 0
        self.stands = True
        self._behind = Backlog(stream.transport, self._abort)
        super()._authd(stream)
        _log.info("{domain} stands at the other server", domain=self.domain)

    def initializationFailed(self, reason: Failure) -> None:
        """Wokkel would give up for good; the next try may be better."""
        self._abort()

    def _stream_error(self, failure: Failure) -> None:
        """Its condition only: the text is the peer's."""
        condition = getattr(failure.value, "condition", type(failure.value).__name__)
        _log.warn(
            "the other server refuses {domain}: {condition}",
            domain=self.domain,
            condition=condition,
        )

    def _disconnected(self, reason: Any) -> None:
        self.stands, self._behind = False, None
        self._cancel()
        super()._disconnected(reason)
        closed, self._closed = self._closed, None
        if closed is not None:
            closed.callback(None)
        elif self._wanted:
            self._retry("the stream ended")

    def _abort(self) -> None:
        if self.xmlstream is not None:
            self.xmlstream.transport.abortConnection()

    def _cancel(self) -> None:
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None


class Backlog:
    """What waits for a server that does not read; overflow() past the limit."""

    def __init__(self, transport: Any, overflow: Callable[[], None]) -> None:
        self._transport = transport
        self._overflow = overflow
        self._paused = False
        self._waiting_bytes = 0
        if hasattr(transport, "setTcpKeepAlive"):
            transport.setTcpKeepAlive(True)
        transport.registerProducer(self, True)

    def write(self, data: bytes) -> None:
        """Hand it to the transport; count while that is full."""
        if self._paused:
            self._waiting_bytes += len(data)
            if self._waiting_bytes > MAX_BEHIND_BYTES:
                self._overflow()
                return
        self._transport.write(data)

    def pauseProducing(self) -> None:
        """The transport is full."""
        self._paused = True

    def resumeProducing(self) -> None:
        """It is empty again."""
        self._paused, self._waiting_bytes = False, 0

    def stopProducing(self) -> None:
        """It is gone."""


class LinkOutlet:
    """See Outlet. Who is behind the other server it cannot know."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def send(self, to: Jid, data: bytes) -> bool:
        """Lost while there is no stream."""
        self._link.write(for_component(data))
        return True

    def deliver(self, stanza: Stanza, sender: Jid, to: Jid) -> None:
        """Raises Undeliverable (remote-server-timeout) while there is no stream."""
        raw = stanza.stamped(str(sender), to=str(to))
        if not self._link.write(for_component(raw)):
            raise Undeliverable("remote-server-timeout")
