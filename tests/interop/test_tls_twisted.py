"""Twisted's own suites for transports, over ours: plain, TLS, on two reactors.

Each test makes a reactor of its own. Where a suite tries the client's side, the
two are exchanged, because our transports are servers.
"""

# Twisted's tests are not annotated.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import (
    SSL4ClientEndpoint,
    TCP4ClientEndpoint,
    TCP4ServerEndpoint,
)
from twisted.internet.protocol import ClientFactory, Protocol, ServerFactory
from twisted.internet.ssl import ClientContextFactory
from twisted.internet.test import test_tcp
from twisted.internet.test.connectionmixins import (
    ConnectionTestsMixin,
    EndpointCreator,
    runProtocolsWithReactor,
)
from twisted.internet.test.reactormixins import ReactorBuilder

from mosaic.tls.context import ServerContext
from mosaic.tls.ports import SocketEndpoint
from tests.support.tls_folders import certificate_folder

HOST = "127.0.0.1"


class Plain(EndpointCreator):
    """Our transport for TCP, and Twisted's client."""

    def server(self, reactor: Any) -> Any:
        """Listens on any port."""
        return SocketEndpoint(TCP4ServerEndpoint(reactor, 0, interface=HOST))

    def client(self, reactor: Any, serverAddress: Any) -> Any:
        """Connects to it."""
        return TCP4ClientEndpoint(reactor, HOST, serverAddress.port)


class Tls(Plain):
    """Our transport for TLS, and Twisted's client."""

    def server(self, reactor: Any) -> Any:
        """Listens on any port."""
        with tempfile.TemporaryDirectory() as folder:
            context = ServerContext(certificate_folder(Path(folder) / "tls"))
        return super().server(reactor).with_tls(context)

    def client(self, reactor: Any, serverAddress: Any) -> Any:
        """Connects to it."""
        options = ClientContextFactory()
        return SSL4ClientEndpoint(reactor, HOST, serverAddress.port, options)


class Builder(ReactorBuilder):
    """Tests with both kinds of endpoint."""

    _reactors = [
        "twisted.internet.epollreactor.EPollReactor",
        "twisted.internet.test.reactormixins.AsyncioSelectorReactor",
    ]
    endpoints: Any = Plain()

    def getTimeout(self) -> float:
        """Nothing here takes long."""
        return 5.0

    def buildReactor(self: Any) -> Any:
        """With a loop in this thread, which a test before may have taken away
        (asyncio.run does)."""
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        self.addCleanup(loop.close)
        return ReactorBuilder.buildReactor(self)


def exchanged(
    builder: Any, server: Any, client: Any, endpoints: Any, **named: Any
) -> Any:
    """Let the protocol that was meant for the client be the server's."""
    return runProtocolsWithReactor(builder, client, server, endpoints, **named)


def left_out(self: Any) -> None:
    """Not for us; the class says why."""


left_out.skip = "not for transports like ours"  # type: ignore[attr-defined]  # trial's


class PlainConnections(Builder, ConnectionTestsMixin):
    """What holds for every connection."""


class PlainAborts(Builder, test_tcp.AbortConnectionMixin):
    """The client aborts, in every situation."""


class OurAborts:
    """The same, but it is our side that does."""

    def setUp(self) -> None:
        super().setUp()  # type: ignore[misc]  # ReactorBuilder's
        self.patch(test_tcp, "runProtocolsWithReactor", exchanged)  # type: ignore[attr-defined]  # TestCase's


class PlainOurAborts(OurAborts, PlainAborts):
    """Plain. Without those whose other side asserts that it is sent nothing (what
    was written before the abort has left), and those where the server aborts."""

    test_clientAbortsConnectionThenLosesConnection = left_out
    test_clientAbortsConnectionTwice = left_out
    test_dataReceivedAbort = left_out
    test_serverAbortsConnectionThenLosesConnection = left_out
    test_serverAbortsConnectionTwice = left_out


class PlainTransports(Builder, test_tcp.TCPConnectionTestsBuilder):
    """Pausing, resuming, half-closing. Without what listens by itself."""

    test_stopStartReading = left_out

    def setUp(self) -> None:
        super().setUp()
        self.patch(test_tcp, "TCPCreator", lambda: self.endpoints)  # type: ignore[attr-defined]  # TestCase's


class PlainSequences(Builder, test_tcp.WriteSequenceTestsMixin):
    """writeSequence and pull producers. Without what asserts that a write waits for
    the reactor."""

    test_streamingProducer = left_out

    requiredInterfaces = None

    def getConnectedClientAndServer(
        self, reactor: Any, interface: str, addressFamily: int
    ) -> Deferred[Any]:
        """The server first: it is the one that writes."""
        made: list[Any] = []
        ready: Deferred[Any] = Deferred()
        lost = [Deferred[None](), Deferred[None]()]

        class Side(Protocol):
            def connectionMade(self) -> None:
                made.append(self)
                if len(made) == 2:
                    server = next(it for it in made if it.factory is servers)
                    client = next(it for it in made if it.factory is clients)
                    ready.callback((server, client, None))

            def connectionLost(self, reason: Any = None) -> None:
                lost.pop().callback(None)

        gatherResults(lost).addBoth(lambda _: reactor.running and reactor.stop())
        servers, clients = (
            ServerFactory.forProtocol(Side),
            ClientFactory.forProtocol(Side),
        )
        listening = self.endpoints.server(reactor).listen(servers)
        listening.addCallback(
            lambda port: self.endpoints.client(reactor, port.getHost()).connect(clients)
        )
        return ready


class TlsConnections(PlainConnections):
    """The same over TLS."""

    endpoints = Tls()


class TlsAborts(PlainAborts):
    """The same over TLS."""

    endpoints = Tls()


class TlsOurAborts(PlainOurAborts):
    """The same over TLS."""

    endpoints = Tls()


class TlsTransports(PlainTransports):
    """The same over TLS."""

    endpoints = Tls()


class TlsSequences(PlainSequences):
    """The same over TLS. Without what tries Twisted's own client."""

    test_writeSequenceWithUnicodeRaisesException = left_out

    endpoints = Tls()


for suite in (
    PlainConnections,
    PlainAborts,
    PlainOurAborts,
    PlainTransports,
    PlainSequences,
    TlsConnections,
    TlsAborts,
    TlsOurAborts,
    TlsTransports,
    TlsSequences,
):
    globals().update(suite.makeTestCaseClasses())
