"""Challenges of HTTP and what answers them: Basic and Digest (RFC 9110 section 11,
RFC 7617, RFC 7616).

NTLM and Negotiate need a library and the clock; they stand in mosaic.proxy
behind the same `Scheme`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mosaic.wire.hops import HopError, Login, LoginRefused

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110 section 5.6.2
_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*(?=\s*(,|$))")
_NAME = re.compile(_TOKEN)
_PARAMETER = re.compile(rf'({_TOKEN})\s*=\s*(?:"((?:\\.|[^"\\])*)"|({_TOKEN}))')
_SEPARATORS = " \t,"

MAX_CHALLENGES = 16
"""More than any proxy offers; the rest is not read."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge. scheme: in lower case. token: its token68, or "".
    parameters: names in lower case, quotes taken off."""

    scheme: str
    token: str = ""
    parameters: dict[str, str] = field(default_factory=dict)


class Scheme(Protocol):
    """A way to log in, for one connection at most.

    name: as in the header, "Basic". bound: it authenticates the connection,
    so its legs may not change it. ready: whether it can respond at once; if not,
    it is prepared first, where waiting harms nobody.
    """

    @property
    def name(self) -> str:
        """See above."""

    @property
    def bound(self) -> bool:
        """See above."""

    @property
    def ready(self) -> bool:
        """See above."""

    def respond(self, challenge: Challenge) -> str | None:
        """The value of Proxy-Authorization; None if there is nothing more to
        say, because what was said has been refused."""

    def refused(self, hop: str) -> HopError:
        """What is said of that. hop: how errors name the proxy."""


def parse_challenges(values: Sequence[str]) -> list[Challenge]:
    """Every challenge of the header's fields, several to a field allowed.

    What is malformed ends the reading of its field; nothing is raised.
    """
    found: list[Challenge] = []
    for value in values:
        at = 0
        while len(found) < MAX_CHALLENGES:
            while at < len(value) and value[at] in _SEPARATORS:
                at += 1
            name = _NAME.match(value, at)
            if name is None:
                break
            challenge, at = _one(value, name)
            found.append(challenge)
    return found


def _one(value: str, name: re.Match[str]) -> tuple[Challenge, int]:
    scheme, at = name[0].lower(), name.end()
    start = at
    while at < len(value) and value[at] in " \t":
        at += 1
    if at > start and (token := _TOKEN68.match(value, at)):
        # `realm=` alone would be one too, but a scheme with nothing else has
        # no use for it; "Basic, NTLM" has none because of the comma.
        return Challenge(scheme, token[0]), token.end()
    parameters: dict[str, str] = {}
    while True:
        behind = at
        while behind < len(value) and value[behind] in _SEPARATORS:
            behind += 1
        pair = _PARAMETER.match(value, behind)
        if pair is None:
            return Challenge(scheme, "", parameters), at
        text = pair[3] if pair[2] is None else re.sub(r"\\(.)", r"\1", pair[2])
        parameters.setdefault(pair[1].lower(), text)
        at = pair.end()


class Basic:
    """User and password as they are, in base64 (RFC 7617)."""

    name = "Basic"
    bound = False
    ready = True

    def __init__(self, login: Login) -> None:
        if ":" in login.username:
            raise ValueError("a user name for Basic has no colon")
        self._pair = f"{login.username}:{login.password}".encode()
        self._said = False

    def respond(self, challenge: Challenge) -> str | None:
        """The pair, once."""
        if self._said:
            return None
        self._said = True
        return "Basic " + base64.b64encode(self._pair).decode()

    def refused(self, hop: str) -> HopError:
        """User or password are wrong."""
        return LoginRefused(hop, self.name)


_HASHES: dict[str, Callable[[bytes], str]] = {
    "sha-256": lambda data: hashlib.sha256(data).hexdigest(),
    "md5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
}


class Digest:
    """A hash of the password, a nonce and the request (RFC 7616).

    method, uri: of the request; for CONNECT the uri is the authority. cnonce:
    makes a fresh client nonce. Algorithms SHA-256 and MD5 and their -sess
    forms; qop "auth", or none at all as in RFC 2069.
    """

    name = "Digest"
    bound = False
    ready = True

    def __init__(
        self, login: Login, *, method: str, uri: str, cnonce: Callable[[], str]
    ) -> None:
        self._login = login
        self._method = method
        self._uri = uri
        self._cnonce = cnonce
        self._nonces: set[str] = set()

    @staticmethod
    def strength(challenge: Challenge) -> int:
        """2 for SHA-256, 1 for MD5, 0 for what cannot be answered."""
        asked = challenge.parameters
        names = list(_HASHES)
        algorithm = asked.get("algorithm", "MD5").lower().removesuffix("-sess")
        qops = [part.strip().lower() for part in asked.get("qop", "auth").split(",")]
        if algorithm not in names or "auth" not in qops or "nonce" not in asked:
            return 0
        return len(names) - names.index(algorithm)

    def respond(self, challenge: Challenge) -> str | None:
        """One answer for each nonce that is new because the old one is stale."""
        asked = challenge.parameters
        nonce = asked.get("nonce", "")
        stale = asked.get("stale", "").lower() == "true"
        fresh = nonce not in self._nonces and len(self._nonces) < 3
        if not self.strength(challenge) or not fresh or (self._nonces and not stale):
            return None
        self._nonces.add(nonce)
        return "Digest " + self._answer(asked, nonce)

    def refused(self, hop: str) -> HopError:
        """User or password are wrong."""
        return LoginRefused(hop, self.name)

    def _answer(self, asked: dict[str, str], nonce: str) -> str:
        algorithm = asked.get("algorithm", "MD5")
        make = _HASHES[algorithm.lower().removesuffix("-sess")]
        realm, cnonce, count = asked.get("realm", ""), self._cnonce(), "00000001"

        def joined(*parts: str) -> str:
            return make(":".join(parts).encode())

        username = self._login.username
        secret = joined(username, realm, self._login.password)
        if algorithm.lower().endswith("-sess"):
            secret = joined(secret, nonce, cnonce)
        request = joined(self._method, self._uri)
        hashes_user = asked.get("userhash", "").lower() == "true"
        if hashes_user:
            username = joined(username, realm)
        rows = [
            ("username", _quoted(username)),
            ("realm", _quoted(realm)),
            ("nonce", _quoted(nonce)),
            ("uri", _quoted(self._uri)),
        ]
        if "qop" in asked:
            response = joined(secret, nonce, count, cnonce, "auth", request)
            rows += [("cnonce", _quoted(cnonce)), ("nc", count), ("qop", "auth")]
        else:
            response = joined(secret, nonce, request)
            if algorithm.lower().endswith("-sess"):
                rows.append(("cnonce", _quoted(cnonce)))
        rows.append(("response", _quoted(response)))
        if "algorithm" in asked:
            rows.append(("algorithm", algorithm))
        if "opaque" in asked:
            rows.append(("opaque", _quoted(asked["opaque"])))
        if hashes_user:
            rows.append(("userhash", "true"))
        return ", ".join(f"{name}={value}" for name, value in rows)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
