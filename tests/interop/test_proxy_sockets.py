# mypy: disable-error-code="no-untyped-call"
"""A tunnel as a plain socket, for libraries that know nothing of Twisted."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import time
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from mosaic.proxy.client import Dialler
from mosaic.proxy.logins import Logins
from mosaic.proxy.routes import DIRECT, FixedRoutes, Proxy, parse_proxy
from mosaic.wire.hops import Login, LoginRefused
from tests.support import proxies
from tests.support.proxies import PASSWORD, USER
from tests.support.running import environment
from tests.support.tls_target import TlsTarget

reactor: Any = _reactor
BULK = os.urandom(65536) * 64
"""4 MiB: more than all buffers on the way hold."""


class _Echo(Protocol):
    """Says everything again, at the pace of its reader; remembers the end."""

    ended = 0
    transport: Any

    def connectionMade(self) -> None:
        """No buffer of ours grows."""
        self.transport.registerProducer(self.transport, True)

    def dataReceived(self, data: bytes) -> None:
        """Back."""
        if data == b"bye":
            self.transport.unregisterProducer()
            self.transport.loseConnection()
        self.transport.write(data)

    def connectionLost(self, reason: Any = None) -> None:
        """Count."""
        _Echo.ended += 1


class SocketTests(TestCase):
    """On whatever reactor the tests run."""

    timeout = 60

    def setUp(self) -> None:
        """Somebody to talk to."""
        _Echo.ended = 0
        listening = reactor.listenTCP(
            0, Factory.forProtocol(_Echo), interface="127.0.0.1"
        )
        self.addCleanup(lambda: maybeDeferred(listening.stopListening))
        self.port = listening.getHost().port

    def dialler(self, *ways: Proxy, password: str = PASSWORD) -> Dialler:
        """By these ways."""
        return Dialler(
            reactor=reactor,
            routes=FixedRoutes(ways, clock=reactor.seconds, source="test"),
            logins=Logins({"127.0.0.1": Login(USER, password)}),
        )

    async def test_everything_comes_back_at_the_readers_pace(self) -> None:
        """Straight on and through SOCKS5: 4 MiB that nobody reads for a while."""
        proxy = proxies.microsocks(login=True)
        self.addCleanup(proxy.stop)
        for way in (DIRECT, parse_proxy(f"socks5h://127.0.0.1:{proxy.port}")):
            end = await self.dialler(way).socket("127.0.0.1", self.port)
            self.assertFalse(end.getblocking())
            came = await deferToThread(_bulk, end)
            self.assertEqual(came, hashlib.sha256(BULK).digest())

    async def test_the_end_reaches_the_other_side(self) -> None:
        """Theirs is our end of file; ours is theirs."""
        dialler = self.dialler(DIRECT)
        end = await dialler.socket("127.0.0.1", self.port)
        self.assertEqual(await deferToThread(_say, end, b"bye"), b"bye")
        end.close()
        end = await dialler.socket("127.0.0.1", self.port)
        end.close()
        await deferToThread(_until, lambda: _Echo.ended == 2)

    async def test_a_server_that_speaks_first_is_heard(self) -> None:
        """Its words may come in one piece with the proxy's answer, and then its end."""
        proxy = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(proxy.close)
        reactor.callInThread(_speak_first, proxy)
        way = parse_proxy(f"http://127.0.0.1:{proxy.getsockname()[1]}")
        end = await self.dialler(way).socket("127.0.0.1", 1)
        self.assertEqual(await deferToThread(_say, end, b""), b"220 hello")
        end.close()

    async def test_refusals_are_the_endpoints_own(self) -> None:
        """Which hop said no, before there is any socket."""
        proxy = proxies.microsocks(login=True)
        self.addCleanup(proxy.stop)
        way = parse_proxy(f"socks5h://127.0.0.1:{proxy.port}")
        wrong: Any = self.dialler(way, password="wrong").socket("127.0.0.1", self.port)
        error: LoginRefused = await self.assertFailure(wrong, LoginRefused)
        self.assertIn(str(way), error.hop)

    async def test_asyncio_program_behind_squid(self) -> None:
        """Streams and protocols of asyncio, with Python's own TLS in the tunnel."""
        target = TlsTarget(reactor)
        self.addCleanup(target.stop)
        squid = proxies.squid("Basic")
        self.addCleanup(squid.stop)
        ca = self.mktemp()
        with open(ca, "w") as file:
            file.write(target.pem)
        words = [f"http://127.0.0.1:{squid.port}", str(target.port), ca]
        said = await deferToThread(
            subprocess.run,
            [sys.executable, "-m", "tests.support.asyncio_dialler", *words],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=40,
        )
        first, second, third = said.stdout.splitlines() or [said.stderr] * 3
        self.assertEqual((first, second), ("hello", "hello"), said.stderr)
        self.assertTrue(third.startswith("TargetRefused proxy http://127.0.0.1"), third)


def _speak_first(proxy: socket.socket) -> None:
    """Whatever is asked for, it is open, and has spoken, and has gone."""
    connection, _ = proxy.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 Yes\r\n\r\n220 hello")


def _bulk(end: socket.socket) -> bytes:
    """Write all, read nothing for a moment, then read all."""
    end.setblocking(True)
    end.settimeout(30)
    writing = os.dup(end.fileno())
    digest, left = hashlib.sha256(), len(BULK)
    import threading

    def write() -> None:
        with socket.socket(fileno=writing) as other:
            other.settimeout(30)
            other.sendall(BULK)

    thread = threading.Thread(target=write)
    thread.start()
    time.sleep(0.2)
    while left:
        data = end.recv(min(left, 65536))
        if not data:
            break
        digest.update(data)
        left -= len(data)
    thread.join()
    end.close()
    return digest.digest()


def _say(end: socket.socket, data: bytes) -> bytes:
    end.settimeout(20)
    end.sendall(data)
    came = b""
    while piece := end.recv(100):
        came += piece
    return came


def _until(true: Any) -> None:
    deadline = time.monotonic() + 20
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert true()
