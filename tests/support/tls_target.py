"""A web server over TLS in this process: what a tunnel leads to."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.ssl import (
    Certificate,
    PrivateCertificate,
    trustRootFromCertificates,
)
from twisted.internet.task import deferLater
from twisted.protocols.policies import WrappingFactory
from twisted.web.resource import Resource
from twisted.web.server import Site

from tests.support.certificate import self_signed_pem


class _Hello(Resource):
    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        """The same for every path."""
        return b"hello"


class TlsTarget:
    """Listens at once. trust: for clients; it is made for the name localhost.
    root: what is served, "hello" by default."""

    def __init__(self, reactor: Any, root: Resource | None = None) -> None:
        self.pem = self_signed_pem()
        pem = self.pem.encode()
        certificate = PrivateCertificate.loadPEM(pem)
        self.trust = trustRootFromCertificates([Certificate.loadPEM(pem)])
        self._reactor = reactor
        self._open: Any = WrappingFactory(Site(root or _Hello()))
        self._port = reactor.listenSSL(
            0, self._open, certificate.options(), interface="127.0.0.1"
        )
        self.port: int = self._port.getHost().port

    def stop(self) -> Any:
        """Listen no more, and wait until the last connection has gone."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await maybeDeferred(self._port.stopListening)
        for protocol in list(self._open.protocols):
            protocol.transport.abortConnection()
        while self._open.protocols:
            await deferLater(self._reactor, 0.01)
