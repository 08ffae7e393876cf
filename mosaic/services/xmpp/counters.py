"""What the XMPP service counts, for the metrics page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Plain integers that only grow, except the first two (levels)."""

    streams: int = 0
    sessions: int = 0
    logins: int = 0
    logins_refused: int = 0
    stanzas_in: int = 0
    stanzas_refused: int = 0
    streams_refused: int = 0
    slow_closed: int = 0
