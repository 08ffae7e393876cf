"""HTTP CONNECT, the client's side (RFC 9110 section 9.3.6), over h11.

One `ConnectClient` lives through several requests and, where the proxy closes
after its challenge, through several connections: the challenge is remembered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import h11

from mosaic.wire.hops import (
    HopError,
    LoginWanted,
    NoAnswer,
    NoProxyProtocol,
    SchemeUnknown,
    TargetRefused,
    TicketFailed,
)
from mosaic.wire.httpauth import Challenge, Digest, Scheme, parse_challenges

MAX_HEAD_BYTES = 16384
MAX_BODY_BYTES = 65536
"""Of the page that comes with a challenge; a longer one ends the connection."""
MAX_ROUNDS = 6
"""Requests for one tunnel: NTLM takes three, a stale nonce one more."""

_ADVICE = {
    403: "ask for a rule on the proxy that allows CONNECT to this host and port",
    405: "ask for a rule on the proxy that allows CONNECT to this port",
    502: "the proxy reached no further: check the target, or ask who runs the proxy",
    503: "the proxy reached no further: check the target, or ask who runs the proxy",
    504: "the proxy reached no further: check the target, or ask who runs the proxy",
}


@dataclass(frozen=True, slots=True)
class Send:
    """Bytes for the proxy."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """The tunnel stands. leftover: what the target has said already."""

    leftover: bytes


@dataclass(frozen=True, slots=True)
class Redial:
    """The proxy ends this connection: make a new one and `begin()` there."""


@dataclass(frozen=True, slots=True)
class Prepare:
    """As Redial, but first the scheme must be made ready, which takes time."""

    scheme: Scheme


Event = Send | Opened | Redial | Prepare


def authority(host: str, port: int) -> str:
    """The target as CONNECT names it; an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host and host[0] != "[" else f"{host}:{port}"


class ConnectClient:
    """Opens one tunnel. Every call gives events or raises HopError.

    target: see authority(). hop: how errors name the proxy. schemes: the ways
    to log in, the one to prefer first; empty without a login. missing: words
    for a person where a proxy offers only schemes that an extra would bring.
    unasked: the only scheme is one that needs no login of ours (Kerberos).
    """

    def __init__(
        self,
        target: str,
        *,
        hop: str,
        schemes: Sequence[Scheme] = (),
        missing: dict[str, str] | None = None,
        unasked: bool = False,
    ) -> None:
        self._unasked = unasked
        self._target = target
        self._hop = hop
        self._schemes = list(schemes)
        self._missing = missing or {}
        self._scheme: Scheme | None = None
        self._authorization: str | None = None
        self._rounds = 0
        self._legs = 0
        self._start()

    def _start(self) -> None:
        self._http = h11.Connection(
            h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES
        )
        self._response: h11.Response | None = None
        self._body = 0
        self._over = False
        self._heard = False

    @property
    def login_scheme(self) -> str:
        """By which scheme we logged in; "" without a login."""
        return "" if self._scheme is None else self._scheme.name

    def begin(self) -> list[Event]:
        """The first bytes of a connection."""
        self._start()
        return [self._request()]

    def receive(self, data: bytes) -> list[Event]:
        """Take what the proxy sent; b"" is its end of the connection."""
        if self._over:
            return []
        self._heard = self._heard or bool(data)
        try:
            self._http.receive_data(data)
            return list(self._events(ended=not data))
        except h11.RemoteProtocolError as error:
            raise self._no_http(str(error)) from error

    def _events(self, *, ended: bool) -> Iterable[Event]:
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED:
                if event is h11.PAUSED and self._response is not None:
                    left, _ = self._http.trailing_data
                    self._over = True
                    yield Opened(left)
                return
            if isinstance(event, h11.ConnectionClosed):
                if not self._over:
                    raise self._closed()
                return
            if isinstance(event, h11.Response):
                self._response = event
                if 200 <= event.status_code < 300:
                    continue
                if event.status_code != 407:
                    raise self._refused(event)
            elif isinstance(event, h11.Data):
                self._body += len(event.data)
                if self._body > MAX_BODY_BYTES:
                    yield from self._challenged(reusable=False)
                    return
            elif isinstance(event, h11.EndOfMessage):
                if self._response is None or 200 <= self._response.status_code < 300:
                    continue
                yield from self._challenged(reusable=not ended)
                return

    def _challenged(self, *, reusable: bool) -> Iterable[Event]:
        """Answer a 407, here or on a new connection."""
        assert self._response is not None
        values = [
            value.decode("latin-1")
            for name, value in self._response.headers
            if name == b"proxy-authenticate"
        ]
        later = self._answer(parse_challenges(values))
        if later is not None:
            self._over = True
            yield Prepare(later)
            return
        if reusable and self._http.our_state is h11.DONE:
            keeps = self._http.their_state is h11.DONE
        else:
            keeps = False
        if keeps:
            self._http.start_next_cycle()
            self._response, self._body = None, 0
            yield self._request()
            return
        self._over = True
        if self._scheme is not None and self._scheme.bound and self._legs > 1:
            # A middle leg: the connection carries the login, and it is gone.
            raise NoAnswer(
                self._hop,
                f"closed in the middle of the {self._scheme.name} login",
                stage="proxy",
            )
        yield Redial()

    def _answer(self, challenges: list[Challenge]) -> Scheme | None:
        """Find what to say; or the scheme that is to be prepared for it."""
        offered = _names(challenges)
        if not self._schemes:
            words = self._missing.get("Negotiate", "") if "Negotiate" in offered else ""
            raise LoginWanted(self._hop, offered, missing=words)
        if self._scheme is not None:
            said = self._respond(self._scheme, challenges)
            if said is None:
                raise self._scheme.refused(self._hop)
            self._authorization = said
            self._legs += 1
            return None
        for scheme in self._schemes:
            if not scheme.ready:
                if scheme.name in offered:
                    return scheme
                continue
            said = self._respond(scheme, challenges)
            if said is not None:
                self._scheme, self._authorization = scheme, said
                self._legs = 1
                return None
        if self._unasked:
            raise LoginWanted(self._hop, offered, self._ticket())
        words = next(filter(None, map(self._missing.get, offered)), "")
        raise SchemeUnknown(self._hop, offered, words)

    def _ticket(self) -> TicketFailed | None:
        tried = (getattr(scheme, "failure", None) for scheme in self._schemes)
        return next((each for each in tried if isinstance(each, TicketFailed)), None)

    @staticmethod
    def _respond(scheme: Scheme, challenges: list[Challenge]) -> str | None:
        mine = [each for each in challenges if each.scheme == scheme.name.lower()]
        if isinstance(scheme, Digest):
            mine.sort(key=Digest.strength, reverse=True)
        return scheme.respond(mine[0]) if mine else None

    def _request(self) -> Send:
        self._rounds += 1
        if self._rounds > MAX_ROUNDS:
            raise NoProxyProtocol(self._hop, "asks for a login again and again")
        headers = [("Host", self._target), ("User-Agent", "mosaic")]
        if self._authorization is not None:
            headers.append(("Proxy-Authorization", self._authorization))
        request = h11.Request(method="CONNECT", target=self._target, headers=headers)
        first = self._http.send(request) or b""
        return Send(first + (self._http.send(h11.EndOfMessage()) or b""))

    def _refused(self, response: h11.Response) -> HopError:
        self._over = True
        status = response.status_code
        if status == 401:  # tinyproxy's word for a wrong password
            if self._scheme is not None:
                return self._scheme.refused(self._hop)
            return LoginWanted(self._hop)
        reason = bytes(response.reason).decode("latin-1", "replace")[:80]
        return TargetRefused(
            self._hop,
            self._target,
            f"{status} {reason}".strip(),
            _ADVICE.get(status, "ask who runs the proxy"),
        )

    def _closed(self) -> HopError:
        self._over = True
        return NoAnswer(self._hop, "closed without an answer", stage="proxy")

    def _no_http(self, why: str) -> HopError:
        self._over = True
        if not self._heard:
            return self._closed()
        return NoProxyProtocol(
            self._hop, f"does not speak HTTP as a proxy does ({why})"
        )


def _names(challenges: Iterable[Challenge]) -> list[str]:
    """The offered schemes for people, each once."""
    known = {"ntlm": "NTLM"}
    names = (known.get(each.scheme, each.scheme.capitalize()) for each in challenges)
    return list(dict.fromkeys(names))
