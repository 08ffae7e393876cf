"""Open the ports: services with the same endpoint string share one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, cast

from twisted.internet.defer import DeferredList
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.logger import Logger

from mosaic.config.errors import ConfigError
from mosaic.config.settings import Endpoints
from mosaic.tls.endpoints import server_endpoint

_log = Logger()

SHARING = ("rest", "drcp", "xmpp", "turn_tls", "turn_tcp", "xmpp_starttls")
"""Services that may stand behind one endpoint string (with http and metrics)."""


class PortFactory(Protocol):
    """Makes the protocol factory of a port from the services behind it."""

    def __call__(self, services: frozenset[str]) -> IProtocolFactory:
        """services: names of keys in [endpoints]."""


def services_by_endpoint(endpoints: Endpoints) -> dict[str, frozenset[str]]:
    """Which services stand behind each endpoint string (datagrams apart)."""
    found: dict[str, set[str]] = {}
    for name in endpoints.__struct_fields__:
        if name not in ("turn_udp", "turn_dtls"):
            for text in getattr(endpoints, name):
                found.setdefault(text, set()).add(name)
    return {text: frozenset(names) for text, names in found.items()}


class Listeners:
    """All stream ports of the house.

    make_endpoint: an endpoint from its string. make_factory: what is served
    there.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        *,
        make_endpoint: Callable[[str], IStreamServerEndpoint],
        make_factory: PortFactory,
    ) -> None:
        self._plan = services_by_endpoint(endpoints)
        self._endpoints = endpoints
        self._make_endpoint = make_endpoint
        self._make_factory = make_factory
        self._ports: dict[str, IListeningPort] = {}

    async def start(self) -> None:
        """Listen everywhere. Raises ConfigError naming the first that fails."""
        for text, services in self._plan.items():
            try:
                endpoint = self._make_endpoint(text)
                factory = self._make_factory(services)
                port = await cast("Awaitable[Any]", endpoint.listen(factory))
            except CannotListenError as error:
                if _is_optional(text):
                    _log.debug("{endpoint} is not available here", endpoint=text)
                    continue
                raise ConfigError(self._key(text), _why(text, error)) from error
            except ValueError as error:
                raise ConfigError(self._key(text), str(error)) from error
            self._ports[text] = port

    async def stop(self) -> None:
        """Accept no more; connections that are open go on."""
        ports, self._ports = self._ports, {}
        await DeferredList(
            [_stopped(port) for port in ports.values()], consumeErrors=True
        )

    def port_of(self, name: str) -> int | None:
        """The number of the first port that a service listens on, or None."""
        for text in getattr(self._endpoints, name):
            if text in self._ports:
                number = getattr(self._ports[text].getHost(), "port", None)
                if number:
                    return int(number)
        return None

    def _key(self, text: str) -> str:
        return f"endpoints.{min(self._plan[text])}"


def make_endpoints(
    reactor: Any, *, default_context: Any, certificates: Any, transport: Any
) -> Callable[[str], IStreamServerEndpoint]:
    """How endpoint strings become endpoints in this house."""

    def make(text: str) -> IStreamServerEndpoint:
        return server_endpoint(
            reactor,
            text,
            default_context=default_context,
            certificates=certificates,
            transport=transport,
        )

    return make


def routes_for(
    services: frozenset[str], factories: Mapping[str, Callable[[], IProtocolFactory]]
) -> dict[str, IProtocolFactory]:
    """The routes of a shared port: "http", "xmpp" and "turn" as asked for."""
    wanted = {
        "http": {"rest", "drcp", "http", "metrics"},
        "xmpp": {"xmpp"},
        "turn": {"turn_tls", "turn_tcp"},
    }
    return {
        route: factories[route]() for route, names in wanted.items() if services & names
    }


def _stopped(port: IListeningPort) -> Any:
    from twisted.internet.defer import maybeDeferred

    return maybeDeferred(port.stopListening)


def _is_optional(text: str) -> bool:
    """IPv6 loopback beside IPv4 loopback: some machines have no IPv6."""
    return text.endswith(":interface=\\:\\:1")


def _why(text: str, error: CannotListenError) -> str:
    reason = getattr(error.socketError, "strerror", None) or str(error.socketError)
    return f"{text!r} cannot be opened: {reason}; stop what holds it or choose another"
