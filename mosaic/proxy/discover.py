"""From `--proxy` to routes: auto, direct, a proxy, or a PAC script."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

from mosaic.proxy.client import Dialler, http_client
from mosaic.proxy.logins import Logins
from mosaic.proxy.pac.routes import PacRoutes
from mosaic.proxy.routes import (
    FixedRoutes,
    ProxyTextError,
    Routes,
    direct_routes,
    parse_proxy,
)
from mosaic.proxy.system import gnome, macos
from mosaic.proxy.system.environment import from_environment
from mosaic.proxy.system.found import SystemProxies, SystemRoutes
from mosaic.proxy.trust import platform_and

COMMAND_S = 3.0
GRAMMAR = "auto, direct, http://host:port, socks5h://host:port or pac+https://…"


def routes_for(text: str, *, reactor: Any, logins: Logins, trust: Any = None) -> Routes:
    """The routes that a `--proxy` asks for. May run a short command.

    trust: for the server that a PAC script comes from, beside the platform's
    authorities. Raises ProxyTextError.
    """
    wanted = text.strip()
    if wanted == "direct":
        return direct_routes()
    if wanted == "auto":
        return _of_system(found_here(), reactor, logins, trust)
    if wanted.startswith("pac+"):
        return _script(wanted.removeprefix("pac+"), reactor, logins, trust)
    proxy = parse_proxy(wanted)
    if proxy.login is not None and proxy.login.password:
        raise ProxyTextError(
            "a password on the command line is for everybody to see; put it into a "
            "file of mode 0600 and name that with --proxy-login"
        )
    return FixedRoutes([proxy], clock=reactor.seconds, source="--proxy")


def found_here() -> SystemProxies:
    """The first source of this machine that says something."""
    for read in _sources():
        found = read()
        if found.says_something:
            return found
    return SystemProxies(source="no proxy set on this machine")


def _sources() -> Iterator[Callable[[], SystemProxies]]:
    yield lambda: from_environment(os.environ)
    if sys.platform == "win32":
        yield _windows
        return
    if sys.platform == "darwin":
        yield lambda: macos.from_scutil(_output(macos.COMMAND))
        return
    if os.environ.get("DBUS_SESSION_BUS_ADDRESS") or os.environ.get("DISPLAY"):
        yield lambda: gnome.from_gsettings(_output(gnome.COMMAND))


def _windows() -> SystemProxies:
    import ctypes
    import importlib

    from mosaic.proxy.system.windows import from_registry, from_winhttp

    found = from_registry(importlib.import_module("winreg"))
    return found if found.says_something else from_winhttp(ctypes)


def _output(command: tuple[str, ...]) -> str:
    """What a command prints; nothing if it is missing, fails or hangs."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            command, capture_output=True, text=True, timeout=COMMAND_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return ""
    return done.stdout


def _of_system(
    found: SystemProxies, reactor: Any, logins: Logins, trust: Any
) -> Routes:
    if found.pac_url:
        return _script(found.pac_url, reactor, logins, trust)
    return SystemRoutes(found, clock=reactor.seconds)


def _script(url: str, reactor: Any, logins: Logins, trust: Any) -> Routes:
    if not url.startswith(("http://", "https://", "file://")):
        raise ProxyTextError(f"a PAC script has an http, https or file URL; {GRAMMAR}")
    # Its server is the network's, not Mosaic's: `trust` is too little.
    straight = Dialler(
        reactor=reactor,
        routes=direct_routes(),
        logins=Logins(),
        trust=platform_and(trust),
    )
    return PacRoutes(reactor, url, http=http_client(straight), logins=logins)
