"""Which meeting an invitation means: a join link of our server, or a Hub ID. Pure."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

from mosaic.workspace.ids import parse_hub_id, parse_pin

MAX_TEXT = 20_000

_URL = re.compile(r"https?://[^\s<>\"'\\]{1,500}")
_NUMBER = re.compile(r"(?<![\d.+])(\d{3}[ \u00a0.-]?\d{3}[ \u00a0.-]?\d{3})(?!\d)")
_PIN = re.compile(r"(?i)\bPIN\W{0,4}(\d{3} ?\d{3})(?!\d)")


def meeting_in(text: str, server: str) -> tuple[str | None, str | None]:
    """Hub ID and PIN named by the text of an invitation; None where there is none.

    server: `https://host[:port]`; a link of another server is not ours, and its
    numbers are no Hub IDs here.
    """
    text = text[:MAX_TEXT]
    host = urlsplit(server).netloc.lower()
    for found in _URL.finditer(text):
        room, pin = _in_link(found[0], host)
        if room is not None:
            return room, pin or _pin(text)
    for number in _NUMBER.finditer(_URL.sub(" ", text)):
        try:
            return parse_hub_id(number[1]), _pin(text)
        except ValueError:
            continue
    return None, None


def _in_link(link: str, host: str) -> tuple[str | None, str | None]:
    try:
        parts = urlsplit(link)
    except ValueError:
        return None, None
    if parts.netloc.lower() != host:
        return None, None
    for word in re.findall(r"\d{9}(?!\d)", f"{parts.path} {parts.query}"):
        try:
            room = parse_hub_id(word)
        except ValueError:
            continue
        said = parse_qs(parts.fragment) or parse_qs(parts.query)
        pins = [*said.get("pin", []), parts.fragment]
        return room, next((pin for text in pins if (pin := _as_pin(text))), None)
    return None, None


def _pin(text: str) -> str | None:
    match = _PIN.search(text)
    return None if match is None else _as_pin(match[1])


def _as_pin(text: str) -> str | None:
    try:
        return parse_pin(text)
    except ValueError:
        return None
