"""Media without a screen: a hub that sits in a meeting by itself (docs/hub-media.md).

Wants the extra `hub` (aiortc) and Twisted's asyncio reactor.
"""

from __future__ import annotations

from typing import Any

from mosaic.hub.media.participant import HeadlessParticipant, MediaOptions
from mosaic.hub.participant import Told
from mosaic.proxy.client import Dialler


def participant(
    reactor: Any, dialler: Dialler, told: Told, options: MediaOptions | None = None
) -> HeadlessParticipant:
    """`mosaic.hub.participant.Participant` with media; without options it sends
    nothing, and counts what arrives."""
    return HeadlessParticipant(reactor, dialler, told, options or MediaOptions())
