"""A TLS connection of ours and its client, without a reactor's time.

The sockets are a pair, so what one writes the other can read at once; the client
is the standard library's ssl (another OpenSSL than the server's).
"""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.bindings.openssl.binding import Binding
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from mosaic.tls.context import ServerContext
from mosaic.tls.transports import TlsServer
from tests.support.tls_clients import client_context
from tests.support.tls_folders import certificate_folder
from tests.support.watching import WatchingClock


class PumpedReactor(WatchingClock):
    """Calls readers and writers when told to, as Twisted's reactors do."""

    def turn(self) -> int:
        """One turn: timers that are due, then sockets. How many were ready."""
        self.advance(0)
        readable, writable, _ = select.select(
            list(self.readers), list(self.writers), [], 0
        )
        for it in readable:
            if it in self.readers:
                self._call(it, it.doRead, reads=True)
        for it in writable:
            if it in self.writers:
                self._call(it, it.doWrite, reads=False)
        return len(readable) + len(writable)

    def _call(self, selectable: Any, ready: Callable[[], Any], *, reads: bool) -> None:
        why = ready()
        if why is None:
            return
        self.removeReader(selectable)
        if reads and isinstance(why, ConnectionDone):
            selectable.readConnectionLost(Failure(why))
        else:
            self.removeWriter(selectable)
            selectable.connectionLost(Failure(why))


@implementer(IHandshakeListener)
class Recorder(Protocol):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.received = b""
        self.reason: Any = None

    def connectionMade(self) -> None:
        """The connection is there, not yet TLS."""
        self.events.append("made")

    def handshakeCompleted(self) -> None:
        """TLS is there."""
        self.events.append("handshake")

    def dataReceived(self, data: bytes) -> None:
        """Bytes."""
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The end."""
        self.events.append("lost")
        self.reason = reason.value


class Client:
    """The other side: says and hears only when told to."""

    def __init__(self, skt: socket.socket, context: ssl.SSLContext) -> None:
        self.socket = skt
        self.socket.setblocking(False)
        self._into, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._into, self._out, server_hostname="localhost")
        self._waiting = b""
        self.shaken = False
        self.ended = False
        self.reset = False
        self.said_goodbye = False

    def flush(self) -> None:
        """Hand to the kernel what it takes."""
        self._waiting += self._out.read()
        try:
            while self._waiting:
                self._waiting = self._waiting[self.socket.send(self._waiting) :]
        except BlockingIOError:
            pass
        except OSError:
            self.reset = True
            self._waiting = b""

    def fetch(self, limit: int = 1 << 20) -> None:
        """Take encrypted bytes from the kernel."""
        try:
            while limit > 0 and (data := self.socket.recv(min(limit, 65536))):
                limit -= len(data)
                self._into.write(data)
            if limit > 0:
                self.ended = True
                self._into.write_eof()
        except BlockingIOError:
            pass
        except OSError:
            self.ended = self.reset = True

    def shake_hands(self) -> None:
        """A step of the handshake."""
        self.fetch()
        try:
            self.tls.do_handshake()
            self.shaken = True
        except ssl.SSLWantReadError:
            pass
        finally:
            self.flush()

    def say(self, data: bytes) -> None:
        """Encrypt, and send what can be sent."""
        for start in range(0, len(data), 16384):
            self.tls.write(data[start : start + 16384])
        self.flush()

    def hear(self, limit: int = 1 << 20) -> bytes:
        """Decrypt what has come, of at most so many encrypted bytes."""
        self.flush()
        self.fetch(limit)
        heard = b""
        try:
            while data := self.tls.read(65536):
                heard += data
            self.said_goodbye = True  # the server, that is
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.said_goodbye = True
        except ssl.SSLEOFError:
            self.ended = True
        return heard

    def say_goodbye(self) -> None:
        """close_notify."""
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            pass  # the answer is not here yet
        self.flush()


class Pair:
    """One connection, from accept to end."""

    def __init__(
        self,
        folder: Path,
        protocol: Any = None,
        *,
        context: ServerContext | None = None,
        small_buffers: bool = False,
        **client: Any,
    ) -> None:
        self.reactor = PumpedReactor()
        ours, theirs = socket.socketpair()
        if small_buffers:
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.protocol = protocol or Recorder()
        self.context = context or ServerContext(folder)
        port: Any = None
        reactor: Any = self.reactor
        self.server = TlsServer(ours, self.protocol, ("peer", 1), port, 0, reactor)
        self.server.begin_tls(self.context.connection_on(ours))
        self.protocol.makeConnection(self.server)
        self.client = Client(theirs, client_context(folder, **client))
        self.theirs = theirs

    def turn(self, times: int = 1) -> None:
        """Turns of the server's reactor."""
        for _ in range(times):
            self.reactor.turn()

    def shake_hands(self) -> None:
        """Both sides, until both are done."""
        for _ in range(10):
            self.client.shake_hands()
            self.turn()
            if self.client.shaken and self.server._open:
                return
        raise AssertionError("no handshake")

    def close(self) -> None:
        """Leave no socket behind."""
        self.theirs.close()
        self.turn(3)
        if self.server.connected:
            self.server.abortConnection()
            self.turn()


class PairCase(SynchronousTestCase):
    """Makes connections."""

    def setUp(self) -> None:
        self.folder = certificate_folder(Path(self.mktemp()))
        self.context = ServerContext(self.folder)

    def tearDown(self) -> None:
        """An error left in OpenSSL's queue would end the next connection."""
        self.assertEqual(Binding.lib.ERR_peek_error(), 0)

    def pair(self, protocol: Any = None, *, shaken: bool = True, **how: Any) -> Pair:
        """A connection, after its handshake."""
        pair = Pair(self.folder, protocol, context=self.context, **how)
        self.addCleanup(pair.close)
        if shaken:
            pair.shake_hands()
        return pair
