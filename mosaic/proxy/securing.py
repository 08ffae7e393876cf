# mypy: disable-error-code="no-untyped-call"
# (Twisted's protocols have few annotations)
"""TLS towards a hop, reported only when the handshake is done and verified.

Twisted's own wrapper reports a connection when TCP (or the tunnel) stands, and
a bad certificate later: a caller could not tell which hop it was.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IProtocolFactory,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from mosaic.wire.hops import HopError, TlsRefused

ANOTHER_NAME = "the certificate is for another name"


@implementer(IHandshakeListener)
class _Secured(Protocol):
    """Stands between TLS and the caller's protocol until the handshake is done."""

    transport: Any
    _inner: Any = None

    def __init__(self, factory: SecuredFactory, address: Any) -> None:
        self._factory = factory
        self._address = address

    def handshakeCompleted(self) -> None:
        """Verified: build what the caller wants."""
        try:
            inner = self._factory.wanted.buildProtocol(self._address)
        except Exception:
            self._factory.fail(Failure())
            self.transport.abortConnection()
            return
        if inner is None:
            self.transport.abortConnection()
            return
        self._inner = inner
        inner.makeConnection(self.transport)
        if (listener := IHandshakeListener(inner, None)) is not None:
            listener.handshakeCompleted()
        self._factory.succeed(inner)

    def dataReceived(self, data: bytes) -> None:
        """Records after the handshake."""
        if self._inner is not None:
            self._inner.dataReceived(data)

    def connectionLost(self, reason: Failure = Failure(Exception())) -> None:  # noqa: B008
        """Before the handshake it is the hop's failure."""
        if self._inner is not None:
            self._inner.connectionLost(reason)
        else:
            self._factory.fail(
                Failure(TlsRefused(self._factory.hop, words_for(reason.value)))
            )


class SecuredFactory(Factory):
    """Makes one connection's TLS. done: the caller's protocol, or a HopError."""

    noisy = False

    def __init__(self, wanted: IProtocolFactory, hop: str) -> None:
        self.wanted = wanted
        self.hop = hop
        self.done: Deferred[Any] = Deferred()

    def buildProtocol(self, address: Any) -> Protocol:
        """Between TLS and the caller."""
        return _Secured(self, address)

    def succeed(self, protocol: Any) -> None:
        """Tell the caller once."""
        if not self.done.called:
            self.done.callback(protocol)

    def fail(self, failure: Failure | HopError) -> None:
        """Tell the caller once."""
        if not self.done.called:
            self.done.errback(failure)


def secured(
    wanted: IProtocolFactory, tls: IOpenSSLClientConnectionCreator, hop: str, clock: Any
) -> tuple[IProtocolFactory, SecuredFactory]:
    """A factory that speaks TLS below `wanted`, and who knows how it went."""
    inner = SecuredFactory(wanted, hop)
    outer: Any = TLSMemoryBIOFactory(tls, True, inner, clock=clock)
    outer.noisy = False
    return outer, inner


def words_for(error: BaseException | None) -> str:
    """Why a handshake failed, for people."""
    if isinstance(error, VerificationError):
        return ANOTHER_NAME
    if isinstance(error, SSL.Error):
        queue = error.args[0] if error.args else ()
        reason = str(queue[-1][-1]) if queue else "no reason given"
        known = {
            "certificate verify failed": "the certificate is of an unknown authority "
            "or has expired",
            "wrong version number": "the other side does not speak TLS",
            "packet length too long": "the other side does not speak TLS",
        }
        return known.get(reason, reason)
    return "closed during the handshake"
