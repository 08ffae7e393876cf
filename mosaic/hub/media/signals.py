"""What the two ends of a call tell each other, inside DRCP `signal`.

The same signals as the browsers' (web/src/session/call/signals.ts). A hub adds
`strong` to its descriptions: it can do with 256-bit ciphers alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

StreamKind = Literal["camera", "screen"]
KINDS: tuple[StreamKind, ...] = ("camera", "screen")


@dataclass(frozen=True, slots=True)
class Hello:
    """I am here (again)."""


@dataclass(frozen=True, slots=True)
class Renew:
    """My connection is new: make yours anew."""


@dataclass(frozen=True, slots=True)
class Description:
    """An offer or an answer. streams: the sender's stream ids and what they are."""

    type: Literal["offer", "answer"]
    sdp: str
    streams: dict[str, StreamKind] = field(default_factory=dict)
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """One ICE candidate, None at their end. line: without `a=`."""

    line: str | None
    mid: str | None = None
    index: int | None = None


Body = Hello | Renew | Description | Candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSignal:
    """One signal. instance names the sender's life (a restart makes another), to
    the receiver's, if it is known; generation counts the connections of this
    pair, and the higher number wins; relay: this generation goes through a relay
    on both sides."""

    instance: str
    to: str | None
    generation: int
    relay: bool
    body: Body


def write_signal(signal: CallSignal) -> dict[str, Any]:
    """As it stands in JSON."""
    return {
        "v": 1,
        "instance": signal.instance,
        "to": signal.to,
        "generation": signal.generation,
        "relay": signal.relay,
        "body": _write_body(signal.body),
    }


def _write_body(body: Body) -> dict[str, Any]:
    match body:
        case Hello():
            return {"kind": "hello"}
        case Renew():
            return {"kind": "renew"}
        case Description():
            return {
                "kind": "description",
                "description": {"type": body.type, "sdp": body.sdp},
                "streams": dict(body.streams),
                "strong": body.strong,
            }
        case Candidate():
            if body.line is None:
                return {"kind": "candidate", "candidate": None}
            return {
                "kind": "candidate",
                "candidate": {
                    "candidate": body.line,
                    "sdpMid": body.mid,
                    "sdpMLineIndex": body.index,
                },
            }


def read_signal(data: object) -> CallSignal | None:
    """None for anything else (another client's, a later version's)."""
    if not isinstance(data, dict) or data.get("v") != 1:
        return None
    instance, to, generation = data.get("instance"), data.get("to"), _whole(data)
    if not isinstance(instance, str) or not instance or generation is None:
        return None
    if to is not None and not isinstance(to, str):
        return None
    body = _read_body(data.get("body"))
    if body is None:
        return None
    return CallSignal(
        instance=instance,
        to=to,
        generation=generation,
        relay=data.get("relay") is True,
        body=body,
    )


def _whole(data: dict[str, Any]) -> int | None:
    """The generation: a whole number that JSON may have written as 1.0."""
    value = data.get("generation")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if abs(value) < 2**53 and value == int(value) else None


def _read_body(body: object) -> Body | None:
    if not isinstance(body, dict):
        return None
    match body.get("kind"):
        case "hello":
            return Hello()
        case "renew":
            return Renew()
        case "description":
            return _read_description(body)
        case "candidate":
            return _read_candidate(body.get("candidate"))
    return None


def _read_description(body: dict[str, Any]) -> Description | None:
    inner, streams = body.get("description"), body.get("streams")
    if not isinstance(inner, dict) or not isinstance(streams, dict):
        return None
    kind, sdp = inner.get("type"), inner.get("sdp")
    if kind not in ("offer", "answer") or not isinstance(sdp, str):
        return None
    kinds = {str(key): value for key, value in streams.items() if value in KINDS}
    return Description(kind, sdp, kinds, body.get("strong") is True)


def _read_candidate(candidate: object) -> Candidate | None:
    if candidate is None:
        return Candidate(None)
    if not isinstance(candidate, dict):
        return None
    line, mid = candidate.get("candidate"), candidate.get("sdpMid")
    index = candidate.get("sdpMLineIndex")
    if not isinstance(line, str):
        return None
    if not line:  # the browser's way to say that a generation's are all told
        return Candidate(None)
    return Candidate(
        line.removeprefix("a=").removeprefix("candidate:"),
        mid if isinstance(mid, str) else None,
        index if isinstance(index, int) and not isinstance(index, bool) else None,
    )
