"""What a hub found when it checked its network: as the server keeps it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkVerdict:
    """One capability. outcome: ok, degraded, blocked or skipped. advice: one line."""

    capability: str
    outcome: str
    advice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkTrial:
    """One thing that was tried. stage: where it failed. ms: how long it took."""

    name: str
    outcome: str
    ms: float | None = None
    stage: str = ""
    detail: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubNetwork:
    """The latest check of one hub.

    at: Unix seconds. reason: why it was made (docs/protocols/hub.md). quick: without
    measurements. via: where the way out came from. took_s: how long it took.
    """

    at: float
    reason: str
    outcome: str
    quick: bool = False
    via: str = ""
    took_s: float = 0.0
    verdicts: tuple[NetworkVerdict, ...] = ()
    checks: tuple[NetworkTrial, ...] = ()

    @property
    def over(self) -> bool:
        """A hub that reaches its server again knows better."""
        blocked = (v.capability for v in self.verdicts if v.outcome == "blocked")
        return self.reason == "unreachable" or "signalling" in blocked
