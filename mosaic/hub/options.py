"""What `mosaic hub run` was told, checked."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_SCREEN = re.compile(r"(-?\d{1,5}),(-?\d{1,5}),(\d{3,5})x(\d{3,5})")


class OptionError(ValueError):
    """An option that cannot be used; one line."""


@dataclass(frozen=True, slots=True)
class Screen:
    """One window: where it stands on the desktop and how large it is, in pixels;
    all zero for the whole of the only screen."""

    x: int = 0
    y: int = 0
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HubOptions:
    """server: `https://host[:port]`. code: normalised. local_port: 0 for any.
    send: a file or `test`, record: a folder; for a hub without a screen."""

    server: str
    state: Path
    code: str | None = None
    kiosk: bool = False
    screens: tuple[Screen, ...] = (Screen(),)
    chromium: str = "chromium"
    chromium_flags: tuple[str, ...] = ()
    proxy: str = "auto"
    proxy_login: Path | None = None
    ca: Path | None = None
    name: str | None = None
    local_port: int = 0
    calendar: str | None = None
    calendar_login: Path | None = None
    join_calendar: bool = False
    announce: bool = True
    send: str | None = None
    record: Path | None = None
    updates_root: Path | None = None
    allow_downgrade: bool = False


def parse_server(text: str) -> str:
    """`https://host[:port]`, from what a person wrote. Raises OptionError.

    http:// is taken for this machine alone: nothing of the hub's goes in the
    clear over a network.
    """
    text = text if "://" in text else f"https://{text}"
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError as error:
        raise OptionError(f"--server {text}: {error}") from None
    host = (parts.hostname or "").lower()
    local = host in ("localhost", "127.0.0.1", "::1")
    if parts.scheme not in ("https", "http") or not host:
        raise OptionError(f"--server {text} is no https://HOST[:PORT]")
    if parts.scheme == "http" and not local:
        raise OptionError(f"--server {text}: a hub speaks https to its server")
    if parts.path not in ("", "/") or parts.query or parts.username:
        raise OptionError(f"--server {text}: give https://HOST[:PORT] alone")
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + (f":{port}" if port else "")


def parse_screen(text: str) -> Screen:
    """`X,Y,WxH`, as `xrandr` has it in another order. Raises OptionError."""
    match = _SCREEN.fullmatch(text.strip())
    if match is None:
        raise OptionError(f"--screen {text} is no X,Y,WxH such as 1920,0,1920x1080")
    x, y, width, height = map(int, match.groups())
    return Screen(x, y, width, height)


def default_state() -> Path:
    """systemd's folder for us, else one in the home folder."""
    given = os.environ.get("STATE_DIRECTORY")
    if given:
        return Path(given.split(":")[0])
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "mosaic-hub"
