# mypy: disable-error-code="no-untyped-call"
# (Twisted's web client has few annotations)
"""An HTTP client that goes the same ways."""

from __future__ import annotations

import asyncio
import socket
import ssl as tls_module
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import optionsForClientTLS
from twisted.web.client import URI, Agent, HTTPConnectionPool
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from mosaic.proxy.endpoint import Patience, ProxiedEndpoint
from mosaic.proxy.logins import Logins
from mosaic.proxy.refusals import Refusals
from mosaic.proxy.routes import Routes, direct_routes
from mosaic.proxy.sockets import (
    P,
    connected_socket,
    create_connection,
    open_connection,
)
from mosaic.proxy.tickets import Tickets


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
    tickets: Tickets = field(default_factory=Tickets)
    refusals: Refusals = field(default_factory=Refusals)

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
            tickets=self.tickets,
            refusals=self.refusals,
        )

    def socket(
        self, host: str, port: int, *, scheme: str = "https"
    ) -> Deferred[socket.socket]:
        """A connected, non-blocking socket to host and port by the same ways.

        For libraries that want a socket of their own and do TLS themselves: any
        reactor, and `loop.create_connection(…, sock=…)` on the asyncio one (there
        `await dialler.socket(…).asFuture(loop)`). Fails with HopError.
        """
        endpoint = self.endpoint(host, port, tls=False, scheme=scheme)
        return connected_socket(self.reactor, endpoint)

    async def stream(
        self,
        host: str,
        port: int,
        *,
        ssl: tls_module.SSLContext | None = None,
        server_hostname: str = "",
        scheme: str = "https",
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """asyncio.open_connection by the same ways, from a task on the asyncio
        reactor. ssl: inside the tunnel, for server_hostname (else host). Raises
        HopError, and OSError for what TLS says."""
        return await open_connection(
            self.socket(host, port, scheme=scheme),
            ssl=ssl,
            server_hostname=server_hostname or host,
        )

    async def connection(
        self,
        factory: Callable[[], P],
        host: str,
        port: int,
        *,
        ssl: tls_module.SSLContext | None = None,
        server_hostname: str = "",
        scheme: str = "https",
    ) -> tuple[asyncio.Transport, P]:
        """loop.create_connection by the same ways, as stream is open_connection."""
        return await create_connection(
            self.socket(host, port, scheme=scheme),
            factory,
            ssl=ssl,
            server_hostname=server_hostname or host,
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
