# mypy: disable-error-code="no-untyped-call"
# (twisted.web.iweb has no annotations)
"""Who is calling, and may they: bearer tokens, rate limits, roles."""

from __future__ import annotations

import hashlib
import re
from ipaddress import IPv6Address, ip_address

from twisted.web.iweb import IRequest

from mosaic.auth.backoff import address_key
from mosaic.auth.interface import Door, Forbidden, InvalidToken
from mosaic.services.rest.operations import Caller, Who
from mosaic.services.rest.problems import Refusal
from mosaic.services.rest.ratelimit import RateLimit
from mosaic.store.interface import NotFound
from mosaic.workspace.model import Principal, Role

BEARER = re.compile(rb"bearer +([A-Za-z0-9._~+/-]{1,512}=*)", re.IGNORECASE)
"""RFC 6750 section 2.1."""


def peer_address(request: IRequest) -> str:
    """The peer's IP address as text, v4-mapped unwrapped; "local" for a socket
    file. X-Forwarded-For is not believed: anybody can write one."""
    host = getattr(request.getClientAddress(), "host", None)
    if not host:
        return "local"
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return str(host)
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(address)


def bearer_token(request: IRequest) -> str | None:
    """The token of the Authorization header, None without such a header.

    Never a cookie, never the query. Raises InvalidToken for another scheme or
    more than one header.
    """
    headers = request.requestHeaders.getRawHeaders(b"Authorization") or []
    if not headers:
        return None
    match = BEARER.fullmatch(headers[0].strip())
    if len(headers) > 1 or match is None:
        raise InvalidToken("the Authorization header holds no bearer token")
    return match[1].decode("ascii")


class Gate:
    """Asks the door who a token is, and keeps each caller to its rate.

    Strangers are counted by address (IPv6: by /64), holders of good tokens
    each by their token: so a stranger cannot spend the requests of neighbours
    behind the same address once they are known.
    """

    def __init__(self, door: Door, limit: RateLimit) -> None:
        self._door = door
        self._limit = limit

    async def admit(
        self, request: IRequest, who: Who, *, hub_id: str | None = None
    ) -> Caller:
        """The caller, if the rule lets them in.

        Raises InvalidToken, Forbidden, NotFound or TryLater.
        """
        address = peer_address(request)
        if who is Who.ANYONE:
            self._limit.take(address_key(address))
            return Caller(address=address)
        try:
            token = bearer_token(request)
        except InvalidToken:
            self._limit.take(address_key(address))
            raise
        if token is None:
            self._limit.take(address_key(address))
            if who.needs_token:
                raise InvalidToken
            return Caller(address=address)
        if who.of_hub:
            return self._hub(token, who, hub_id, address)
        principal = await self._identify(token, address)
        role = await self._role(principal, who, hub_id)
        return Caller(address=address, token=token, principal=principal, role=role)

    def forgive(self, address: str) -> None:
        """A stranger has turned out to be none: the request costs nothing."""
        self._limit.give_back(address_key(address))

    def _hub(self, token: str, who: Who, hub_id: str | None, address: str) -> Caller:
        """A hub's agent or screen; each hub has one rate for all of its own."""
        try:
            hub = self._door.hubs.login.identify(token)
        except InvalidToken:
            self._limit.take(address_key(address))
            raise
        self._limit.take(("hub", hub.hub_id))
        if hub_id is not None and hub.hub_id != hub_id:
            raise Forbidden("this is the token of another hub")
        if who is Who.HUB and not hub.is_agent:
            raise Forbidden("this needs the hub's agent, not a screen")
        if who is Who.SCREEN and hub.is_agent:
            raise Forbidden("this needs a screen, not the hub's agent")
        return Caller(address=address, token=token, hub=hub)

    async def _identify(self, token: str, address: str) -> Principal:
        key = hashlib.sha256(token.encode()).digest()
        if key in self._limit:
            self._limit.take(key)
            return await self._door.principal(token)
        # Not seen yet: a guess costs the address, a good token costs itself.
        self._limit.take(address_key(address))
        principal = await self._door.principal(token)
        self._limit.give_back(address_key(address))
        self._limit.take(key)
        return principal

    async def _role(
        self, principal: Principal, who: Who, hub_id: str | None
    ) -> Role | None:
        if who is Who.TOKEN:
            return None
        if principal.waiting:
            raise Forbidden("you are still in the lobby")
        if who in {Who.SESSION, Who.ADMIN, Who.ANYONE_OR_SESSION}:
            if principal.hub_id is not None:
                raise Forbidden("this needs a session, not a room token")
            if who is Who.ADMIN and not principal.admin:
                raise Forbidden("this needs an administrator")
        if not who.in_room or hub_id is None:
            return None
        role = await self._door.role_in(principal, hub_id)
        if role is None and principal.admin:
            raise NotFound("there is no such room")
        if role is None:
            raise Forbidden("you are not in this room")
        if who is Who.HOST and role is not Role.HOST:
            raise Forbidden("this needs a host of the room")
        if who is Who.EDITOR and not role.may_edit:
            raise Forbidden("this needs an editor of the room")
        return role


def asked_host(request: IRequest) -> str:
    """The host name or address that the client used, without the port; an
    IPv6 address in brackets, as in a URL."""
    header = request.getHeader(b"host") or b""
    match = re.fullmatch(rb"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(:[0-9]*)?", header)
    if match is None:
        raise Refusal(400, "the Host header is missing or malformed")
    return str(match[1].decode("ascii"))
