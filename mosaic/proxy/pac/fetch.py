# mypy: disable-error-code="no-untyped-call"
"""Downloads a PAC script, with and without a login, directly and bounded."""

from __future__ import annotations

from pathlib import Path
from secrets import token_urlsafe
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.web.client import ResponseFailed

from mosaic.proxy.logins import Logins
from mosaic.proxy.pac.evaluate import PacFailed
from mosaic.proxy.routes import Proxy
from mosaic.wire.hops import HopError, Login, LoginRefused, LoginWanted
from mosaic.wire.httpauth import Basic, Digest, Scheme, parse_challenges

MAX_SCRIPT_BYTES = 1024 * 1024
REDIRECTS = 5
TIMEOUT_S = 15


async def fetch_script(url: str, *, http: HTTPClient, logins: Logins) -> str:
    """The script's text from http, https or file.

    The login of the file's line for the script's host is used when the server
    asks for one (Basic or Digest). Raises HopError.
    """
    for _ in range(REDIRECTS):
        hop = f"proxy script {_shown(url)}"
        parts = urlsplit(url)
        if parts.scheme == "file":
            return _from_file(unquote(parts.path), hop)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise PacFailed(hop, "is no http, https or file URL")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        login = logins.for_proxy(Proxy("http", parts.hostname, port))
        if login is None and parts.username:
            login = Login(unquote(parts.username), unquote(parts.password or ""))
        answer = await _asked(_shown(url), hop, http, login)
        if answer.code in (301, 302, 303, 307, 308):
            places = answer.headers.getRawHeaders("Location") or [""]
            url = urljoin(_shown(url), places[0])
            continue
        if answer.code != 200:
            raise PacFailed(hop, f"cannot be had: the server answers {answer.code}")
        return await _body(answer, hop)
    raise PacFailed(hop, "is redirected again and again")


async def _asked(url: str, hop: str, http: HTTPClient, login: Login | None) -> Any:
    answer = await _get(url, hop, http, {})
    if answer.code != 401:
        return answer
    await _body(answer, hop)
    values = answer.headers.getRawHeaders("WWW-Authenticate") or []
    challenges = parse_challenges(values)
    if login is None:
        raise LoginWanted(hop, [each.scheme.capitalize() for each in challenges])
    parts = urlsplit(url)
    uri = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    schemes: list[Scheme] = [
        Digest(login, method="GET", uri=uri, cnonce=lambda: token_urlsafe(18)),
        Basic(login),
    ]
    for scheme in schemes:
        mine = [each for each in challenges if each.scheme == scheme.name.lower()]
        said = scheme.respond(mine[0]) if mine else None
        if said is not None:
            answer = await _get(url, hop, http, {"Authorization": said})
            if answer.code == 401:
                raise LoginRefused(hop, scheme.name)
            return answer
    raise PacFailed(hop, "wants a login other than Basic or Digest")


async def _get(
    url: str, hop: str, http: HTTPClient, headers: dict[bytes | str, bytes | str]
) -> Any:
    try:
        return await http.get(
            url, headers=headers, allow_redirects=False, timeout=TIMEOUT_S
        )
    except HopError as error:
        raise PacFailed(hop, f"cannot be had: {error}", error.advice) from error
    except ResponseFailed as error:
        raise PacFailed(hop, "cannot be had: the server hung up") from error


async def _body(answer: Any, hop: str) -> str:
    """At most MAX_SCRIPT_BYTES, whatever the server says of its length."""
    collected = bytearray()

    def add(data: bytes) -> None:
        collected.extend(data)
        if len(collected) > MAX_SCRIPT_BYTES:
            raise PacFailed(hop, f"is larger than {MAX_SCRIPT_BYTES} bytes")

    import treq

    done: Deferred[Any] = treq.collect(answer, add)
    await done
    text = bytes(collected)
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _from_file(name: str, hop: str) -> str:
    try:
        with Path(name).open("rb") as file:
            data = file.read(MAX_SCRIPT_BYTES + 1)
    except OSError as error:
        raise PacFailed(hop, f"cannot be read: {error.strerror}") from error
    if len(data) > MAX_SCRIPT_BYTES:
        raise PacFailed(hop, f"is larger than {MAX_SCRIPT_BYTES} bytes")
    return data.decode("utf-8", "replace")


def _shown(url: str) -> str:
    """The URL without user and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
