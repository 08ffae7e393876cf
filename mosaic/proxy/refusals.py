"""Remembers logins that a proxy has refused: saying them again locks accounts."""

from __future__ import annotations

from dataclasses import dataclass

from mosaic.proxy.routes import Proxy
from mosaic.wire.hops import Login, LoginRefused

WAITS_S = (60.0, 300.0, 600.0, 1200.0, 3600.0)
"""After the first refusal, the second …: four tries in half an hour, where domains
lock an account after five; the first wait is short, since a proxy's own directory may
just be away."""


@dataclass(slots=True)
class _Refused:
    login: Login
    error: LoginRefused
    times: int
    until: float


class Refusals:
    """By proxy. A login that is another object (read or typed anew) is another one,
    so that a person need not wait."""

    def __init__(self) -> None:
        self._refused: dict[tuple[str, int], _Refused] = {}

    def check(self, proxy: Proxy, login: Login, now: float) -> None:
        """Raises what the proxy said, if it is too early to ask again."""
        known = self._refused.get((proxy.host, proxy.port))
        if known is not None and known.login is login and now < known.until:
            raise known.error

    def add(self, proxy: Proxy, login: Login, error: LoginRefused, now: float) -> None:
        """The proxy has refused it."""
        key = proxy.host, proxy.port
        known = self._refused.get(key)
        times = known.times if known is not None and known.login is login else 0
        wait_s = WAITS_S[min(times, len(WAITS_S) - 1)]
        self._refused[key] = _Refused(login, error, times + 1, now + wait_s)

    def remove(self, proxy: Proxy) -> None:
        """It has let somebody pass."""
        self._refused.pop((proxy.host, proxy.port), None)
