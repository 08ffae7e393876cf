"""What the XMPP service knows of the house around it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from twisted.internet.interfaces import IStreamClientEndpoint, IStreamServerEndpoint


def _nowhere() -> str:
    return "https://localhost"


def _no_endpoint(text: str) -> NoReturn:
    raise ValueError(f"nobody said how to make {text}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """wall: Unix seconds now. public_host: the name by which clients reach us.
    web: where the web side is, without a slash at the end; asked when needed,
    because ports are known late. max_upload_bytes: what it takes. listen,
    connect: endpoints from their strings.
    """

    wall: Callable[[], float] = time.time
    public_host: str = "localhost"
    web: Callable[[], str] = _nowhere
    max_upload_bytes: int = 52428800
    listen: Callable[[str], IStreamServerEndpoint] = _no_endpoint
    connect: Callable[[str], IStreamClientEndpoint] = _no_endpoint
