"""Media without a screen: a hub that sits in a meeting by itself (docs/hub-media.md).

Wants the extra `hub` (aiortc) and Twisted's asyncio reactor.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mosaic.hub.media.participant import HeadlessParticipant, MediaOptions
from mosaic.hub.media.sources import FileSource, TestSource
from mosaic.hub.participant import Told
from mosaic.proxy.client import Dialler


def participant(
    reactor: Any, dialler: Dialler, told: Told, options: MediaOptions | None = None
) -> HeadlessParticipant:
    """`mosaic.hub.participant.Participant` with media; without options it sends
    nothing, and counts what arrives."""
    return HeadlessParticipant(reactor, dialler, told, options or MediaOptions())


def options_for(*, send: str | None, record: Path | None) -> MediaOptions:
    """Of words for people. send: `test` or a file; record: a folder, made if need be.

    Raises OSError or ValueError for a file or folder that cannot be used.
    """
    if record is not None:
        record.mkdir(parents=True, exist_ok=True, mode=0o700)
    camera = None
    if send is not None:
        camera = TestSource() if send == "test" else FileSource(Path(send))
    return MediaOptions(camera=camera, record=record)
