"""What a check found, and what it means for people (docs/netcheck.md)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from twisted.web.client import ResponseFailed

from mosaic.wire.hops import HopError

Outcome = Literal["ok", "degraded", "blocked", "skipped"]
RANK: dict[str, int] = {"skipped": 0, "ok": 0, "degraded": 1, "blocked": 2}
FORMAT = 1


class Check(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that was tried.

    stage: where it failed: dns, tcp, proxy, tls, application. ms: how long it
    took. detail: what happened. advice: one line of what to do. data: numbers.
    """

    name: str
    outcome: Outcome
    ms: float | None = None
    stage: str = ""
    detail: str = ""
    advice: str = ""
    data: dict[str, Any] = {}


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One capability in one word and one line of advice."""

    capability: str
    outcome: Outcome
    advice: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything. via: where the way out came from. format: of this document."""

    server: str
    via: str
    outcome: Outcome
    verdicts: tuple[Verdict, ...]
    checks: tuple[Check, ...]
    took_s: float
    format: int = FORMAT

    @property
    def exit_code(self) -> int:
        """0 good, 1 degraded, 2 blocked."""
        return RANK[self.outcome]


def failed(name: str, error: BaseException, ms: float | None = None) -> Check:
    """A check that ended in an error."""
    if isinstance(error, HopError):
        return Check(
            name=name,
            outcome="blocked",
            ms=ms,
            stage=error.stage,
            detail=str(error),
            advice=error.advice,
        )
    detail = str(error) or type(error).__name__
    if isinstance(error, ResponseFailed):
        detail = "the connection was cut before the answer was whole"
    return Check(
        name=name, outcome="blocked", ms=ms, stage="application", detail=detail
    )


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Blocked before degraded before ok; skipped alone stays skipped."""
    found = list(outcomes)
    if not found or all(each == "skipped" for each in found):
        return "skipped"
    top = max(found, key=RANK.__getitem__)
    return "ok" if top == "skipped" else top


def verdicts(checks: Iterable[Check]) -> tuple[Verdict, ...]:
    """What the checks mean for each capability."""
    by_name = {check.name: check for check in checks}
    found = [
        _signalling(by_name),
        _all_of(by_name, "presence", ("xmpp",), "XMPP clients can connect."),
        _media(by_name),
        _direct(by_name),
        _quality(by_name),
        _all_of(by_name, "updates", ("updates",), "Updates can be had."),
    ]
    if "nearest" in by_name:
        found.append(_region(by_name))
    return tuple(found)


def overall(found: Iterable[Verdict]) -> Outcome:
    """Blocked if nobody can meet; degraded if something is missing or poor."""
    by_name = {each.capability: each.outcome for each in found}
    if "blocked" in (by_name["signalling"], by_name["media"]):
        return "blocked"
    rest = worst(by_name.values())
    return "degraded" if rest == "blocked" else "ok" if rest == "skipped" else rest


def _all_of(
    by_name: dict[str, Check], capability: str, names: tuple[str, ...], good: str
) -> Verdict:
    mine = [by_name[name] for name in names if name in by_name]
    outcome = worst(check.outcome for check in mine)
    for check in mine:
        if check.outcome == outcome and outcome in ("degraded", "blocked"):
            advice = check.advice or check.detail
            return Verdict(capability=capability, outcome=outcome, advice=advice)
    if outcome == "skipped":
        why = next((check.detail for check in mine if check.detail), "not checked")
        return Verdict(capability=capability, outcome=outcome, advice=why)
    return Verdict(capability=capability, outcome="ok", advice=good)


def _signalling(by_name: dict[str, Check]) -> Verdict:
    names = ("tls", "rest", "drcp")
    found = _all_of(by_name, "signalling", names, "Meetings can be joined.")
    portal = by_name.get("tcp-80")
    if found.outcome == "blocked" and portal and portal.data.get("portal"):
        return msgspec.structs.replace(found, advice=portal.advice)
    return found


def _media(by_name: dict[str, Check]) -> Verdict:
    ways = {
        name.removeprefix("turn-"): check
        for name, check in by_name.items()
        if name.startswith("turn-")
    }
    good = [way for way, check in ways.items() if check.outcome == "ok"]
    if any(way.startswith(("udp", "dtls")) for way in good):
        return Verdict(
            capability="media", outcome="ok", advice="Video and voice can use UDP."
        )
    if good:
        first = "tls" if "tls" in good else good[0]
        shut = [
            name.removeprefix("udp-")
            for name, check in by_name.items()
            if name.startswith("udp-") and check.outcome == "blocked"
        ]
        ports = f"UDP port {' or '.join(shut)}" if shut else "UDP to the TURN port"
        return Verdict(
            capability="media",
            outcome="degraded",
            advice=f"UDP is blocked: video and voice use {first.upper()}. Ask for "
            f"{ports} of the server to be opened for better video.",
        )
    if not ways or all(check.outcome == "skipped" for check in ways.values()):
        return Verdict(capability="media", outcome="skipped", advice="not checked")
    last = ways.get("tls") or next(iter(ways.values()))
    return Verdict(
        capability="media",
        outcome="blocked",
        advice=last.advice or f"No relay can be reached: {last.detail}",
    )


def _direct(by_name: dict[str, Check]) -> Verdict:
    check = by_name.get("nat")
    if check is None or check.outcome == "skipped":
        why = "not checked" if check is None else check.detail
        return Verdict(capability="direct", outcome="skipped", advice=why)
    return Verdict(
        capability="direct", outcome=check.outcome, advice=check.advice or check.detail
    )


def _quality(by_name: dict[str, Check]) -> Verdict:
    """The first that is poor; else what was measured."""
    names = ("quality", "relay-speed", "bandwidth", "idle")
    mine = [by_name[name] for name in names if name in by_name]
    done = [check for check in mine if check.outcome != "skipped"]
    for check in done:
        if check.outcome != "ok":
            # Numbers that could not be had keep nobody from meeting.
            advice = check.advice or check.detail
            return Verdict(capability="quality", outcome="degraded", advice=advice)
    if not done:
        return Verdict(capability="quality", outcome="skipped", advice="not measured")
    return Verdict(capability="quality", outcome="ok", advice=done[0].detail)


def _region(by_name: dict[str, Check]) -> Verdict:
    nearest = by_name["nearest"]
    shut = [
        name.removeprefix("region-")
        for name, check in by_name.items()
        if name.startswith("region-") and check.outcome != "ok"
    ]
    if nearest.outcome != "ok":
        words = nearest.detail or "no region answers"
        return Verdict(capability="region", outcome="degraded", advice=words)
    words = f"The nearest relays are in {nearest.detail}."
    if shut:
        words += f" Out of reach: {', '.join(shut)}."
    return Verdict(capability="region", outcome="ok", advice=words)
