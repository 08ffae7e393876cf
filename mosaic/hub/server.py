"""The server as the hub sees it: enrolment, tokens, feed, status, rooms
(docs/protocols/hub.md)."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct
from twisted.internet.defer import DeferredLock

from mosaic import __version__
from mosaic.hub.calls import CallRefused, Calls
from mosaic.hub.feed import Feed, read_feed
from mosaic.hub.keys import HubKey, new_nonce
from mosaic.hub.memory import Result
from mosaic.hub.participant import IceServer, RoomPass

_T = TypeVar("_T")

WAIT_S = 50
"""How long the server may hold a feed; it allows 55."""


class HubUnknown(Exception):
    """The server does not know this hub (any more)."""


class Enrolment(Struct, frozen=True, kw_only=True):
    """What the server made of us."""

    hub_id: str
    name: str = ""


class XmppLogin(Struct, frozen=True, kw_only=True):
    """Good for as long as the token that it came with."""

    jid: str
    password: str
    domain: str

    def __repr__(self) -> str:
        return f"XmppLogin({self.jid!r})"


class _Token(Struct, frozen=True, kw_only=True):
    token: str
    expires_in_s: float
    xmpp: XmppLogin | None = None


class _RoomToken(Struct, frozen=True, kw_only=True):
    room: str
    token: str
    role: str
    expires_at: float | None = None


class _Ticket(Struct, frozen=True, kw_only=True):
    ticket: str


class _Turn(Struct, frozen=True, kw_only=True):
    urls: list[str]
    username: str | None = None
    credential: str | None = None


class Server:
    """Calls as one hub. wall: Unix seconds; monotonic: seconds.

    Every call may raise HopError (not reached), CallRefused (another answer
    than the one asked for) and HubUnknown (removed).
    """

    def __init__(
        self,
        calls: Calls,
        url: str,
        key: HubKey,
        *,
        wall: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self.url = url
        self._calls = calls
        self._key = key
        self._wall = wall
        self._monotonic = monotonic
        self._ahead_s = 0.0
        self._token: _Token | None = None
        self._renew_at = 0.0
        self._asking = DeferredLock()

    def now(self) -> float:
        """Unix seconds on the server's clock, as far as it is known."""
        return self._wall() + self._ahead_s

    @property
    def drcp_url(self) -> str:
        """The door of meetings."""
        parts = urlsplit(self.url)
        scheme = "wss" if parts.scheme == "https" else "ws"
        return f"{scheme}://{parts.netloc}/drcp"

    def forget_token(self) -> None:
        """Ask for a new one next time."""
        self._token = None

    async def enrol(self, code: str, name: str | None) -> Enrolment:
        """Trade an activation code (hubcodes.parse_code) for a Hub ID."""
        body: dict[str, Any] = {
            "code": code,
            "public_key": self._key.public,
            "version": __version__,
            "platform": platform_name(),
            "proof": self._key.prove_enrolment(code),
        }
        if name:
            body["name"] = name
        self._token = None
        content = await self._calls.call("POST", "/hubs", body)
        return _read(content, Enrolment)

    async def xmpp_login(self, hub_id: str) -> XmppLogin | None:
        """Of the token that is used now."""
        await self._bearer(hub_id)
        return None if self._token is None else self._token.xmpp

    async def feed(self, hub_id: str, after: int | None) -> Feed:
        """The next feed; held by the server while nothing is new."""
        query = "" if after is None else f"?after={after}&wait={WAIT_S}"
        content = await self._as_hub(
            "GET", hub_id, f"/feed{query}", within_s=WAIT_S + 15
        )
        try:
            return read_feed(content)
        except ValueError as error:
            raise CallRefused(200, "", str(error)) from error

    async def report(self, hub_id: str, status: dict[str, Any]) -> None:
        """Say what we do."""
        await self._as_hub("PUT", hub_id, "/status", status)

    async def report_network(self, hub_id: str, found: dict[str, Any]) -> None:
        """What a check of the network found (netfound.as_reported)."""
        await self._as_hub("PUT", hub_id, "/network-check", found)

    async def answer(self, hub_id: str, command_id: str, result: Result) -> None:
        """Say how a command went."""
        body = {"ok": result.ok, "detail": result.detail[:300]}
        await self._as_hub("POST", hub_id, f"/commands/{command_id}/result", body)

    async def send_file(
        self, hub_id: str, command_id: str, content: bytes, media_type: str
    ) -> None:
        """What a command brought: image/png or text/plain, at most 5 MiB."""
        path = f"/commands/{command_id}/file"
        await self._as_hub("PUT", hub_id, path, raw=(content, media_type))

    async def ask_room(
        self, hub_id: str, room: str | None, pin: str | None = None
    ) -> None:
        """Ask for another `desired.room`. pin: needed for a room that is neither
        the hub's own nor in the calendar that it reported."""
        body: dict[str, Any] = {"room": room}
        if pin is not None:
            body["pin"] = pin
        await self._as_hub("PUT", hub_id, "/room", body)

    async def room_pass(self, hub_id: str, *, held: str | None = None) -> RoomPass:
        """For the room that is desired now. held: the token that one has for it,
        which lives on then, and whoever sits there by it."""
        body = {} if held is None else {"token": held}
        content = await self._as_hub("POST", hub_id, "/room-token", body)
        answer = _read(content, _RoomToken)
        return RoomPass(
            room=answer.room,
            token=answer.token,
            role=answer.role,
            url=self.drcp_url,
            expires_at=answer.expires_at,
        )

    async def ice_servers(self, room: RoomPass) -> tuple[IceServer, ...]:
        """STUN and TURN for somebody in the room."""
        content = await self._calls.call(
            "POST", "/turn-credentials", {}, token=room.token
        )
        answer = _read(content, _Turn)
        return (
            IceServer(
                urls=tuple(answer.urls),
                username=answer.username,
                credential=answer.credential,
            ),
        )

    async def screen_ticket(self, hub_id: str) -> str:
        """Lets one screen in, once, within a minute."""
        return _read(await self._as_hub("POST", hub_id, "/screens", {}), _Ticket).ticket

    # ------------------------------------------------------------------------
    async def _as_hub(
        self, method: str, hub_id: str, path: str, body: Any = None, **more: Any
    ) -> bytes:
        """A token may have ended before its time (a restart of the server):
        one more is asked for, once."""
        token = await self._bearer(hub_id)
        try:
            return await self._calls.call(
                method, f"/hubs/{hub_id}{path}", body, token=token, **more
            )
        except CallRefused as error:
            if error.status != 401 or error.kind:
                raise
        if self._token is not None and self._token.token == token:
            self.forget_token()
        token = await self._bearer(hub_id)
        return await self._calls.call(
            method, f"/hubs/{hub_id}{path}", body, token=token, **more
        )

    async def _bearer(self, hub_id: str) -> str:
        # One at a time: each new token ends the XMPP password of the one before.
        await self._asking.acquire()
        try:
            token = self._token
            if token is None or self._monotonic() >= self._renew_at:
                token = await self._new_token_by_their_clock(hub_id)
                self._token = token
                self._renew_at = self._monotonic() + token.expires_in_s * 2 / 3
            return token.token
        finally:
            self._asking.release()

    async def _new_token_by_their_clock(self, hub_id: str) -> _Token:
        """Where ours is wrong, by how much is remembered."""
        try:
            return await self._new_token(hub_id)
        except CallRefused as error:
            theirs = error.extra.get("server_time")
            if error.kind != "hub-clock" or not isinstance(theirs, int | float):
                raise
            self._ahead_s = float(theirs) - self._wall()
        return await self._new_token(hub_id)

    async def _new_token(self, hub_id: str) -> _Token:
        time, nonce = int(self.now()), new_nonce()
        body = {
            "time": time,
            "nonce": nonce,
            "signature": self._key.prove_token(hub_id, time, nonce),
        }
        try:
            content = await self._calls.call("POST", f"/hubs/{hub_id}/tokens", body)
        except CallRefused as error:
            if error.kind == "hub-unknown":
                raise HubUnknown("the server does not know this hub") from error
            raise
        return _read(content, _Token)


def platform_name() -> str:
    """Such as `Debian GNU/Linux 12 (bookworm)`."""
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return platform.platform(terse=True)


def _read(content: bytes, kind: type[_T]) -> _T:
    """Fields that are not known here are passed over. Raises CallRefused."""
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise CallRefused(200, "", f"its answer cannot be read: {error}") from error
