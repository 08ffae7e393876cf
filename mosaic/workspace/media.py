"""Kinds of files: what a header claims, what the bytes are, what does no harm."""

from __future__ import annotations

import re

MEDIA_TYPE = re.compile(
    r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}"
)
UNKNOWN_TYPE = "application/octet-stream"

HARMLESS = frozenset(
    {
        "image/png",
        "image/jpeg",
        "image/gif",
        "image/webp",
        "image/avif",
        "audio/aac",
        "audio/flac",
        "audio/mp4",
        "audio/mpeg",
        "audio/ogg",
        "audio/opus",
        "audio/wav",
        "audio/webm",
        "video/mp4",
        "video/ogg",
        "video/quicktime",
        "video/webm",
        "text/plain",
    }
)
"""Types that no browser runs anything in: they may be told as what they are.
SVG, HTML, PDF and XML are not among them."""


def media_type(header: str | None) -> str:
    """The bare type of a Content-Type header, or the unknown type."""
    bare = (header or "").partition(";")[0].strip().lower()
    return bare if MEDIA_TYPE.fullmatch(bare) else UNKNOWN_TYPE


def shown_type(kept: str) -> str:
    """What a file from strangers may be called when it is served."""
    return kept if kept in HARMLESS else UNKNOWN_TYPE


def picture_type(data: bytes) -> str | None:
    """PNG, JPEG, GIF or WebP by the first bytes; None for anything else."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return None
