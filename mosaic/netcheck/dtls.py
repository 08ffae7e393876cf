# mypy: disable-error-code="no-untyped-call"
# (OpenSSL and Twisted have few annotations)
"""TURN over DTLS, the client's side (RFC 7350): one session, verified as TLS is."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from OpenSSL import SSL
from service_identity import VerificationError
from service_identity.pyopenssl import verify_hostname, verify_ip_address
from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.ssl import platformTrust

from mosaic.netcheck.talk import Talk
from mosaic.proxy.securing import words_for
from mosaic.wire.hops import HopError, NoAnswer, TlsRefused
from mosaic.wire.stun.address import Address

HANDSHAKE_S = 6.0
MTU_BYTES = 1200
MAX_RECORD_BYTES = 65536


class DtlsTalk(Talk, DatagramProtocol):
    """A session with one relay. Make it with `open_dtls`."""

    transport: Any

    def __init__(
        self, reactor: Any, server: Address, hop: str, name: str, trust: Any
    ) -> None:
        super().__init__(reactor, hop)
        self._name = name
        self._server = server
        self._timer: Any = None
        self._closed = False
        self._shaken: Deferred[None] = Deferred()
        self._connection = _connection(name, trust)
        self._port = reactor.listenUDP(0, self)

    def startProtocol(self) -> None:
        """One peer: strangers are not heard, and a closed port is told."""
        self.transport.connect(self._server.host, self._server.port)

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """A flight, or records."""
        self._connection.bio_write(datagram)
        if not self._shaken.called:
            self._step()
        if self._shaken.called:
            self._read()

    def connectionRefused(self) -> None:
        """Nobody listens there."""
        self._fail(NoAnswer(self.hop, "refused", stage="application"))

    def stopProtocol(self) -> None:
        """By us; or by the reactor, which takes a refusal (EPOLLERR) for the end."""
        self._closed = True
        self._stop_timer()
        self.connectionRefused()

    async def shake(self) -> None:
        """The handshake, and whose certificate it is. Raises HopError."""
        late = self.reactor.callLater(
            HANDSHAKE_S,
            lambda: self._fail(NoAnswer(self.hop, "no answer", stage="application")),
        )
        self._step()
        try:
            await self._shaken
        finally:
            if late.active():
                late.cancel()
            self._stop_timer()

    def send(self, message: bytes) -> None:
        """One record."""
        self._connection.send(message)
        self._flush()

    async def close(self) -> None:
        """Say so, and free the port."""
        from twisted.internet.defer import maybeDeferred

        self._stop_timer()
        try:
            self._connection.shutdown()
            self._flush()
        except SSL.Error:
            pass  # the handshake was never complete
        self._closed = True
        await maybeDeferred(self._port.stopListening)

    def _step(self) -> None:
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            self._flush()
            self._set_timer()
            return
        except SSL.Error as error:
            self._flush()
            self._fail(TlsRefused(self.hop, words_for(error)))
            return
        self._flush()
        try:
            _verify(self._connection, self._name)
        except VerificationError as error:
            self._fail(TlsRefused(self.hop, words_for(error)))
            return
        if not self._shaken.called:
            self._shaken.callback(None)

    def _read(self) -> None:
        while True:
            try:
                self.took(self._connection.recv(MAX_RECORD_BYTES))
            except SSL.Error:
                return

    def _flush(self) -> None:
        if self._closed:
            return
        try:
            flight = self._connection.bio_read(MAX_RECORD_BYTES)
        except SSL.WantReadError:
            return
        # Handshake records are far below the path's MTU here: one datagram.
        try:
            self.transport.write(flight)
        except OSError:
            return  # this machine's own firewall

    def _set_timer(self) -> None:
        self._stop_timer()
        if self._closed:  # a refusal may come while a flight is written
            return
        wait_s = self._connection.DTLSv1_get_timeout()
        if wait_s is not None:
            self._timer = self.reactor.callLater(wait_s, self._again)

    def _again(self) -> None:
        try:
            self._connection.DTLSv1_handle_timeout()
        except SSL.Error as error:
            self._fail(TlsRefused(self.hop, words_for(error)))
            return
        self._flush()
        self._set_timer()

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _fail(self, error: HopError) -> None:
        if not self._shaken.called:
            self._shaken.errback(error)


async def open_dtls(
    reactor: Any, server: Address, *, name: str, trust: Any, hop: str
) -> DtlsTalk:
    """A session that is verified for `name`. Raises HopError."""
    talk = DtlsTalk(reactor, server, hop, name, trust)
    try:
        await talk.shake()
    except BaseException:
        await talk.close()
        raise
    return talk


def _connection(name: str, trust: Any) -> Any:
    context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
    context.set_options(SSL.OP_NO_QUERY_MTU)
    context.set_verify(SSL.VERIFY_PEER)
    context.set_alpn_protos([b"stun.turn"])
    (trust or platformTrust())._addCACertsToContext(context)
    connection = SSL.Connection(context, None)
    if not _is_address(name):
        connection.set_tlsext_host_name(name.encode("idna"))
    connection.set_connect_state()
    connection.set_ciphertext_mtu(MTU_BYTES)
    return connection


def _verify(connection: Any, name: str) -> None:
    if _is_address(name):
        verify_ip_address(connection, name.strip("[]"))
    else:
        verify_hostname(connection, name)


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
