"""SCRAM: the RFC's own exchange, the binding rules, and any bytes."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis.strategies import binary, booleans, sampled_from, text
from scramp import ScramClient as ScrampClient
from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.sasl.client import ScramClient
from mosaic.wire.sasl.errors import (
    IncorrectEncoding,
    MalformedRequest,
    NotAuthorized,
    SaslError,
)
from mosaic.wire.sasl.grammar import escape_name, unescape_name
from mosaic.wire.sasl.scram import ScramServer
from mosaic.wire.sasl.verifier import ScramVerifier, derive_verifier

VECTORS = Path(__file__).parent.parent / "vectors"
VERIFIER = derive_verifier("pencil", salt=b"sixteen bytes ok", iterations=4096)
BINDING = bytes(range(32))


def exchange(
    server: ScramServer, client: ScramClient, verifier: ScramVerifier = VERIFIER
) -> str:
    """Run a whole login; the name that came in."""
    first = server.client_first(client.first())
    final = client.final(server.server_first(verifier))
    client.verify(server.client_final(final))
    return first.username


class VectorTests(SynchronousTestCase):
    """RFC 7677 section 3, byte for byte, on both sides."""

    digest = "sha256"
    file = "scram_sha_256.json"

    def setUp(self) -> None:
        vector = json.loads((VECTORS / self.file).read_text())
        self.vector = vector
        self.verifier = derive_verifier(
            vector["password"],
            salt=base64.b64decode(vector["salt"]),
            iterations=vector["iterations"],
            digest=self.digest,
        )

    def test_server_speaks_the_rfc_exchange(self) -> None:
        """Every message of the server is the RFC's."""
        vector = self.vector
        server = ScramServer(nonce=vector["server_nonce"], digest=self.digest)
        first = server.client_first(vector["client_first"].encode())
        self.assertEqual((first.username, first.authzid), ("user", None))
        self.assertEqual(
            server.server_first(self.verifier), vector["server_first"].encode()
        )
        self.assertEqual(
            server.client_final(vector["client_final"].encode()),
            vector["server_final"].encode(),
        )

    def test_client_speaks_the_rfc_exchange(self) -> None:
        """Every message of the client is the RFC's, and it trusts the server."""
        vector = self.vector
        client = ScramClient(
            "user", "pencil", nonce=vector["client_nonce"], digest=self.digest
        )
        self.assertEqual(client.first(), vector["client_first"].encode())
        self.assertEqual(
            client.final(vector["server_first"].encode()),
            vector["client_final"].encode(),
        )
        client.verify(vector["server_final"].encode())


class Sha1VectorTests(VectorTests):
    """RFC 5802 section 5, the same way."""

    digest = "sha1"
    file = "scram_sha_1.json"


class ServerTests(SynchronousTestCase):
    """What the server lets in, and with which condition it refuses."""

    def test_an_independent_client_logs_in(self) -> None:
        """scramp, written by others, agrees on every step."""
        client = ScrampClient(["SCRAM-SHA-256"], "user", "pencil")
        server = ScramServer(nonce="abc")
        server.client_first(client.get_client_first().encode())
        client.set_server_first(server.server_first(VERIFIER).decode())
        final = server.client_final(client.get_client_final().encode())
        client.set_server_final(final.decode())

    def test_plus_with_the_right_binding(self) -> None:
        """SCRAM-SHA-256-PLUS over tls-exporter (RFC 9266)."""
        server = ScramServer(nonce="srv", plus=True, binding=BINDING)
        client = ScramClient("user", "pencil", nonce="cli", binding=BINDING)
        self.assertEqual(exchange(server, client), "user")

    def test_wrong_binding_is_refused(self) -> None:
        """Somebody in the middle has another TLS session, so other bytes."""
        server = ScramServer(nonce="srv", plus=True, binding=BINDING)
        client = ScramClient("user", "pencil", nonce="cli", binding=bytes(32))
        self.assertRaises(NotAuthorized, exchange, server, client)

    def test_downgrade_is_refused_when_plus_is_offered(self) -> None:
        """ "y" means that somebody took -PLUS out of our offer."""
        server = ScramServer(nonce="srv", binding=BINDING)
        client = ScramClient("user", "pencil", nonce="cli", can_bind=True)
        self.assertRaises(NotAuthorized, server.client_first, client.first())

    def test_y_is_fine_where_plus_is_not_offered(self) -> None:
        """Behind a proxy that ends TLS there is nothing to bind to."""
        client = ScramClient("user", "pencil", nonce="cli", can_bind=True)
        self.assertEqual(exchange(ScramServer(nonce="srv"), client), "user")

    def test_flag_must_fit_the_mechanism(self) -> None:
        """p= needs -PLUS and -PLUS needs p=."""
        plus = ScramServer(nonce="srv", plus=True, binding=BINDING)
        self.assertRaises(MalformedRequest, plus.client_first, b"n,,n=user,r=x")
        plain = ScramServer(nonce="srv", binding=BINDING)
        self.assertRaises(
            MalformedRequest, plain.client_first, b"p=tls-exporter,,n=user,r=x"
        )
        other = ScramServer(nonce="srv", plus=True, binding=BINDING)
        self.assertRaises(
            NotAuthorized, other.client_first, b"p=tls-unique,,n=user,r=x"
        )

    def test_wrong_password_is_refused(self) -> None:
        """The proof does not fit the StoredKey."""
        client = ScramClient("user", "pen", nonce="cli")
        self.assertRaises(NotAuthorized, exchange, ScramServer(nonce="s"), client)

    def test_a_verifier_of_another_hash_is_our_fault(self) -> None:
        """It would be a broken invariant, not a bad client."""
        server = ScramServer(nonce="srv", digest="sha1")
        server.client_first(b"n,,n=user,r=x")
        self.assertRaises(ValueError, server.server_first, VERIFIER)

    def test_the_offer_is_signed(self) -> None:
        """XEP-0474: a client that saw the same goes on, another refuses, and one
        that hides the attribute from us fails at the proof."""
        for seen in (None, "same"):
            server = ScramServer(nonce="srv", offer="same")
            exchange(server, ScramClient("user", "pencil", nonce="c", offer=seen))
        server = ScramServer(nonce="srv", offer="same")
        client = ScramClient("user", "pencil", nonce="c", offer="other")
        self.assertRaises(NotAuthorized, exchange, server, client)
        server = ScramServer(nonce="srv", offer="same")
        client = ScramClient("user", "pencil", nonce="c", offer="other")
        server.client_first(client.first())
        first = server.server_first(VERIFIER).replace(b",h=same", b",h=other")
        self.assertRaises(NotAuthorized, server.client_final, client.final(first))

    def test_authzid_is_handed_to_the_caller(self) -> None:
        """Only the caller knows which identities an account may take."""
        server = ScramServer(nonce="srv")
        first = server.client_first(b"n,a=u=2Cx@h,n=user,r=x")
        self.assertEqual(first.authzid, "u,x@h")

    def test_malformed_messages_say_so(self) -> None:
        """Bad grammar is no wrong password: another condition."""
        for message in (
            b"",
            b"n,,",
            b"n,,r=x,n=user",
            b"n,,n=user",
            b"n,,n=,r=x",
            b"n,,n=us=er,r=x",
            b"n,,n=user,r=",
            b"n,,m=ext,n=user,r=x",
            b"n,user,n=user,r=x",
            b"n,,n=\xff,r=x",
            b"z,,n=user,r=x",
            b"n,,n=user,r=x,",
            b"n,,n=u\x00,r=x",
            b"n,,n=" + b"u" * 9000 + b",r=x",
        ):
            server = ScramServer(nonce="srv")
            error = self.assertRaises(SaslError, server.client_first, message)
            self.assertEqual(error.condition, "malformed-request", message)

    def test_malformed_final_messages_say_so(self) -> None:
        """The second message has its grammar too."""
        for message, kind in (
            (b"c=biws,r=xsrv", MalformedRequest),
            (b"r=xsrv,c=biws,p=AA==", MalformedRequest),
            (b"c=biws,r=xsrv,m=1,p=AA==", MalformedRequest),
            (b"c=biws,r=xsrv,p=A", IncorrectEncoding),
            (b"c=biws,r=xsrv,p=AA==", NotAuthorized),
            (b"c=biws,r=other,p=AA==", NotAuthorized),
            (b"c=eSws,r=xsrv,p=AA==", NotAuthorized),
        ):
            server = ScramServer(nonce="srv")
            server.client_first(b"n,,n=user,r=x")
            server.server_first(VERIFIER)
            self.assertRaises(kind, server.client_final, message)

    def test_final_message_counts_once(self) -> None:
        """A second guess needs a second exchange, which is counted."""
        server = ScramServer(nonce="srv")
        server.client_first(b"n,,n=user,r=x")
        server.server_first(VERIFIER)
        self.assertRaises(NotAuthorized, server.client_final, b"c=biws,r=xsrv,p=AA==")
        self.assertRaises(MalformedRequest, server.client_final, b"c=biws,r=xsrv,p=")

    @settings(max_examples=100)
    @given(binary(max_size=80), binary(max_size=80), booleans())
    def test_any_bytes_end_in_a_sasl_error(
        self, first: bytes, final: bytes, plus: bool
    ) -> None:
        """Whatever arrives, only SaslError comes out; nobody gets in."""
        server = ScramServer(nonce="srv", plus=plus, binding=BINDING)
        with self.assertRaises(SaslError):
            server.client_first(first)
            server.server_first(VERIFIER)
            server.client_final(final)

    @settings(max_examples=100)
    @given(sampled_from(["c=biws,r=xsrv,p=", "c=", "p=", ""]), binary(max_size=60))
    def test_any_final_bytes_end_in_a_sasl_error(self, head: str, tail: bytes) -> None:
        """The same for the message that carries the proof."""
        server = ScramServer(nonce="srv")
        server.client_first(b"n,,n=user,r=x")
        server.server_first(VERIFIER)
        with self.assertRaises(SaslError):
            server.client_final(head.encode() + tail)

    @given(text(max_size=20))
    def test_names_survive_escaping(self, name: str) -> None:
        """escape_name and unescape_name are inverse."""
        self.assertEqual(unescape_name(escape_name(name)), name)


class ClientTests(SynchronousTestCase):
    """The client defends itself too."""

    def test_server_must_prove_itself(self) -> None:
        """A server without the verifier cannot sign."""
        client = ScramClient("user", "pencil", nonce="cli")
        client.final(b"r=clisrv,s=AAAA,i=4096")
        self.assertRaises(NotAuthorized, client.verify, b"v=AAAA")
        self.assertRaises(NotAuthorized, client.verify, b"e=other-error")

    def test_weak_or_foreign_offers_are_refused(self) -> None:
        """Few iterations, huge ones, and a nonce that is not ours."""
        for message in (
            b"r=clisrv,s=AAAA,i=1",
            b"r=clisrv,s=AAAA,i=999999999",
            b"r=other,s=AAAA,i=4096",
            b"r=cli,s=AAAA,i=4096",
            b"s=AAAA,r=clisrv,i=4096",
            b"r=clisrv,s=AAAA,i=x",
        ):
            client = ScramClient("user", "pencil", nonce="cli")
            self.assertRaises(SaslError, client.final, message)

    @settings(max_examples=100)
    @given(binary(max_size=60))
    def test_any_server_bytes_end_in_a_sasl_error(self, message: bytes) -> None:
        """A hostile server can only fail the login."""
        client = ScramClient("user", "pencil", nonce="cli")
        self.assertRaises(SaslError, client.final, message)
        self.assertRaises(SaslError, client.verify, message)
