"""The shared port over real sockets, with clients that know nothing of it."""

from __future__ import annotations

import socket
import ssl
import struct
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import WebSocketServerFactory
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from mosaic.tls.context import ServerContext
from mosaic.tls.endpoints import has_ipv6, server_endpoint
from mosaic.tls.ports import Transport
from mosaic.tls.websocket import WebSocketOverTls
from tests.support.tls_clients import client_context, connect, converse
from tests.support.tls_folders import certificate_folder, replace_certificates
from tests.support.tls_routes import shared_port

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
STUN = bytes.fromhex("000100002112a442") + b"twelve bytes"
LOOPBACK = ":interface=127.0.0.1"

Result = TypeVar("Result")


class PortCase(TestCase):
    """A server in this process; its clients block in threads."""

    timeout = 180
    deadline_s = 10.0
    tls: Transport = "memory"

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.folder = certificate_folder(Path(self.mktemp()))
        self.context = ServerContext(self.folder)
        self.root: Any = None

    async def listen(self, description: str) -> int:
        """Open a port; returns its number (0 for UNIX sockets)."""
        endpoint = server_endpoint(
            self.reactor,
            description,
            default_context=self.context,
            transport=self.tls,
        )
        factory = shared_port(self.reactor, self.deadline_s, self.root)
        port: IListeningPort = await endpoint.listen(factory)
        self.addCleanup(port.stopListening)
        number: int = getattr(port.getHost(), "port", 0)
        return number

    async def call(self, work: Callable[..., Result], *args: Any, **named: Any) -> Any:
        """Run a blocking client."""
        return await deferToThread(work, *args, **named)

    def ask(
        self,
        port: int,
        *parts: bytes,
        until: bytes,
        before: bytes = b"",
        **client: Any,
    ) -> bytes:
        """Connect over TLS, send, and read the answer."""
        with connect(port, client_context(self.folder, **client), before=before) as tls:
            return converse(tls, *parts, until=until)


class RouteTests(PortCase):
    """Each client finds its service."""

    async def test_https(self) -> None:
        """By ALPN, without ALPN, and with one that is not served here."""
        port = await self.listen("mosaic-tls:0" + LOOPBACK)
        for alpn in (["http/1.1"], ["h2", "http/1.1"], ["h2"], ["imap"], None):
            answer = await self.call(
                self.ask, port, GET, until=b"http 127.0.0.1", alpn=alpn
            )
            self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), (alpn, answer))

    async def test_keep_alive_and_bodies(self) -> None:
        """A second request, and one that is larger than a TLS record."""
        port = await self.listen("mosaic-tls:0" + LOOPBACK)
        body = b"x" * 300_000
        post = GET.replace(b"GET", b"POST").replace(
            b"\r\n\r\n", b"\r\nContent-Length: 300000\r\n\r\n"
        )

        def client() -> tuple[bytes, bytes]:
            with connect(port, client_context(self.folder)) as tls:
                return (
                    converse(tls, GET, until=b"http 127.0.0.1"),
                    converse(tls, post, body, until=b" bytes"),
                )

        first, second = await self.call(client)
        self.assertIn(b"http 127.0.0.1", first)
        self.assertTrue(second.endswith(b"300000 bytes"), second)

    async def test_xmpp(self) -> None:
        """By ALPN the server may speak first; else `<` decides."""
        port = await self.listen("mosaic-tls:0" + LOOPBACK)
        answer = await self.call(self.ask, port, until=b"\n", alpn=["xmpp-client"])
        self.assertEqual(answer, b"xmpp 127.0.0.1\n")
        for parts in ((b"<stream>",), (b" \n", b"<stream>")):
            answer = await self.call(self.ask, port, *parts, until=b">")
            self.assertEqual(answer, b"xmpp 127.0.0.1\n" + b"".join(parts))

    async def test_turn(self) -> None:
        """By ALPN; without, as Chromium; and cut in two."""
        port = await self.listen("mosaic-tls:0" + LOOPBACK)
        for alpn, parts in (
            (["stun.turn"], (STUN,)),
            (None, (STUN,)),
            (None, (STUN[:3], STUN[3:])),
        ):
            answer = await self.call(self.ask, port, *parts, until=b"bytes", alpn=alpn)
            self.assertEqual(answer, b"turn 127.0.0.1\n" + STUN)

    async def test_plain_and_unix_ports(self) -> None:
        """The same port without TLS, also behind a UNIX socket."""
        port = await self.listen("tcp:0" + LOOPBACK)
        # mktemp() names are too long for a UNIX socket.
        folder = tempfile.TemporaryDirectory(prefix="mosaic-")
        self.addCleanup(folder.cleanup)
        path = f"{folder.name}/s"
        await self.listen(f"unix:{path}")

        def client(family: int, address: Any, data: bytes, until: bytes) -> bytes:
            with socket.socket(family) as plain:
                plain.settimeout(30)
                plain.connect(address)
                return converse(plain, data, until=until)

        for family, address, peer in (
            (socket.AF_INET, ("127.0.0.1", port), b"127.0.0.1"),
            (socket.AF_UNIX, path, b""),
        ):
            for data, until, answer in (
                (GET, b"http " + peer, b"http " + peer),
                (b"<a>", b">", b"xmpp " + peer + b"\n<a>"),
                (STUN, b"bytes", b"turn " + peer + b"\n" + STUN),
            ):
                got = await self.call(client, family, address, data, until)
                self.assertTrue(got.endswith(answer), got)

    async def test_half_close_reaches_the_service(self) -> None:
        """The transport sees the service's own interfaces after the hand-over."""
        port = await self.listen("tcp:0" + LOOPBACK)

        def client() -> bytes:
            with socket.create_connection(("127.0.0.1", port), 10) as plain:
                plain.sendall(STUN)
                plain.shutdown(socket.SHUT_WR)
                return converse(plain, until=b"never")

        self.assertTrue((await self.call(client)).endswith(STUN + b"eof"))

    async def test_both_families(self) -> None:
        """Without interface= IPv4 and IPv6 come in, v4-mapped seen as IPv4."""
        for description in ("mosaic-tls:0", "tcp:0"):
            port = await self.listen(description)
            hosts = ["127.0.0.1", "::1"] if has_ipv6() else ["127.0.0.1"]
            for host in hosts:
                answer = await self.call(self.visit, host, port, description)
                self.assertTrue(answer.endswith(b"http " + host.encode()), answer)

    def visit(self, host: str, port: int, description: str) -> bytes:
        """GET over TLS or plain."""
        until = b"http " + host.encode()
        if description.startswith("tcp"):
            with socket.create_connection((host, port), 10) as plain:
                return converse(plain, GET, until=until)
        with connect(port, client_context(self.folder), host=host) as tls:
            return converse(tls, GET, until=until)

    async def test_a_port_that_is_taken_is_a_clear_error(self) -> None:
        """The caller makes one line of it."""
        port = await self.listen("mosaic-tls:0" + LOOPBACK)
        try:
            await self.listen(f"mosaic-tls:{port}{LOOPBACK}")
        except CannotListenError as error:
            self.assertEqual(error.port, port)
        else:
            self.fail("two listeners on one port")


class WebSocketEcho(WebSocketOverTls):
    """Echoes messages."""

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """Send it back."""
        self.sendMessage(payload, isBinary)


class WebSocketTests(PortCase):
    """Autobahn replaces the protocol once more, after an HTTP upgrade."""

    def setUp(self) -> None:
        super().setUp()
        factory = WebSocketServerFactory(reactor=self.reactor)
        factory.protocol = WebSocketEcho
        self.root = WebSocketResource(factory)

    def upgrade(self, connection: socket.socket) -> bytes:
        """Shake hands as a browser does, send one masked message, read the echo."""
        head = converse(
            connection,
            GET.replace(
                b"\r\n\r\n",
                b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                b"Sec-WebSocket-Version: 13\r\n\r\n",
            ),
            until=b"\r\n\r\n",
        )
        self.assertIn(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", head)
        return converse(connection, b"\x82\x84\0\0\0\0ping", until=b"ping")

    async def test_over_tls_plain_and_proxied(self) -> None:
        """Each kind of transport is replaced in another way."""
        proxy = b"PROXY TCP4 192.0.2.9 192.0.2.1 4000 443\r\n"

        def over_tls(port: int, before: bytes) -> bytes:
            context = client_context(self.folder, alpn=["http/1.1"])
            with connect(port, context, before=before) as tls:
                return self.upgrade(tls)

        def plain(port: int, before: bytes) -> bytes:
            with socket.create_connection(("127.0.0.1", port), 10) as connection:
                connection.sendall(before)
                return self.upgrade(connection)

        for description, client, before in (
            ("mosaic-tls:0", over_tls, b""),
            ("haproxy:mosaic-tls:0", over_tls, proxy),
            ("tcp:0", plain, b""),
            ("haproxy:tcp:0", plain, proxy),
        ):
            port = await self.listen(description + LOOPBACK)
            self.assertEqual(await self.call(client, port, before), b"\x82\x04ping")


class PolicyTests(PortCase):
    """What other TLS libraries see."""

    async def test_tls_11_is_refused(self) -> None:
        """RFC 8996; the alert says why."""
        port = await self.listen("mosaic-tls:0" + LOOPBACK)

        def client() -> str:
            context = client_context(self.folder, ciphers="ALL:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            context.maximum_version = ssl.TLSVersion.TLSv1_1
            try:
                connect(port, context).close()
            except ssl.SSLError as error:
                return error.reason
            return "accepted"

        self.assertEqual(await self.call(client), "TLSV1_ALERT_PROTOCOL_VERSION")

    async def test_rsa_and_ecdsa_clients_are_served(self) -> None:
        """Those that know one kind of certificate get it; the others ECDSA."""
        port = await self.listen("mosaic-tls:0" + LOOPBACK)

        def client(ciphers: str, version: ssl.TLSVersion) -> object:
            context = client_context(self.folder, ciphers=ciphers, version=version)
            with connect(port, context) as tls:
                shown = tls.getpeercert(binary_form=True)
                assert shown is not None
                return x509.load_der_x509_certificate(shown).public_key()

        for ciphers, version, kind in (
            ("ECDHE-RSA-AES256-GCM-SHA384", ssl.TLSVersion.TLSv1_2, rsa.RSAPublicKey),
            ("ECDHE-ECDSA-AES256-GCM-SHA384", ssl.TLSVersion.TLSv1_2,
             ec.EllipticCurvePublicKey),
            ("DEFAULT", ssl.TLSVersion.TLSv1_2, ec.EllipticCurvePublicKey),
            ("DEFAULT", ssl.TLSVersion.TLSv1_3, ec.EllipticCurvePublicKey),
        ):  # fmt: skip
            key = await self.call(client, ciphers, version)
            self.assertIsInstance(key, kind)

    async def test_reload_keeps_connections_and_shows_the_new_certificate(
        self,
    ) -> None:
        """`systemctl reload` in a meeting."""
        port = await self.listen("mosaic-tls:0" + LOOPBACK)

        def shown(tls: ssl.SSLSocket) -> bytes | None:
            return tls.getpeercert(binary_form=True)

        old = await self.call(connect, port, client_context(self.folder))
        self.addCleanup(old.close)
        replace_certificates(self.folder, "renewed.example")
        self.context.reload()
        new = await self.call(connect, port, client_context(self.folder))
        self.addCleanup(new.close)
        self.assertNotEqual(shown(old), shown(new))
        for tls in (old, new):
            answer = await self.call(converse, tls, b"<still>", until=b">")
            self.assertEqual(answer, b"xmpp 127.0.0.1\n<still>")


class DeadlineTests(PortCase):
    """Slow clients are cut off, whatever they send."""

    deadline_s = 0.5

    def dribble(self, connection: socket.socket, data: bytes) -> float:
        """Send a byte now and then until cut off; returns the seconds it took."""
        began = time.monotonic()
        connection.settimeout(0.05)
        for byte in data:
            try:
                connection.sendall(bytes([byte]))
                if not connection.recv(4096):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            self.fail("never cut off")
        return time.monotonic() - began

    async def test_dribbled_handshake(self) -> None:
        """A ClientHello of which one byte comes at a time."""
        port = await self.listen("mosaic-tls:0" + LOOPBACK)
        hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200)

        def client() -> float:
            with socket.create_connection(("127.0.0.1", port), 10) as plain:
                return self.dribble(plain, hello)

        taken = await self.call(client)
        self.assertTrue(0.4 < taken < 5, taken)

    async def test_dribbled_first_bytes(self) -> None:
        """Whitespace for ever, over TLS and plain."""
        tls_port = await self.listen("mosaic-tls:0" + LOOPBACK)
        plain_port = await self.listen("tcp:0" + LOOPBACK)

        def over_tls() -> float:
            with connect(tls_port, client_context(self.folder)) as tls:
                return self.dribble(tls, b"\n" * 60)

        def plain() -> float:
            with socket.create_connection(("127.0.0.1", plain_port), 10) as connection:
                return self.dribble(connection, b"\n" * 60)

        for client in (over_tls, plain):
            taken = await self.call(client)
            self.assertTrue(0.4 < taken < 5, taken)

    async def test_strangers_are_cut_off_at_once(self) -> None:
        """What fits no route does not get the rest of the time."""
        self.deadline_s = 10.0
        port = await self.listen("tcp:0" + LOOPBACK)

        def client() -> float:
            with socket.create_connection(("127.0.0.1", port), 10) as plain:
                return self.dribble(plain, b"\xff" * 100)

        self.assertLess(await self.call(client), 3)


class ProxyTests(PortCase):
    """Behind HAProxy: the header in clear, then TLS."""

    V1 = b"PROXY TCP4 192.0.2.9 192.0.2.1 4000 443\r\n"
    V1_SIX = b"PROXY TCP6 2001:db8::9 2001:db8::1 4000 443\r\n"
    V2 = (
        b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"
        + socket.inet_aton("192.0.2.9")
        + socket.inet_aton("192.0.2.1")
        + struct.pack("!HH", 4000, 443)
    )

    async def test_every_service_sees_the_client(self) -> None:
        """Limits for each address would count the proxy otherwise."""
        tls_port = await self.listen("haproxy:mosaic-tls:0" + LOOPBACK)
        plain_port = await self.listen("haproxy:tcp:0" + LOOPBACK)

        def plain(before: bytes, data: bytes, until: bytes) -> bytes:
            with socket.create_connection(("127.0.0.1", plain_port), 10) as connection:
                return converse(connection, before, data, until=until)

        for header, address in (
            (self.V1, b"192.0.2.9"),
            (self.V1_SIX, b"2001:db8::9"),
            (self.V2, b"192.0.2.9"),
        ):
            for data, name in ((GET, b"http "), (b"<a>", b"xmpp "), (STUN, b"turn ")):
                seen = name + address
                answer = await self.call(
                    self.ask, tls_port, data, until=seen, before=header
                )
                self.assertIn(seen, answer)
                self.assertIn(seen, await self.call(plain, header, data, seen))

    async def test_no_header_no_service(self) -> None:
        """A client that comes past the proxy."""
        port = await self.listen("haproxy:tcp:0" + LOOPBACK)

        def client() -> bytes:
            with socket.create_connection(("127.0.0.1", port), 10) as plain:
                return converse(plain, GET, until=b"http")

        self.assertEqual(await self.call(client), b"")


class RouteOnSocketTests(RouteTests):
    """The same, with OpenSSL on the socket."""

    tls: Transport = "socket"


class WebSocketOnSocketTests(WebSocketTests):
    """The same, with OpenSSL on the socket."""

    tls: Transport = "socket"


class PolicyOnSocketTests(PolicyTests):
    """The same, with OpenSSL on the socket."""

    tls: Transport = "socket"


class DeadlineOnSocketTests(DeadlineTests):
    """The same, with OpenSSL on the socket."""

    tls: Transport = "socket"


class ProxyOnSocketTests(ProxyTests):
    """The same, with OpenSSL on the socket."""

    tls: Transport = "socket"
