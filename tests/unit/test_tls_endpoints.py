"""Endpoint strings: where they listen, in which order they wrap, what they refuse."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis.strategies import lists, sampled_from, text
from twisted.internet import endpoints as twisted_endpoints
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IStreamServerEndpoint,
    IStreamServerEndpointStringParser,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.plugin import IPlugin
from twisted.protocols.haproxy._wrapper import HAProxyWrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

import mosaic
from mosaic.tls.addresses import peer_address
from mosaic.tls.context import Certificates, ServerContext
from mosaic.tls.endpoints import (
    has_ipv6,
    parse_description,
    server_endpoint,
    unparse_description,
)
from mosaic.tls.errors import CertificateError
from mosaic.tls.parser import MosaicTlsParser
from mosaic.tls.ports import MemoryTlsEndpoint, SocketEndpoint, Transport
from mosaic.tls.transports import (
    PlainServer,
    PlainUnixServer,
    TlsServer,
    TlsUnixServer,
)
from tests.support.tls_folders import certificate_folder

ANY = "::" if has_ipv6() else "0.0.0.0"


class EndpointCase(SynchronousTestCase):
    """A reactor that remembers who listens."""

    tls: Transport = "memory"

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.folder = certificate_folder(Path(self.mktemp()))
        self.context = ServerContext(self.folder)
        self.certificates = Certificates()

    def endpoint(self, description: str) -> IStreamServerEndpoint:
        """Parse with our default context and registry."""
        return server_endpoint(
            self.reactor,
            description,
            default_context=self.context,
            certificates=self.certificates,
            transport=self.tls,
        )

    def listen(self, description: str) -> tuple[int, Any, int, str]:
        """Port, factory, backlog and interface of the listener."""
        self.reactor.tcpServers.clear()
        self.successResultOf(self.endpoint(description).listen(Factory()))
        ((port, factory, backlog, interface),) = self.reactor.tcpServers
        return port, factory, backlog, interface


class TlsEndpointTests(EndpointCase):
    """mosaic-tls: and its arguments."""

    def test_all_addresses_of_both_families(self) -> None:
        """One listener on `::` serves IPv4 too."""
        port, factory, _, interface = self.listen("mosaic-tls:8443")
        self.assertEqual((port, interface), (8443, ANY))
        self.assertIsInstance(factory, TLSMemoryBIOFactory)

    def test_interface_and_backlog(self) -> None:
        """IPv6 addresses are written with escaped colons, as in Twisted."""
        for given_, interface in (("127.0.0.1", "127.0.0.1"), (r"\:\:1", "::1")):
            port, _, backlog, bound = self.listen(
                f"mosaic-tls:443:interface={given_}:backlog=7"
            )
            self.assertEqual((port, backlog, bound), (443, 7, interface))

    def test_certs_come_from_the_registry(self) -> None:
        """So that a reload reaches them."""
        self.listen(f"mosaic-tls:443:certs={self.folder}")
        self.assertEqual(self.certificates.reload(), [])
        self.assertIsNotNone(self.certificates.expires())

    def test_without_a_default_certs_are_needed(self) -> None:
        """Outside Mosaic nothing makes certificates."""
        error = self.assertRaises(
            ValueError,
            server_endpoint,
            self.reactor,
            "mosaic-tls:443",
            default_context=None,
        )
        self.assertIn("certs=FOLDER is needed", str(error))

    def test_bad_certs_name_the_folder(self) -> None:
        """The error is the certificates' own."""
        error = self.assertRaises(
            CertificateError, self.endpoint, "mosaic-tls:443:certs=/nowhere"
        )
        self.assertEqual(error.path, Path("/nowhere"))

    def test_proxy_header_comes_before_tls(self) -> None:
        """The outer wrapper is PROXY, the inner TLS."""
        for description in (
            "haproxy:mosaic-tls:443",
            r"mosaic-tls:on=haproxy\:tcp\:443",
            f"haproxy:mosaic-tls:443:certs={self.folder}",
        ):
            port, factory, _, interface = self.listen(description)
            self.assertEqual((port, interface), (443, ANY))
            self.assertIsInstance(factory, HAProxyWrappingFactory)
            self.assertIsInstance(factory.wrappedFactory, TLSMemoryBIOFactory)

    def test_tls_on_another_endpoint(self) -> None:
        """UNIX sockets, and everything else that Twisted knows."""
        endpoint = self.endpoint(r"mosaic-tls:on=unix\:/run/mosaic\:mode=600")
        self.successResultOf(endpoint.listen(Factory()))
        ((path, factory, _, mode, _),) = self.reactor.unixServers
        self.assertEqual((path, mode), ("/run/mosaic", 0o600))
        self.assertIsInstance(factory, TLSMemoryBIOFactory)

    def test_slips_are_named_in_one_line(self) -> None:
        """Each refusal holds the description and the part at fault."""
        for description, part in (
            ("mosaic-tls", "port"),
            ("mosaic-tls:https", "'https'"),
            ("mosaic-tls:70000", "65535"),
            ("mosaic-tls:-1", "'-1'"),
            ("mosaic-tls:443:bogus=1", "bogus"),
            ("mosaic-tls:443:backlog=x", "backlog"),
            (r"mosaic-tls:1:on=tcp\:443", "on="),
            ("tcp:443:bogus=1", "bogus"),
            ("tcp:x", "'x'"),
            ("quic:443", "quic"),
            ("haproxy:", "unknown endpoint type"),
            ("", "unknown endpoint type"),
            ("systemd:domain=INET:name=web", "FileDescriptorName="),
            ("systemd:domain=INET:index=0", "FileDescriptorName="),
            (r"mosaic-tls:on=systemd\:domain=INET\:name=web", "FileDescriptorName="),
            ("tcp:443\\", "backslash"),
        ):
            error = self.assertRaises(ValueError, self.endpoint, description)
            message = str(error)
            self.assertIn(repr(description), message)
            self.assertIn(part.lower(), message.lower())
            self.assertNotIn("\n", message)


class SocketEndpointTests(EndpointCase):
    """The same descriptions with OpenSSL on the socket."""

    tls: Transport = "socket"

    def test_tls_stands_on_everything_that_has_sockets(self) -> None:
        """With the context of the description, plain ports with none."""
        for description, context in (
            ("mosaic-tls:8443", self.context),
            ("mosaic-tls:443:interface=127.0.0.1", self.context),
            (r"mosaic-tls:on=unix\:/run/mosaic\:mode=600", self.context),
            (r"mosaic-tls:on=tcp\:443", self.context),
            ("tcp:8080", None),
            ("tcp:8080:interface=127.0.0.1", None),
            ("unix:/run/mosaic", None),
        ):
            endpoint = self.endpoint(description)
            assert isinstance(endpoint, SocketEndpoint), description
            self.assertIs(endpoint.context, context)

    def test_what_is_wrapped_has_tls_in_memory(self) -> None:
        """The bytes come from a protocol there: PROXY, or TLS in TLS."""
        for description in (
            "haproxy:mosaic-tls:443",
            r"mosaic-tls:on=haproxy\:tcp\:443",
            r"mosaic-tls:on=mosaic-tls\:443",
        ):
            self.assertIsInstance(self.endpoint(description), MemoryTlsEndpoint)

    def test_a_port_that_takes_no_transport_never_speaks_in_clear(self) -> None:
        """A reactor of a kind that we do not know."""
        listening = self.endpoint("mosaic-tls:443").listen(Factory())
        self.assertIsInstance(self.failureResultOf(listening).value, TypeError)

    def test_connections_get_transports_of_ours(self) -> None:
        """TCP and UNIX, plain and TLS."""
        folder = tempfile.TemporaryDirectory(prefix="mosaic-")
        self.addCleanup(folder.cleanup)
        for below, plain, tls in (
            (r"tcp\:0\:interface=127.0.0.1", PlainServer, TlsServer),
            (rf"unix\:{folder.name}/s", PlainUnixServer, TlsUnixServer),
        ):
            for text_, expected in (
                (below.replace("\\:", ":"), plain),
                (f"mosaic-tls:on={below}", tls),
            ):
                self.assertIs(self.transport_of(text_), expected)

    def test_what_a_port_accepts_sends_at_once(self) -> None:
        """The client of a handshake waits 40 ms otherwise, wherever TLS stands."""
        transports: tuple[Transport, ...] = ("socket", "memory")
        for transport in transports:
            for text_ in (
                "tcp:0:interface=127.0.0.1",
                r"mosaic-tls:on=tcp\:0\:interface=127.0.0.1",
            ):
                if (transport, text_[:3]) == ("memory", "tcp"):
                    continue  # Twisted's own
                with self.listening(text_, transport) as (port, _):
                    with socket.create_connection(port.socket.getsockname()):
                        accepted, _ = port.socket.accept()
                    with accepted:
                        option = (socket.IPPROTO_TCP, socket.TCP_NODELAY)
                        self.assertTrue(accepted.getsockopt(*option), text_)

    def transport_of(self, description: str) -> type:
        """What a port of a real reactor makes of a connection."""
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        with self.listening(description) as (port, reactor):
            made = port.transport(ours, Protocol(), ("", 0), port, 0, reactor)
            made.connectionLost(Failure(ConnectionDone()))
        return type(made)

    @contextmanager
    def listening(
        self, description: str, transport: Transport = "socket"
    ) -> Iterator[tuple[Any, EPollReactor]]:
        """A port of a real reactor that does not run."""
        reactor = EPollReactor()
        endpoint = server_endpoint(
            reactor, description, default_context=self.context, transport=transport
        )
        port: Any = self.successResultOf(endpoint.listen(Factory.forProtocol(Protocol)))
        try:
            yield port, reactor
        finally:
            port.connectionLost(None)
            for reader in reactor.removeAll() + list(reactor._internalReaders):
                reader.connectionLost(None)


class OtherEndpointTests(EndpointCase):
    """What Twisted knows stays as it is, but for tcp: without interface=."""

    def test_tcp_without_interface_serves_both_families(self) -> None:
        """IPv6 as well where the machine has it."""
        port, factory, _, interface = self.listen("tcp:8080")
        self.assertEqual((port, interface), (8080, ANY))
        self.assertIsInstance(factory, Factory)

    def test_tcp_with_interface_is_left_alone(self) -> None:
        """Loopback stays loopback."""
        for given_, interface in (("127.0.0.1", "127.0.0.1"), (r"\:\:1", "::1")):
            self.assertEqual(self.listen(f"tcp:8080:interface={given_}")[3], interface)

    def test_haproxy_over_tcp(self) -> None:
        """Plain HTTP behind a proxy."""
        _, factory, _, interface = self.listen("haproxy:tcp:8080:interface=127.0.0.1")
        self.assertIsInstance(factory, HAProxyWrappingFactory)
        self.assertEqual(interface, "127.0.0.1")


class DescriptionTests(SynchronousTestCase):
    """Our splitting of descriptions agrees with Twisted's."""

    @given(text(sampled_from("ab:=\\/.1"), max_size=20))
    def test_same_parts_as_twisted(self, description: str) -> None:
        """Where Twisted accepts a description, both see the same."""
        try:
            parts = parse_description(description)
        except ValueError:
            self.assertTrue(description.endswith("\\"))
        else:
            self.assertEqual(parts, tuple(twisted_endpoints._parse(description)))

    @given(lists(text(sampled_from("ab:=\\"), max_size=5), min_size=1, max_size=3))
    def test_parts_survive_a_round_trip(self, args: list[str]) -> None:
        """haproxy: writes the rest as a description again."""
        named = {"certs": args[-1]}
        self.assertEqual(
            parse_description(unparse_description(args, named)), (args, named)
        )


class ParserTests(EndpointCase):
    """The plugin for Twisted's own endpoint strings."""

    def test_it_is_a_plugin(self) -> None:
        """Both interfaces that Twisted asks for."""
        parser = MosaicTlsParser()
        self.assertTrue(verifyObject(IPlugin, parser))
        self.assertTrue(verifyObject(IStreamServerEndpointStringParser, parser))

    def test_it_makes_the_same_endpoint(self) -> None:
        """certs= must be given."""
        parser = MosaicTlsParser()
        endpoint = parser.parseStreamServer(self.reactor, "443", certs=str(self.folder))
        self.assertIsInstance(endpoint, SocketEndpoint)
        self.assertRaises(ValueError, parser.parseStreamServer, self.reactor, "443")

    def test_listing_plugins_loads_no_openssl(self) -> None:
        """Nor a reactor: the curves are pinned after that, and --reactor chooses."""
        code = (
            "import sys; from mosaic.tls.parser import MosaicTlsParser;"
            "import mosaic.tls.groups, mosaic.tls.errors;"
            "MosaicTlsParser(); assert not mosaic.tls.groups.openssl_is_loaded();"
            "assert 'twisted.internet.reactor' not in sys.modules"
        )
        root = str(Path(mosaic.__file__).parent.parent)
        environment = {**os.environ, "PYTHONPATH": root}
        subprocess.run(
            [sys.executable, "-c", code], env=environment, check=True, timeout=60
        )


class PeerAddressTests(SynchronousTestCase):
    """One text for one machine, whatever listener it came through."""

    def test_texts(self) -> None:
        """v4-mapped is IPv4, long is short, a zone is dropped, UNIX has none."""
        for peer, text_ in (
            (IPv4Address("TCP", "192.0.2.1", 1), "192.0.2.1"),
            (IPv6Address("TCP", "::ffff:192.0.2.1", 1), "192.0.2.1"),
            (IPv6Address("TCP", "0:0:0:0:0:ffff:c000:201", 1), "192.0.2.1"),
            (IPv6Address("TCP", "2001:DB8:0:0:0:0:0:1", 1), "2001:db8::1"),
            (IPv6Address("TCP", "fe80::1%eth0", 1), "fe80::1"),
            (IPv4Address("TCP", "no address", 1), "no address"),
            (UNIXAddress("/run/s"), ""),
        ):
            self.assertEqual(peer_address(StringTransport(peerAddress=peer)), text_)
