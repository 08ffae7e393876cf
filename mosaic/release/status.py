"""What stands where: for people who look after a feed."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from mosaic.release.channel import Channel
from mosaic.release.errors import ReleaseRefused
from mosaic.release.feed import Feed
from mosaic.release.roles import ROOT, TARGETS, Document, latest_in, read_document
from mosaic.release.workshop import Workshop


def standing_rows(
    workshop: Workshop, feed: Feed, *, channel: str | None = None
) -> list[dict[str, Any]]:
    """A row for each document: role, where, version, ends, signatures, keys,
    releases. where: waiting, signed or published."""
    rows: list[dict[str, Any]] = []
    channels = workshop.channels()
    wanted = [channel] if channel else [ROOT, TARGETS, *channels]
    published = feed.standing().documents() if feed.begun else {}
    for role in wanted:
        document = workshop.newest(role)
        if document is None:
            if role in published:
                rows.append(_row(role, "published", published[role]))
                continue
            raise ReleaseRefused(f"there is no {role}")
        row = _row(role, "signed", document)
        if waiting := [one for one in workshop.waiting() if one.role == role]:
            row["where"] = "waiting"
            row["signatures"] = f"{waiting[0].have} of {waiting[0].want}"
        elif role in published and (
            published[role].signed.version == document.signed.version
        ):
            row["where"] = "published"
        row["keys"] = _keys(workshop, role)
        if role in channels:
            row["releases"] = Channel(workshop, role).versions()
        rows.append(row)
    timestamp = feed.metadata / "timestamp.json"
    if timestamp.exists() and not channel:
        rows.append(_row("timestamp", "published", read_document(timestamp)))
    return rows


def _row(role: str, where: str, document: Document) -> dict[str, Any]:
    ends = document.signed.expires.replace(tzinfo=UTC)
    return {
        "role": role,
        "where": where,
        "version": document.signed.version,
        "ends": f"{ends:%Y-%m-%dT%H:%M:%SZ}",
        "signatures": str(len(document.signatures)),
        "keys": [],
        "releases": [],
    }


def _keys(workshop: Workshop, role: str) -> list[str]:
    """The beginnings of the ids of those who may sign."""
    above = workshop.newest(ROOT if role in {ROOT, TARGETS} else TARGETS)
    above = above or latest_in(workshop.metadata, ROOT)
    if above is None:
        return []
    return [key[:8] for key in above.signed.get_delegated_role(role).keyids]
