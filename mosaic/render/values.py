"""Values that anybody may have written, read so that nothing can be surprised."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from PIL import ImageColor

MAX_COORDINATE = 1e6
"""Scene units; a board of a thousand screens is well inside."""

_HEX = re.compile(r"#(?:[0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})")
_FUNCTION = re.compile(
    r"rgba?\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*(?:,\s*(\d*\.?\d+)\s*)?\)"
)
# XML 1.0 section 2.2: no other control characters, no surrogates, no nonchars.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Colour:
    """Red, green and blue from 0 to 255, alpha from 0 to 1."""

    red: int
    green: int
    blue: int
    alpha: float = 1.0

    @property
    def hex(self) -> str:
        """Without the alpha: "#1e1e1e"."""
        return f"#{self.red:02x}{self.green:02x}{self.blue:02x}"


INK = Colour(0x1E, 0x1E, 0x1E)
PAPER = Colour(0xFF, 0xFF, 0xFF)


def number(
    value: Any,
    default: float = 0.0,
    *,
    low: float = -MAX_COORDINATE,
    high: float = MAX_COORDINATE,
) -> float:
    """A finite number within the bounds, else the default."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return default
    try:
        found = float(value)
    except OverflowError:
        return default
    return min(max(found, low), high) if math.isfinite(found) else default


def text(value: Any, default: str = "", *, limit: int = 100_000) -> str:
    """Text that XML can hold, at most `limit` characters, else the default."""
    if not isinstance(value, str):
        return default
    return xml_text(value[:limit])


def xml_text(value: str) -> str:
    """The text with U+FFFD for each character that XML 1.0 forbids."""
    return _NOT_XML.sub("\ufffd", value)


def colour(value: Any, default: Colour | None = None) -> Colour | None:
    """A CSS colour: hexadecimal, rgb(), rgba() or a name.

    None for "transparent"; the default for whatever is none.
    """
    if not isinstance(value, str) or len(value) > 64:
        return default
    found = value.strip().lower()
    if found in {"transparent", "none"}:
        return None
    if match := _FUNCTION.fullmatch(found):
        red, green, blue = (min(int(part), 255) for part in match.groups()[:3])
        alpha = 1.0 if match[4] is None else min(float(match[4]), 1.0)
        return Colour(red, green, blue, alpha) if alpha > 0 else None
    if not _HEX.fullmatch(found) and found not in ImageColor.colormap:
        return default
    parts = ImageColor.getrgb(found)
    alpha = parts[3] / 255 if len(parts) == 4 else 1.0
    return Colour(parts[0], parts[1], parts[2], alpha) if alpha > 0 else None
