"""STUN and TURN for calls (XEP-0215): the same credentials as REST gives."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from mosaic.auth.interface import Door, TurnCredentials
from mosaic.services.xmpp.about import About
from mosaic.services.xmpp.exchange import Undeliverable
from mosaic.services.xmpp.extras.asked import Asked, Known, Registry
from mosaic.services.xmpp.extras.facts import stamp
from mosaic.wire.xmpp.xml import Node, Xml, element
from mosaic.workspace.model import Principal

NAMESPACES = ("urn:xmpp:extdisco:2", "urn:xmpp:extdisco:1")
_URL = re.compile(
    r"(?P<kind>stuns?|turns?):(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]?]+):(?P<port>\d+)"
    r"(?:\?transport=(?P<transport>udp|tcp))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A server as XEP-0215 names it. host: an IPv6 address without brackets."""

    kind: str
    host: str
    port: str
    transport: str

    @property
    def needs_credentials(self) -> bool:
        """Relaying does, asking for one's address does not."""
        return self.kind.startswith("turn")


def read_url(url: str) -> Service:
    """From an ICE server URL (RFC 7064, RFC 7065). Raises ValueError."""
    found = _URL.fullmatch(url)
    if found is None:
        raise ValueError(f"{url} is no URL of a STUN or TURN server")
    stream = found["kind"].endswith("s")
    return Service(
        kind=found["kind"],
        host=found["host"].strip("[]"),
        port=found["port"],
        transport=found["transport"] or ("tcp" if stream else "udp"),
    )


class ExternalServices:
    """Tells accounts of our STUN and TURN.

    host: the name at which clients reach us. wall: Unix seconds now.
    """

    def __init__(
        self, door: Door, known: Known, *, host: str, wall: Callable[[], float]
    ) -> None:
        self._door = door
        self._known = known
        self._host = host
        self._wall = wall

    def register(self, registry: Registry) -> None:
        """For both versions of the XEP that clients ask for."""
        for ns in NAMESPACES:
            registry.add("get", ns, "services", self._services, About.DOMAIN)
            registry.add("get", ns, "credentials", self._credentials, About.DOMAIN)

    async def _services(self, asked: Asked) -> str:
        """Section 3.1; with the attribute `type` only those."""
        kind = asked.payload.attributes.get("type")
        made = self._made(asked)
        told = [
            self._written(service, made)
            for service in map(read_url, made.urls)
            if kind in (None, service.kind)
        ]
        attributes = {"type": kind} if kind else None
        return element("services", attributes, *told, ns=asked.payload.ns)

    async def _credentials(self, asked: Asked) -> str:
        """Section 3.3: for the servers that are named."""
        wanted = asked.payload.child(asked.payload.ns, "service")
        if wanted is None:
            raise Undeliverable("bad-request")
        made = self._made(asked)
        told = [
            self._written(service, made)
            for service in map(read_url, made.urls)
            if service.needs_credentials and _fits(service, wanted)
        ]
        if not told:
            raise Undeliverable("item-not-found")
        return element("credentials", None, *told, ns=asked.payload.ns)

    def _made(self, asked: Asked) -> TurnCredentials:
        """Bound to the account: they end with it. Raises Undeliverable."""
        account = self._known.account(asked.asker)
        if account is None:
            raise Undeliverable("forbidden")
        who = Principal(
            name=account,
            account=account,
            admin=False,
            hub_id=None,
            role=None,
            participant_id="",
            expires_at=0.0,
        )
        return self._door.turn_credentials(who, self._host)

    def _written(self, service: Service, made: TurnCredentials) -> Xml:
        attributes: dict[str, str | None] = {
            "type": service.kind,
            "host": service.host,
            "port": service.port,
            "transport": service.transport,
        }
        if service.needs_credentials:
            attributes |= {
                "restricted": "true",
                "username": made.username,
                "password": made.credential,
                "expires": stamp(self._wall() + made.ttl),
            }
        return element("service", attributes)


def _fits(service: Service, wanted: Node) -> bool:
    """Host and type must be named; port and transport may be."""
    asked = wanted.attributes
    return (
        asked.get("host") == service.host
        and asked.get("type") == service.kind
        and asked.get("port", service.port) == service.port
        and asked.get("transport", service.transport) == service.transport
    )
