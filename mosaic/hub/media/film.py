"""A film that begins again at its end.

aiortc's player can repeat, but its pictures' times begin at zero again then:
it would read on without pause, and receivers would wait for the old times.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Literal

import av
from aiortc import MediaStreamTrack
from aiortc.contrib.media import MediaPlayer
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame


class Film:
    """One file. video, audio: its tracks, or None where it has none.

    Raises OSError or ValueError for a file that cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with av.open(str(path)) as container:
            self.duration_s = (container.duration or 0) / av.time_base
        self._players = {0: MediaPlayer(str(path))}
        self._began: float | None = None
        first = self._players[0]
        self.video = FilmTrack(self, "video") if first.video else None
        self.audio = FilmTrack(self, "audio") if first.audio else None
        if self.video is None and self.audio is None:
            raise ValueError(f"{path}: neither picture nor sound in it")

    def track(self, round_: int, kind: str) -> MediaStreamTrack:
        """Of that time through; the file is opened again for each."""
        if round_ not in self._players:
            self._players[round_] = MediaPlayer(str(self._path))
            for old in [number for number in self._players if number < round_ - 1]:
                self._stop(self._players.pop(old))
        player = self._players[round_]
        track = player.video if kind == "video" else player.audio
        assert track is not None
        return track

    async def due(self, round_: int) -> None:
        """Wait until that time through begins, the same for both tracks."""
        if self._began is None:
            self._began = time.monotonic()
        await asyncio.sleep(self._began + round_ * self.duration_s - time.monotonic())

    def stop(self) -> None:
        """Close the file."""
        for player in self._players.values():
            self._stop(player)

    @staticmethod
    def _stop(player: MediaPlayer) -> None:
        for track in (player.video, player.audio):
            if track is not None and track.readyState == "live":
                track.stop()


class FilmTrack(MediaStreamTrack):
    """Pictures or sound, time and again; their times only grow."""

    def __init__(self, film: Film, kind: Literal["video", "audio"]) -> None:
        super().__init__()
        self.kind = kind
        self._film = film
        self._round = 0
        self._source: MediaStreamTrack | None = None
        self._any = False

    async def recv(self) -> VideoFrame | AudioFrame:
        """The next frame at its time."""
        while self.readyState == "live":
            if self._source is None:
                await self._film.due(self._round)
                self._source = self._film.track(self._round, self.kind)
            try:
                frame = await self._source.recv()
            except MediaStreamError:
                if not self._any or not self._film.duration_s:
                    break  # nothing in it that can be shown
                self._source, self._any = None, False
                self._round += 1
                continue
            assert isinstance(frame, VideoFrame | AudioFrame)
            self._any = True
            if frame.pts is not None and frame.time_base:
                shift_s = self._round * self._film.duration_s
                frame.pts += int(shift_s / frame.time_base)
            return frame
        raise MediaStreamError

    def stop(self) -> None:
        """The whole film stops with it."""
        if self.readyState == "live":
            super().stop()
            self._film.stop()
