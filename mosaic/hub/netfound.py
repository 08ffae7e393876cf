"""What a check of the network found: kept on the box, and as the server is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from mosaic.hub.memory import write_durably
from mosaic.netcheck.result import RANK, Check, Report, Verdict

FILE = "network.json"
MAX_FILE_BYTES = 1024 * 1024
MAX_TEXT = 300
MAX_NAME = 64
MAX_VERDICTS = 16
MAX_CHECKS = 64


class Found(Struct, frozen=True, kw_only=True):
    """One check. server: whom it was about. at: Unix seconds. reason: why it was made
    (docs/protocols/hub.md). quick: without measurements. told: the server has it."""

    server: str
    at: float
    reason: str
    quick: bool
    report: Report
    told: bool = False

    @property
    def bad(self) -> list[Verdict]:
        """What is not good, the worst first."""
        found = [v for v in self.report.verdicts if RANK[v.outcome]]
        return sorted(found, key=lambda verdict: -RANK[verdict.outcome])

    @property
    def over(self) -> bool:
        """A hub that reaches its server again knows better."""
        blocked = (v.capability for v in self.report.verdicts if v.outcome == "blocked")
        return self.reason == "unreachable" or "signalling" in blocked

    @property
    def limited(self) -> bool:
        """The server answered so many of this address that it did not answer us."""
        return any(check.data.get("limited") for check in self.report.checks)

    @property
    def words(self) -> str:
        """In one line: `degraded: UDP is blocked: …`."""
        bad = self.bad
        return f"{self.report.outcome}: {bad[0].advice}" if bad else self.report.outcome


def as_reported(found: Found, *, now: float) -> dict[str, Any]:
    """The body of PUT network-check, within its bounds. now: Unix seconds."""
    report = found.report
    return {
        "outcome": report.outcome,
        "reason": found.reason,
        "age_s": max(0.0, round(now - found.at, 1)),
        "quick": found.quick,
        "via": report.via[:MAX_TEXT],
        "took_s": report.took_s,
        "verdicts": [
            {
                "capability": each.capability[:40],
                "outcome": each.outcome,
                "advice": each.advice[:MAX_TEXT],
            }
            for each in report.verdicts[:MAX_VERDICTS]
        ],
        "checks": [_check(each) for each in report.checks[:MAX_CHECKS]],
    }


def _check(check: Check) -> dict[str, Any]:
    more: dict[str, Any] = {
        "ms": check.ms,
        "stage": check.stage[:40],
        "detail": check.detail[:MAX_TEXT],
        "advice": check.advice[:MAX_TEXT],
    }
    told = {name: value for name, value in more.items() if value not in (None, "")}
    return {"name": check.name[:MAX_NAME], "outcome": check.outcome, **told}


class FoundFile:
    """`network.json` in the state folder: the latest check, over restarts."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def load(self, server: str) -> Found | None:
        """The latest of this server; None for none, and for one that cannot be
        read: the next check writes another."""
        try:
            with self._path.open("rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
            found = msgspec.json.decode(content[:MAX_FILE_BYTES], type=Found)
        except (OSError, msgspec.DecodeError, RecursionError):
            return None
        return found if found.server == server else None

    def save(self, found: Found) -> None:
        """Raises OSError."""
        write_durably(self._path, msgspec.json.encode(found))
