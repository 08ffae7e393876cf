"""Versions of a document: what is kept, and which automatic ones are let go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
WEEK_S = 7 * DAY_S

VERSION_NAME_CHARS = 100


class NotRestored(Exception):
    """The document cannot be made what it was; nothing was changed."""


class Reason(StrEnum):
    """Why a version was kept."""

    AUTO = "auto"
    EMPTY = "empty"
    NAMED = "named"
    RESTORE = "restore"
    """The state that a restore was about to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Somebody who edited a document.

    id: the participant. client_ids: the Yjs clients that they wrote as, so
    that a page can tell whose an element or a range of text is; empty where
    it was not asked for.
    """

    id: str
    name: str
    account: str | None
    client_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A kept state of a document.

    id: grows with time, in the whole store. at: Unix seconds. label: its name,
    None for one that is kept for a time only. by: who asked for it, "" for
    nobody. authors: those who edited since the version before, at the time
    when this one was kept. size_bytes: of the state; kept_bytes: on disk.
    """

    id: int
    document: str
    at: float
    label: str | None
    by: str
    reason: Reason
    through_seq: int
    size_bytes: int
    kept_bytes: int
    authors: tuple[Author, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinning:
    """How long versions without a name live.

    Until all_s old: every one. Until daily_s: the last one of each day (UTC).
    After that: the last one of each week, until forget_s. room_bytes: what all
    versions of a room may take; the oldest without a name go first.
    """

    all_s: float = DAY_S
    daily_s: float = 30 * DAY_S
    forget_s: float = 365 * DAY_S
    room_bytes: int = 256 * 1024 * 1024


def condemned(
    versions: Iterable[Version], *, now: float, rule: Thinning
) -> frozenset[int]:
    """The ids of those versions of one room that need not be kept.

    The newest of each document and those with a name always stay.
    """
    ordered = sorted(versions, key=lambda one: one.id, reverse=True)
    gone: set[int] = set()
    newest: dict[str, int] = {}
    filled: set[tuple[str, str, int]] = set()
    for one in ordered:
        slot = _slot(one, now, rule)
        first = newest.setdefault(one.document, one.id) == one.id
        if one.label is None and not first and (slot is None or slot in filled):
            gone.add(one.id)
        if slot is not None and slot[1]:
            filled.add(slot)
    total = sum(one.kept_bytes for one in ordered if one.id not in gone)
    for one in reversed(ordered):
        if total <= rule.room_bytes:
            break
        if one.label is None and one.id not in gone and newest[one.document] != one.id:
            gone.add(one.id)
            total -= one.kept_bytes
    return frozenset(gone)


def _slot(one: Version, now: float, rule: Thinning) -> tuple[str, str, int] | None:
    """The place that one version may fill; None if it is too old for any."""
    age = now - one.at
    if age <= rule.all_s:
        return one.document, "", one.id
    if age <= rule.daily_s:
        return one.document, "day", int(one.at // DAY_S)
    if age <= rule.forget_s:
        return one.document, "week", int(one.at // WEEK_S)
    return None
