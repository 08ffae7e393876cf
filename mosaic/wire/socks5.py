"""SOCKS5, the client's side (RFC 1928, RFC 1929): bytes in, bytes out.

Names are resolved by the proxy ("socks5h"): DNS may not work on this side.
"""

from __future__ import annotations

from enum import Enum
from ipaddress import ip_address

from mosaic.wire.hops import (
    Login,
    LoginRefused,
    LoginWanted,
    NoAnswer,
    NoProxyProtocol,
    TargetRefused,
)

_VERSION = 5
_NO_LOGIN, _USERNAME, _NOTHING = 0x00, 0x02, 0xFF
_CONNECT = 1
_IPV4, _NAME, _IPV6 = 1, 3, 4
_SIZES = {_IPV4: 4, _IPV6: 16}
_NAME_BYTES = 255

_RULES = "ask for a rule on the proxy that allows this host and port"
_BEHIND = "the proxy reached no further: ask who runs it"
REPLIES = {
    1: ("general failure", _BEHIND),
    2: ("not allowed by its rules", _RULES),
    3: ("network unreachable from there", _BEHIND),
    4: ("host unreachable from there", _BEHIND),
    5: ("connection refused there", _BEHIND),
    6: ("time to live expired", _BEHIND),
    7: ("it knows no CONNECT", _RULES),
    8: ("it knows no such kind of address", _RULES),
}
"""RFC 1928 section 6, and what to do."""


class _At(Enum):
    METHOD = "the choice of a login method"
    LOGIN = "the answer to the login"
    REPLY = "the answer to CONNECT"
    OPEN = "the tunnel"


class Socks5Client:
    """One CONNECT. `begin()`, then `receive()` until `is_open`.

    host: a name of at most 255 bytes, or an IP address. hop: how errors name
    the proxy. Raises ValueError for what does not fit into the protocol.
    """

    def __init__(
        self, host: str, port: int, *, hop: str, login: Login | None = None
    ) -> None:
        self._target = f"{host}:{port}"
        self._request = bytes((_VERSION, _CONNECT, 0)) + _address(host, port)
        self._hop = hop
        self._login = None if login is None else _login_message(login)
        self._buffer = bytearray()
        self._at = _At.METHOD
        self.login_scheme = ""

    @property
    def is_open(self) -> bool:
        """Whether what comes now is the target's."""
        return self._at is _At.OPEN

    def begin(self) -> bytes:
        """The greeting (section 3)."""
        methods = [_NO_LOGIN] if self._login is None else [_NO_LOGIN, _USERNAME]
        return bytes((_VERSION, len(methods), *methods))

    def receive(self, data: bytes) -> bytes:
        """Take bytes of the proxy and return what is to be sent.

        Raises HopError. Bytes after the reply stay for `leftover()`.
        """
        self._buffer += data
        out = bytearray()
        while (step := self._step()) is not None:
            out += step
        return bytes(out)

    def leftover(self) -> bytes:
        """What the target has said already, once the tunnel is open."""
        left, self._buffer = bytes(self._buffer), bytearray()
        return left

    def closed(self) -> NoAnswer:
        """The error for a proxy that hangs up before the tunnel is open."""
        return NoAnswer(self._hop, f"closed instead of {self._at.value}", stage="proxy")

    def _step(self) -> bytes | None:
        """One whole message of the proxy, if it is there."""
        if self._at is _At.METHOD and len(self._buffer) >= 2:
            return self._method(*self._take(2))
        if self._at is _At.LOGIN and len(self._buffer) >= 2:
            _, status = self._take(2)
            if status:
                raise LoginRefused(self._hop, "username and password")
            self._at = _At.REPLY
            return self._request
        if self._at is _At.REPLY:
            return self._reply()
        return None

    def _method(self, version: int, method: int) -> bytes:
        if version != _VERSION:
            raise NoProxyProtocol(self._hop, "does not speak SOCKS5")
        if method == _NO_LOGIN:
            self._at = _At.REPLY
            return self._request
        if method == _USERNAME and self._login is not None:
            self._at = _At.LOGIN
            self.login_scheme = "username and password"
            return self._login
        if method == _NOTHING and self._login is None:
            raise LoginWanted(self._hop, ["username and password"])
        if method == _NOTHING:
            raise NoProxyProtocol(self._hop, "takes none of our ways to log in")
        raise NoProxyProtocol(
            self._hop, f"chose a login that was not offered: {method}"
        )

    def _reply(self) -> bytes | None:
        have = self._buffer
        if len(have) < 5:
            # Some proxies cut a refusal short.
            if len(have) >= 2 and have[0] == _VERSION and have[1]:
                raise self._refusal(have[1])
            return None
        if have[0] != _VERSION:
            raise NoProxyProtocol(self._hop, "does not speak SOCKS5")
        if have[1]:
            raise self._refusal(have[1])
        size = _SIZES.get(have[3], 1 + have[4] if have[3] == _NAME else None)
        if size is None:
            raise NoProxyProtocol(self._hop, f"sent an address of kind {have[3]}")
        if len(have) < 4 + size + 2:
            return None
        self._take(4 + size + 2)
        self._at = _At.OPEN
        return b""

    def _refusal(self, code: int) -> TargetRefused:
        reason, advice = REPLIES.get(code, (f"reply {code}", _BEHIND))
        return TargetRefused(self._hop, self._target, reason, advice)

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken


def _address(host: str, port: int) -> bytes:
    """Section 5, with the port behind."""
    if not 0 < port < 65536:
        raise ValueError(f"port {port} is outside of 1 to 65535")
    tail = port.to_bytes(2, "big")
    try:
        packed = ip_address(host.strip("[]")).packed
    except ValueError:
        name = host.encode("idna") if not host.isascii() else host.encode()
        if not 0 < len(name) <= _NAME_BYTES:
            raise ValueError(f"{host!r} is no host name of 1 to 255 bytes") from None
        return bytes((_NAME, len(name))) + name + tail
    return bytes((_IPV4 if len(packed) == 4 else _IPV6,)) + packed + tail


def _login_message(login: Login) -> bytes:
    """RFC 1929 section 2."""
    parts = [login.username.encode(), login.password.encode()]
    if not all(0 < len(part) < 256 for part in parts):
        raise ValueError("user and password for SOCKS5 have 1 to 255 bytes each")
    return b"\x01" + b"".join(bytes((len(part),)) + part for part in parts)
