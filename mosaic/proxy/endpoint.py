# mypy: disable-error-code="no-untyped-call"
# (Twisted's protocols have few annotations)
"""One endpoint for everything that dials: direct, HTTP(S) proxy, SOCKS5; TLS inside."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionRefusedError,
    DNSLookupError,
    TimeoutError,
)
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.ssl import optionsForClientTLS
from zope.interface import implementer

from mosaic.proxy import kerberos
from mosaic.proxy.kerberos import KerberosScheme
from mosaic.proxy.logins import Logins
from mosaic.proxy.refusals import Refusals
from mosaic.proxy.routes import Proxy, Routes, direct_routes
from mosaic.proxy.securing import SecuredFactory, secured
from mosaic.proxy.spnego import MISSING, SpnegoScheme, is_installed
from mosaic.proxy.tickets import Tickets
from mosaic.proxy.tunnel import Core, TunnelFactory, http_core, socks_core
from mosaic.wire.connect import ConnectClient, authority
from mosaic.wire.hops import (
    HopError,
    Login,
    LoginRefused,
    NameUnknown,
    NoAnswer,
    TicketRefused,
    Unreachable,
)
from mosaic.wire.httpauth import Basic, Digest, Scheme
from mosaic.wire.socks5 import Socks5Client

MAX_DIALS = 4
"""Connections for one tunnel: a proxy may close after each challenge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long each step may take, absolute, in seconds."""

    connect_s: float = 10.0
    tunnel_s: float = 20.0
    tls_s: float = 15.0


@implementer(IStreamClientEndpoint)
class ProxiedEndpoint:
    """Connects to host and port by whatever way the routes say.

    tls: None for a plain connection, else it is verified inside the tunnel
    (optionsForClientTLS). scheme: what PAC scripts are told. proxy_trust: the
    CAs for https:// proxies, the platform's by default. tickets, refusals: shared with
    other endpoints, so that one asks the KDC at a time, and none says a password
    again that was just refused.

    connect() fails with HopError, which names the hop that refused; then, `used` is
    the proxy and `login_scheme` how we logged in there, "" without a login.
    """

    def __init__(
        self,
        reactor: Any,
        host: str,
        port: int,
        *,
        tls: IOpenSSLClientConnectionCreator | None = None,
        scheme: str = "https",
        routes: Routes | None = None,
        logins: Logins | None = None,
        patience: Patience | None = None,
        proxy_trust: Any = None,
        tickets: Tickets | None = None,
        refusals: Refusals | None = None,
    ) -> None:
        self._refusals = refusals or Refusals()
        self._tickets = tickets or Tickets()
        self._reactor = reactor
        self._host = host
        self._port = port
        self._tls = tls
        self._scheme = scheme
        self._routes = routes or direct_routes()
        self._logins = logins or Logins()
        self._patience = patience or Patience()
        self._proxy_trust = proxy_trust
        self._hop = f"server {authority(host, port)}"
        self.used: Proxy | None = None
        self.login_scheme = ""

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        """Try the ways in their order; the next one only where a proxy cannot
        be reached at all, since a refusal is meant."""
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> Any:
        ways = await self._routes.proxies_for(self._scheme, self._host, self._port)
        for proxy in ways:
            self.used = proxy
            try:
                if proxy.kind == "direct":
                    return await self._straight(factory)
                return await self._allowed(proxy, factory)
            except (NameUnknown, Unreachable) as error:
                # A direct way that fails is no proxy's death.
                if proxy.kind != "direct":
                    self._routes.failed(proxy)
                if proxy is ways[-1]:
                    raise error
        raise AssertionError("routes gave no way")

    async def _straight(self, factory: IProtocolFactory) -> Any:
        return await self._dial(self._host, self._port, self._hop, factory, self._tls)

    async def _allowed(self, proxy: Proxy, factory: IProtocolFactory) -> Any:
        """Through the proxy, unless it refused this login a short while ago."""
        login = self._logins.for_proxy(proxy)
        if login is not None:
            self._refusals.check(proxy, login, self._reactor.seconds())
        try:
            opened = await self._through(proxy, login, factory)
        except LoginRefused as error:
            # A ticket is no password: refusing it counts nowhere.
            if login is not None and not isinstance(error, TicketRefused):
                self._refusals.add(proxy, login, error, self._reactor.seconds())
            raise
        self._refusals.remove(proxy)
        return opened

    async def _through(
        self, proxy: Proxy, login: Login | None, factory: IProtocolFactory
    ) -> Any:
        core = self._core(proxy, login)
        to_proxy = None
        if proxy.kind == "https":
            to_proxy = optionsForClientTLS(proxy.host, trustRoot=self._proxy_trust)
        inner = None
        target = factory
        if self._tls is not None:
            target, inner = secured(factory, self._tls, self._hop, self._reactor)
        for _ in range(MAX_DIALS):
            tunnel = TunnelFactory(target, core, proxy.hop)
            await self._dial(proxy.host, proxy.port, proxy.hop, tunnel, to_proxy)
            deadline = NoAnswer(proxy.hop, "no answer in time", stage="proxy")
            opened = await self._in_time(
                tunnel.done, self._patience.tunnel_s, tunnel.abort, deadline
            )
            if opened is None:  # to be dialled again
                if isinstance(tunnel.unready, KerberosScheme):
                    await self._tickets.get(
                        tunnel.unready, self._reactor, self._patience.tunnel_s
                    )
                continue
            self.login_scheme = core.login_scheme
            return opened if inner is None else await self._handshake(inner, tunnel)
        raise NoAnswer(proxy.hop, "closes after each challenge", stage="proxy")

    def _core(self, proxy: Proxy, login: Login | None) -> Core:
        if proxy.kind == "socks5h":
            return socks_core(
                lambda: Socks5Client(self._host, self._port, hop=proxy.hop, login=login)
            )
        target = authority(self._host, self._port)
        schemes = schemes_for(login, proxy, target)
        return http_core(
            ConnectClient(
                target,
                hop=proxy.hop,
                schemes=schemes,
                missing=_missing(login),
                unasked=login is None and bool(schemes),
            )
        )

    async def _dial(
        self,
        host: str,
        port: int,
        hop: str,
        factory: IProtocolFactory,
        tls: IOpenSSLClientConnectionCreator | None,
    ) -> Any:
        """TCP, and TLS on it; what the factory built."""
        inner: SecuredFactory | None = None
        if tls is not None:
            factory, inner = secured(factory, tls, hop, self._reactor)
        endpoint = HostnameEndpoint(
            self._reactor, host, port, timeout=self._patience.connect_s
        )
        try:
            protocol = await endpoint.connect(factory)
        except Exception as error:
            raise _explained(error, hop, host, port) from error
        if inner is None:
            return protocol
        return await self._handshake(inner, protocol)

    async def _handshake(self, inner: SecuredFactory, below: Any) -> Any:
        late = NoAnswer(inner.hop, "no TLS handshake in time", stage="tls")

        def abort() -> None:
            getattr(below, "transport", below).abortConnection()

        return await self._in_time(inner.done, self._patience.tls_s, abort, late)

    async def _in_time(
        self, done: Deferred[Any], limit_s: float, abort: Any, error: HopError
    ) -> Any:
        def late() -> None:
            if not done.called:
                done.errback(error)
            abort()

        timer = self._reactor.callLater(limit_s, late)
        try:
            return await done
        except BaseException:
            abort()
            raise
        finally:
            if timer.active():
                timer.cancel()


def schemes_for(login: Login | None, proxy: Proxy, target: str) -> list[Scheme]:
    """The ways to log in, the one that tells least first; but Kerberos by a password
    behind NTLM, which asks no third party."""
    tickets: list[Scheme] = []
    if kerberos.is_installed():
        tickets.append(KerberosScheme(proxy.host, login, hop=proxy.hop))
    if login is None or login.keytab:
        return tickets
    schemes: list[Scheme] = []
    if is_installed():
        schemes.append(SpnegoScheme("NTLM", login, host=proxy.host))
        if "@" in login.username:  # a principal; the realm is a must
            schemes += tickets
        schemes.append(SpnegoScheme("Negotiate", login, host=proxy.host))
    schemes.append(
        Digest(login, method="CONNECT", uri=target, cnonce=lambda: token_urlsafe(18))
    )
    if ":" not in login.username:
        schemes.append(Basic(login))
    return schemes


def _missing(login: Login | None) -> dict[str, str]:
    """What an extra would bring, by scheme."""
    if login is None or login.keytab:
        return {} if kerberos.is_installed() else {"Negotiate": kerberos.MISSING}
    return {} if is_installed() else {"NTLM": MISSING, "Negotiate": MISSING}


def _explained(error: Exception, hop: str, host: str, port: int) -> Exception:
    """A failed dial as a HopError; other errors as they are."""
    if isinstance(error, DNSLookupError):
        return NameUnknown(hop, host)
    if isinstance(error, ConnectionRefusedError):
        return Unreachable(hop, "refused", host=host, port=port)
    if isinstance(error, TimeoutError):
        return Unreachable(hop, "timeout", host=host, port=port)
    if isinstance(error, ConnectError) and not isinstance(
        error, ConnectingCancelledError
    ):
        number = getattr(error.osError, "errno", error.osError)
        reset = number == errno.ECONNRESET
        outcome = "reset" if reset else "unreachable"
        return Unreachable(hop, outcome, host=host, port=port)
    return error
