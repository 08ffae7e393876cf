"""Parsers are lent to streams that have something to be parsed.

expat takes ten kilobytes, and most streams of a house are silent most of the
time. Between two stanzas a parser knows nothing of a stream but its header.
"""

from __future__ import annotations

from typing import NamedTuple

from mosaic.wire.xmpp.stream import Header, StreamParser

MAX_SPARE = 64


class Place(NamedTuple):
    """What it takes to go on with a stream."""

    kind: type[StreamParser]
    header: Header
    max_stanza_bytes: int


class SpareParsers:
    """Those that nobody needs at the moment, by what they stand in."""

    def __init__(self) -> None:
        self._spare: dict[Place, list[StreamParser]] = {}
        self._count = 0

    def put(self, parser: StreamParser) -> Place:
        """Give an idle parser back; what to say to have its like."""
        place = Place(type(parser), parser.header, parser.max_stanza_bytes)
        if self._count < MAX_SPARE:
            self._count += 1
            self._spare.setdefault(place, []).append(parser)
        return place

    def take(self, place: Place) -> StreamParser:
        """One that stands there."""
        waiting = self._spare.get(place)
        if waiting:
            self._count -= 1
            parser = waiting.pop()
            if not waiting:
                del self._spare[place]
            return parser
        parser = place.kind(max_stanza_bytes=place.max_stanza_bytes)
        parser.at(place.header)
        return parser
