"""Moments as XMPP writes them (XEP-0082)."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_STAMP = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)\Z", re.ASCII
)


def write_time(seconds: float) -> str:
    """A Unix time in UTC, to the microsecond."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read_time(text: str) -> float:
    """The Unix time of a DateTime. Raises ValueError."""
    if not _STAMP.match(text):
        raise ValueError(f"not a time: {text[:40]}")
    # fromisoformat takes 3 or 6 digits of a second
    head, dot, rest = text.partition(".")
    if dot:
        digits = re.match(r"\d+", rest)
        assert digits is not None  # the pattern has them
        text = f"{head}.{digits[0][:6]:0<6}{rest[digits.end() :]}"
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment.timestamp()
