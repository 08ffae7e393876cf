# mypy: disable-error-code="no-untyped-call"
# (Twisted's web client has few annotations)
"""An HTTP client that goes the same ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from treq.client import HTTPClient
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import optionsForClientTLS
from twisted.web.client import URI, Agent, HTTPConnectionPool
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from mosaic.proxy.endpoint import Patience, ProxiedEndpoint
from mosaic.proxy.logins import Logins
from mosaic.proxy.routes import Routes, direct_routes


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialler:
    """Makes endpoints that share routes, logins, trust and patience.

    trust: a trust root for servers; the platform's by default.
    """

    reactor: Any
    routes: Routes
    logins: Logins
    trust: Any = None
    proxy_trust: Any = None
    patience: Patience | None = None

    def endpoint(
        self,
        host: str,
        port: int,
        *,
        tls: bool,
        scheme: str = "https",
        alpn: bytes = b"",
    ) -> ProxiedEndpoint:
        """For one connection. alpn: the one protocol to offer, or none."""
        options = None
        if tls:
            options = optionsForClientTLS(
                host,
                trustRoot=self.trust,
                acceptableProtocols=[alpn] if alpn else None,
            )
        return ProxiedEndpoint(
            self.reactor,
            host,
            port,
            tls=options,
            scheme=scheme,
            routes=self.routes,
            logins=self.logins,
            patience=self.patience,
            proxy_trust=self.proxy_trust,
        )


def direct_dialler(reactor: Any, *, trust: Any = None) -> Dialler:
    """Straight on."""
    return Dialler(
        reactor=reactor, routes=direct_routes(), logins=Logins(), trust=trust
    )


@implementer(IAgentEndpointFactory)
class _Endpoints:
    """What Agent asks for each host."""

    def __init__(self, dialler: Dialler) -> None:
        self._dialler = dialler

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """An endpoint of ours; http:// goes through CONNECT too."""
        scheme = uri.scheme.decode()
        host = uri.host.decode().strip("[]")
        return self._dialler.endpoint(
            host, uri.port, tls=scheme == "https", scheme=scheme
        )


def http_client(dialler: Dialler, *, keep: bool = False) -> HTTPClient:
    """treq's client over the dialler. keep: connections are used again."""
    pool = HTTPConnectionPool(dialler.reactor, persistent=keep)
    agent = Agent.usingEndpointFactory(dialler.reactor, _Endpoints(dialler), pool=pool)
    return HTTPClient(agent)
