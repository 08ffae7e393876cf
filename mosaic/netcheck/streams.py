# mypy: disable-error-code="no-untyped-call"
# (Twisted's protocols have few annotations)
"""Probes over TCP and TLS: each opens one connection, looks, and closes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.python.failure import Failure

from mosaic.drcpclient import socket as drcp_socket
from mosaic.proxy.client import Dialler
from mosaic.proxy.endpoint import ProxiedEndpoint
from mosaic.wire.hops import HopError, NoAnswer
from mosaic.wire.turn.asking import TurnRefusal

ANSWER_S = 10.0
MAX_ANSWER_BYTES = 65536


class _Collect(Protocol):
    """Gathers bytes until somebody has seen enough."""

    transport: Any

    def __init__(self) -> None:
        self.received = bytearray()
        self.changed: Callable[[], None] = lambda: None
        self.over = False

    def dataReceived(self, data: bytes) -> None:
        """A piece."""
        self.received += data
        if len(self.received) > MAX_ANSWER_BYTES:
            self.transport.abortConnection()
        self.changed()

    def connectionLost(self, reason: Failure = Failure(Exception())) -> None:  # noqa: B008
        """No more."""
        self.over = True
        self.changed()


class Stream:
    """One connection. hop: how errors name the server."""

    def __init__(self, reactor: Any, protocol: _Collect, hop: str) -> None:
        self._reactor = reactor
        self._protocol = protocol
        self._hop = hop

    @property
    def transport(self) -> Any:
        """Of the connection; TLS's own where there is TLS."""
        return self._protocol.transport

    def send(self, data: bytes) -> None:
        """Write."""
        self._protocol.transport.write(data)

    async def until(self, enough: Callable[[bytes], bytes | None]) -> bytes:
        """What `enough` makes of the bytes so far, once it is not None; it may
        be called with the same bytes again. Raises NoAnswer."""
        waiting: Deferred[bytes] = Deferred()

        def look() -> None:
            if waiting.called:
                return
            found = enough(bytes(self._protocol.received))
            if found is not None:
                waiting.callback(found)
            elif self._protocol.over:
                waiting.errback(self._silent("hung up without an answer"))

        def late() -> None:
            if not waiting.called:
                waiting.errback(self._silent("gave no answer"))

        self._protocol.changed = look
        timer = self._reactor.callLater(ANSWER_S, late)
        look()
        try:
            return await waiting
        finally:
            if timer.active():
                timer.cancel()

    @property
    def over(self) -> bool:
        """Whether the other side has hung up."""
        return self._protocol.over

    def follow(self, read: Callable[[bytearray], None]) -> None:
        """Call `read` for what there is and whatever comes; it takes from it."""
        self._protocol.changed = lambda: read(self._protocol.received)
        self._protocol.changed()

    def close(self) -> None:
        """Cut it."""
        if not self._protocol.over:
            self._protocol.transport.abortConnection()

    def _silent(self, what: str) -> NoAnswer:
        return NoAnswer(self._hop, what, stage="application")


async def open_stream(
    reactor: Any, endpoint: IStreamClientEndpoint, hop: str
) -> Stream:
    """Connect. Raises HopError."""
    protocol = await endpoint.connect(Factory.forProtocol(_Collect))
    return Stream(reactor, protocol, hop)  # type: ignore[arg-type]


def describe_tls(transport: Any) -> dict[str, Any]:
    """Version, suite and who signed the certificate of a TLS connection."""
    handle = transport.getHandle()
    certificate = handle.get_peer_certificate(as_cryptography=True)
    return {
        "version": handle.get_protocol_version_name(),
        "suite": handle.get_cipher_name(),
        "issuer": certificate.issuer.rfc4514_string(),
        "subject": certificate.subject.rfc4514_string(),
        "expires": certificate.not_valid_after_utc.isoformat(),
        "spki_sha256": spki_sha256(certificate),
    }


def spki_sha256(certificate: x509.Certificate) -> str:
    """The hash of a certificate's public key, in hexadecimal."""
    spki = certificate.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(spki).hexdigest()


class _Unverified:
    """TLS that believes anybody: to see who is there after a refusal. Nothing
    is ever sent over it."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._context = CertificateOptions().getContext()
        self._context.set_verify(SSL.VERIFY_NONE, lambda *_: True)

    def clientConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        """For one connection."""
        connection = SSL.Connection(self._context, None)
        if not self._host.replace(".", "").isdecimal() and ":" not in self._host:
            connection.set_tlsext_host_name(self._host.encode("idna"))
        return connection


async def who_is_there(dialler: Dialler, host: str, port: int) -> dict[str, Any]:
    """The TLS of a server whose certificate was refused. Raises HopError."""
    from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
    from zope.interface import directlyProvides

    options: Any = _Unverified(host)
    directlyProvides(options, IOpenSSLClientConnectionCreator)
    endpoint = ProxiedEndpoint(
        dialler.reactor,
        host,
        port,
        tls=options,
        routes=dialler.routes,
        logins=dialler.logins,
        patience=dialler.patience,
        proxy_trust=dialler.proxy_trust,
    )
    stream = await open_stream(dialler.reactor, endpoint, f"server {host}:{port}")
    try:
        return describe_tls(stream.transport)
    finally:
        stream.close()


async def open_drcp(
    reactor: Any, url: str, endpoint: IStreamClientEndpoint, hop: str
) -> None:
    """A WebSocket with the subprotocol drcp.1, opened and closed. Raises HopError."""
    opened: Deferred[None] = Deferred()

    class Owner:
        """Told by the socket."""

        def socket_opened(self, socket: drcp_socket.ClientSocket) -> None:
            if not opened.called:
                opened.callback(None)
            socket.abort()

        def frame_received(self, socket: Any, frame: bytes) -> None:
            """Nothing is expected."""

        def socket_closed(self, socket: Any, code: int, reason: str) -> None:
            if not opened.called:
                what = f"no WebSocket ({code} {reason})".strip()
                opened.errback(NoAnswer(hop, what, stage="application"))

    await drcp_socket.connect(reactor, url, Owner(), endpoint=endpoint)
    await opened


async def open_xmpp(stream: Stream, domain: str) -> None:
    """A stream header (RFC 6120 section 4) and the server's features."""
    stream.send(
        b"<?xml version='1.0'?><stream:stream to='%b' version='1.0'"
        b" xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
        % domain.encode("idna")
    )
    await stream.until(lambda data: data if b"<stream:features" in data else None)


def refused(error: TurnRefusal, hop: str) -> HopError:
    """The relay's no for people."""
    return HopError(
        hop,
        f"the relay answers {error}",
        stage="application",
        advice="ask who runs the server; its relay may be full or misconfigured",
    )
