"""What the XMPP service counts, for the metrics page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Plain integers that only grow, except the first three (levels).

    detached: sessions whose connection is gone and that may be resumed.
    """

    streams: int = 0
    sessions: int = 0
    detached: int = 0
    logins: int = 0
    logins_refused: int = 0
    stanzas_in: int = 0
    stanzas_refused: int = 0
    streams_refused: int = 0
    slow_closed: int = 0
    dead_closed: int = 0
    resumed: int = 0
    undelivered: int = 0
    archived: int = 0
    held: int = 0
    commits_failed: int = 0
