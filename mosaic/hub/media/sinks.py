"""Where what others send goes: counted always, into files if asked."""

from __future__ import annotations

import asyncio
import math
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from aiortc import MediaStreamTrack
from aiortc.contrib.media import MediaRelay
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame
from twisted.logger import Logger

from mosaic.hub.media.negotiated import Incoming
from mosaic.hub.media.recorder import Recorder
from mosaic.hub.media.signals import StreamKind
from mosaic.hub.media.tasks import Tasks

LOOK_AT = 5
"""Every fifth frame of sound is measured."""

_log = Logger()


@dataclass(slots=True)
class Heard:
    """What arrived of one stream. level: RMS of 20 ms a moment ago, in dBFS (-inf:
    silence), peak: the loudest so far; first_at: the clock at the first picture."""

    video_frames: int = 0
    audio_frames: int = 0
    width: int = 0
    height: int = 0
    level: float = -math.inf
    peak: float = -math.inf
    first_at: float | None = None


def level_of(frame: AudioFrame) -> float:
    """RMS in dBFS of 16-bit samples; -inf for silence."""
    samples = array(
        "h", bytes(frame.planes[0])[: frame.samples * 2 * len(frame.layout.channels)]
    )
    if not samples:
        return -math.inf
    power = sum(sample * sample for sample in samples) / len(samples)
    return 10 * math.log10(power / 32768**2) if power else -math.inf


class Reception:
    """Reads every track that arrives, and counts; records into a folder if given.

    One file for each stream of each person: `<person>-<camera|screen>-<n>.<kind>`.
    kind: webm (VP8, Opus) or mp4 (H.264, AAC).
    """

    def __init__(
        self,
        clock: Any,
        tasks: Tasks,
        *,
        folder: Path | None = None,
        kind: str = "webm",
    ) -> None:
        self.heard: dict[tuple[str, StreamKind], Heard] = {}
        self.files: list[Path] = []
        self._clock = clock
        self._tasks = tasks
        self._folder = folder
        self._kind = kind
        self._relay: Any = MediaRelay()
        self._reading: dict[MediaStreamTrack, asyncio.Task[Any]] = {}
        self._recorders: dict[tuple[str, StreamKind], list[Recorder]] = {}

    def take(self, person: str, incoming: Iterable[Incoming]) -> None:
        """The tracks of a person's, those that are known already included."""
        fresh: dict[StreamKind, list[MediaStreamTrack]] = {}
        for item in incoming:
            if item.track in self._reading or item.track.readyState != "live":
                continue
            fresh.setdefault(item.kind, []).append(item.track)
            heard = self.heard.setdefault((person, item.kind), Heard())
            reader = self._relay.subscribe(item.track)
            self._reading[item.track] = self._tasks.start(
                self._read(reader, item.track, heard)
            )
        if self._folder is not None:
            for kind, tracks in fresh.items():
                self._record(person, kind, tracks)

    async def stop(self) -> None:
        """Close the files."""
        recorders = [r for some in self._recorders.values() for r in some]
        self._recorders.clear()
        for task in self._reading.values():
            task.cancel()
        self._reading.clear()
        for recorder in recorders:
            try:
                await recorder.stop()
            except Exception as error:
                _log.warn("a recording did not end well: {error!r}", error=error)

    async def _read(self, reader: Any, track: MediaStreamTrack, heard: Heard) -> None:
        try:
            while True:
                frame = await reader.recv()
                if heard.first_at is None and isinstance(frame, VideoFrame):
                    heard.first_at = self._clock.seconds()
                if isinstance(frame, VideoFrame):
                    heard.video_frames += 1
                    heard.width, heard.height = frame.width, frame.height
                elif isinstance(frame, AudioFrame):
                    heard.audio_frames += 1
                    if heard.audio_frames % LOOK_AT == 0:
                        heard.level = level_of(frame)
                        heard.peak = max(heard.peak, heard.level)
        except MediaStreamError:
            pass  # the connection is over
        finally:
            self._reading.pop(track, None)

    def _record(
        self, person: str, kind: StreamKind, tracks: list[MediaStreamTrack]
    ) -> None:
        assert self._folder is not None
        some = self._recorders.setdefault((person, kind), [])
        name = "".join(letter for letter in person if letter.isalnum())
        paths = (
            self._folder / f"{name}-{kind}-{number}.{self._kind}" for number in count(1)
        )
        path = next(path for path in paths if not path.exists())
        readers = [
            self._relay.subscribe(track, buffered=track.kind == "audio")
            for track in tracks
        ]
        try:
            some.append(Recorder(path, self._kind, readers, self._tasks))
        except OSError as error:
            _log.warn("no recording {path}: {error}", path=path, error=str(error))
        else:
            self.files.append(path)
