"""TLS in memory: what is negotiated, and what a reload changes."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis.strategies import binary, lists
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from mosaic.tls.context import Certificates, ServerContext, select_alpn
from mosaic.tls.errors import CertificateError
from tests.support.tls_folders import certificate_folder, replace_certificates


def client_context(
    *, version: int = SSL.TLS1_3_VERSION, ciphers: bytes = b"DEFAULT"
) -> SSL.Context:
    """A client of one TLS version."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(version)
    context.set_max_proto_version(version)
    context.set_cipher_list(ciphers)
    return context


def move(source: SSL.Connection, target: SSL.Connection) -> bool:
    """Carry what one side has written to the other."""
    try:
        target.bio_write(source.bio_read(1 << 16))
    except SSL.WantReadError:
        return False
    return True


class Pair:
    """A client and a server connection that talk through memory."""

    def __init__(self, server: ServerContext, client: SSL.Context) -> None:
        self.server = server.serverConnectionForTLS(None)  # type: ignore[arg-type]  # it is not looked at
        self.server.set_accept_state()
        self.client = SSL.Connection(client, None)
        self.client.set_connect_state()

    def handshake(self, alpn: list[bytes] | None = None) -> None:
        """Shake hands. Raises SSL.Error where one side refuses."""
        if alpn:
            self.client.set_alpn_protos(alpn)
        for _ in range(6):
            for side, other in ((self.client, self.server), (self.server, self.client)):
                try:
                    side.do_handshake()
                except SSL.WantReadError:
                    pass
                move(side, other)

    def exchange(self, data: bytes) -> bytes:
        """Send from client to server."""
        self.client.send(data)
        move(self.client, self.server)
        return self.server.recv(len(data))

    def certificate(self) -> x509.Certificate:
        """What the client was shown."""
        shown = self.client.get_peer_certificate()
        assert shown is not None
        return shown.to_cryptography()


class ContextCase(SynchronousTestCase):
    """A folder of certificates and its context."""

    def setUp(self) -> None:
        self.folder = certificate_folder(Path(self.mktemp()))
        self.context = ServerContext(self.folder)

    def pair(
        self, version: int = SSL.TLS1_3_VERSION, ciphers: bytes = b"DEFAULT"
    ) -> Pair:
        """A new connection, not yet begun."""
        return Pair(self.context, client_context(version=version, ciphers=ciphers))


class PolicyTests(ContextCase):
    """RFC 9325, and both kinds of certificate."""

    def test_tls_13_and_12_are_spoken(self) -> None:
        """And bytes go through."""
        for version, name in (
            (SSL.TLS1_3_VERSION, "TLSv1.3"),
            (SSL.TLS1_2_VERSION, "TLSv1.2"),
        ):
            pair = self.pair(version)
            pair.handshake()
            self.assertEqual(pair.server.get_protocol_version_name(), name)
            self.assertEqual(pair.exchange(b"hello"), b"hello")

    def test_tls_11_is_refused(self) -> None:
        """RFC 8996."""
        pair = self.pair(SSL.TLS1_1_VERSION, b"ALL:@SECLEVEL=0")
        error = self.assertRaises(SSL.Error, pair.handshake)
        self.assertEqual(error.args[0][0][2], "unsupported protocol")

    def test_suites_without_aead_or_forward_secrecy_are_refused(self) -> None:
        """CBC, static RSA, and AES-128."""
        for suite in (
            b"ECDHE-RSA-AES256-SHA384",
            b"AES256-GCM-SHA384",
            b"ECDHE-ECDSA-AES128-GCM-SHA256",
        ):
            pair = self.pair(SSL.TLS1_2_VERSION, suite)
            error = self.assertRaises(SSL.Error, pair.handshake)
            self.assertEqual(error.args[0][0][2], "no shared cipher")

    def test_ecdsa_is_preferred(self) -> None:
        """A handshake with it costs a fraction of the CPU."""
        for version in (SSL.TLS1_3_VERSION, SSL.TLS1_2_VERSION):
            pair = self.pair(version)
            pair.handshake()
            key = pair.certificate().public_key()
            self.assertIsInstance(key, ec.EllipticCurvePublicKey)

    def test_rsa_serves_clients_that_know_nothing_else(self) -> None:
        """And ECDSA those that want only that."""
        for suite, kind in (
            (b"ECDHE-RSA-AES256-GCM-SHA384", rsa.RSAPublicKey),
            (b"ECDHE-RSA-CHACHA20-POLY1305", rsa.RSAPublicKey),
            (b"ECDHE-ECDSA-AES256-GCM-SHA384", ec.EllipticCurvePublicKey),
            (b"ECDHE-ECDSA-CHACHA20-POLY1305", ec.EllipticCurvePublicKey),
        ):
            pair = self.pair(SSL.TLS1_2_VERSION, suite)
            pair.handshake()
            self.assertIsInstance(pair.certificate().public_key(), kind)

    def test_renegotiation_is_refused(self) -> None:
        """It lets a client spend the server's CPU (CVE-2011-1473)."""
        pair = self.pair(SSL.TLS1_2_VERSION)
        pair.handshake()
        self.assertTrue(pair.client.renegotiate())
        self.assertRaises(SSL.Error, self.renegotiate, pair)

    def renegotiate(self, pair: Pair) -> None:
        """Carry the client's wish to the server and the answer back."""
        for _ in range(3):
            try:
                pair.client.do_handshake()
            except SSL.WantReadError:
                pass
            move(pair.client, pair.server)
            try:
                pair.server.recv(1)
            except SSL.WantReadError:
                pass
            move(pair.server, pair.client)

    def test_sessions_are_resumed_by_ticket(self) -> None:
        """Reconnecting hubs save the signature; the server remembers nothing."""
        client = client_context(version=SSL.TLS1_2_VERSION)
        first = Pair(self.context, client)
        first.handshake()
        session = first.client.get_session()
        assert session is not None
        again = Pair(self.context, client)
        again.client.set_session(session)
        again.handshake()
        # The master key of a new session would be another.
        self.assertEqual(again.server.master_key(), first.server.master_key())


class AlpnTests(ContextCase):
    """Own callback: an unknown name is no error."""

    def test_each_of_our_protocols_is_taken(self) -> None:
        """The client's order counts."""
        for offered, taken in (
            ([b"http/1.1"], b"http/1.1"),
            ([b"h2", b"http/1.1"], b"http/1.1"),
            ([b"xmpp-client"], b"xmpp-client"),
            ([b"stun.turn", b"http/1.1"], b"stun.turn"),
        ):
            pair = self.pair()
            pair.handshake(offered)
            self.assertEqual(pair.client.get_alpn_proto_negotiated(), taken)

    def test_an_unknown_protocol_goes_on_without(self) -> None:
        """The first bytes decide then."""
        for offered in ([b"h2"], [b"imap"], None):
            pair = self.pair()
            pair.handshake(offered)
            self.assertEqual(pair.client.get_alpn_proto_negotiated(), b"")
            self.assertEqual(pair.exchange(b"GET /"), b"GET /")

    @settings(max_examples=50)
    @given(lists(binary(max_size=20), max_size=8))
    def test_only_what_was_offered_is_taken(self, offered: list[bytes]) -> None:
        """RFC 7301 section 3.2."""
        taken = select_alpn(None, offered)
        self.assertTrue(taken is SSL.NO_OVERLAPPING_PROTOCOLS or taken in offered)


class ReloadTests(ContextCase):
    """New certificates without a restart."""

    def shown(self) -> bytes:
        """The certificate that a new client sees."""
        pair = self.pair()
        pair.handshake()
        return pair.certificate().fingerprint(hashes.SHA256())

    def test_new_connections_see_the_new_certificate(self) -> None:
        """And those that are open go on."""
        old = self.pair()
        old.handshake()
        before = self.shown()
        replace_certificates(self.folder, "renewed.example")
        self.assertEqual(self.shown(), before)
        self.context.reload()
        self.assertNotEqual(self.shown(), before)
        self.assertEqual(old.exchange(b"still here"), b"still here")

    def test_a_bad_folder_changes_nothing(self) -> None:
        """One error, and the old certificates serve on."""
        before, expires = self.shown(), self.context.expires
        (self.folder / "server-rsa.pem").write_bytes(b"-----BEGIN CERTIFICATE-----")
        self.assertRaises(CertificateError, self.context.reload)
        self.assertEqual(self.shown(), before)
        self.assertEqual(self.context.expires, expires)

    def test_registry_makes_one_context_for_a_folder(self) -> None:
        """Two endpoints with one folder renew together."""
        certificates = Certificates()
        self.assertIsNone(certificates.expires())
        first = certificates.context(self.folder)
        self.assertIs(certificates.context(self.folder.absolute()), first)
        self.assertEqual(certificates.expires(), first.expires)

    def test_registry_reloads_every_folder(self) -> None:
        """One that is bad does not hold up the others."""
        certificates = Certificates()
        bad = certificate_folder(Path(self.mktemp()))
        certificates.context(bad)
        good = certificates.context(self.folder)
        (bad / "server-rsa.key").unlink()
        replace_certificates(self.folder, "renewed.example")
        before = self.shown()
        (error,) = certificates.reload()
        self.assertEqual(error.path, bad / "server-rsa.pem")
        self.context = good
        self.assertNotEqual(self.shown(), before)
