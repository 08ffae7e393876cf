"""A web server over TLS in this process: what a tunnel leads to."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.ssl import (
    Certificate,
    PrivateCertificate,
    trustRootFromCertificates,
)
from twisted.web.resource import Resource
from twisted.web.server import Site

from tests.support.certificate import self_signed_pem


class _Hello(Resource):
    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        """The same for every path."""
        return b"hello"


class TlsTarget:
    """Listens at once. trust: for clients; it is made for the name localhost."""

    def __init__(self, reactor: Any) -> None:
        self.pem = self_signed_pem()
        pem = self.pem.encode()
        certificate = PrivateCertificate.loadPEM(pem)
        self.trust = trustRootFromCertificates([Certificate.loadPEM(pem)])
        self._port = reactor.listenSSL(
            0, Site(_Hello()), certificate.options(), interface="127.0.0.1"
        )
        self.port: int = self._port.getHost().port

    def stop(self) -> Any:
        """Listen no more."""
        return maybeDeferred(self._port.stopListening)
