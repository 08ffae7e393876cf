"""The command line of one kiosk window."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from mosaic.hub.options import Screen

FLAGS = (
    "--kiosk",
    "--no-first-run",
    "--no-default-browser-check",
    "--noerrdialogs",
    "--disable-infobars",
    "--disable-session-crashed-bubble",
    "--disable-component-update",
    "--disable-sync",
    "--disable-pinch",
    "--overscroll-history-navigation=0",
    "--password-store=basic",
    "--autoplay-policy=no-user-gesture-required",
    # The room's camera and microphone are what the box is for.
    "--auto-accept-camera-and-microphone-capture",
    # The server's page tells the agent, on 127.0.0.1, what it draws.
    "--disable-features=Translate,LocalNetworkAccessChecks,MediaRouter",
    "--remote-debugging-pipe",
)


def leash(which: Callable[[str], str | None] = shutil.which) -> list[str]:
    """What ends the browser when the agent is killed (util-linux's setpriv)."""
    path = which("setpriv")
    return [] if path is None else [path, "--pdeathsig", "KILL"]


def kiosk_command(
    chromium: str,
    *,
    profile: Path,
    url: str,
    screen: Screen,
    proxy_flags: Sequence[str],
    pins: Sequence[str] = (),
    more: Sequence[str] = (),
) -> list[str]:
    """pins: base64 SHA-256 of public keys whose certificates are believed though
    no authority that the browser knows has signed them."""
    words = [chromium, *FLAGS, f"--user-data-dir={profile}", *proxy_flags]
    if screen.width:
        words.append(f"--window-position={screen.x},{screen.y}")
        words.append(f"--window-size={screen.width},{screen.height}")
    if pins:
        words.append(f"--ignore-certificate-errors-spki-list={','.join(pins)}")
    return [*words, *more, f"--app={url}"]
