"""What a hub without camera and screen sends: a test picture and tone, or files."""

from __future__ import annotations

import asyncio
import fractions
import math
import struct
import time
from pathlib import Path
from typing import Any, Literal, Protocol

import av
from aiortc import MediaStreamTrack
from aiortc.contrib.media import MediaRelay
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

from mosaic.hub.media.film import Film

Media = Literal["audio", "video"]
RATE = 48_000
FRAME_S = 0.02
TONE_HZ = 440.0
_CLOCK = fractions.Fraction(1, 90_000)


class Source(Protocol):
    """Where media come from. video, audio: tracks, or None."""

    video: MediaStreamTrack | None
    audio: MediaStreamTrack | None

    def stop(self) -> None:
        """Send no more."""


class _Paced(MediaStreamTrack):
    """Frames at their time; late ones are not made up for."""

    def __init__(self, interval_s: float) -> None:
        super().__init__()
        self._interval_s = interval_s
        self._began: float | None = None
        self._count = 0

    async def _next(self) -> int:
        """The number of the frame that is due, after waiting for it."""
        if self.readyState != "live":
            raise MediaStreamError
        now = time.monotonic()
        if self._began is None:
            self._began = now
        else:
            self._count += 1
            due = self._began + self._count * self._interval_s
            if due > now:
                await asyncio.sleep(due - now)
            else:
                self._count += int((now - due) / self._interval_s)
        return self._count


class TestPicture(_Paced):
    """Bars from white to black and a line that walks, so that a halt can be seen."""

    __test__ = False
    kind = "video"
    BARS = (235, 210, 170, 145, 106, 81, 41, 16)
    """The luma of EBU bars."""

    def __init__(self, width: int = 640, height: int = 360, fps: int = 15) -> None:
        super().__init__(1 / fps)
        self._width, self._height, self._fps = width, height, fps
        band = width // len(self.BARS)
        row = b"".join(bytes([luma]) * band for luma in self.BARS)
        self._row = row.ljust(width, b"\x10")

    async def recv(self) -> VideoFrame:
        """The next picture, YUV 4:2:0."""
        number = await self._next()
        frame = VideoFrame(self._width, self._height, "yuv420p")
        at = number * 4 % self._width
        row = bytearray(self._row)
        row[at : at + 4] = b"\xff" * len(row[at : at + 4])
        luma, *chroma = frame.planes
        luma.update(bytes(row).ljust(luma.line_size, b"\x10") * self._height)
        for plane in chroma:
            plane.update(b"\x80" * plane.buffer_size)
        frame.pts = int(number * self._interval_s * 90_000)
        frame.time_base = _CLOCK
        return frame


class TestTone(_Paced):
    """A sine of 440 Hz at a quarter of full scale (-12 dBFS)."""

    __test__ = False
    kind = "audio"

    def __init__(self) -> None:
        super().__init__(FRAME_S)
        size = int(RATE * FRAME_S)
        # Five frames are 0.1 s, which 44 periods fit exactly.
        self._wave = [
            struct.pack(
                f"<{size}h",
                *(
                    int(8191 * math.sin(math.tau * TONE_HZ * (at * size + n) / RATE))
                    for n in range(size)
                ),
            )
            for at in range(5)
        ]

    async def recv(self) -> AudioFrame:
        """20 ms, 16 bits, mono."""
        number = await self._next()
        wave = self._wave[number % len(self._wave)]
        frame = AudioFrame(format="s16", layout="mono", samples=len(wave) // 2)
        frame.planes[0].update(wave)
        frame.pts = number * frame.samples
        frame.sample_rate = RATE
        frame.time_base = fractions.Fraction(1, RATE)
        return frame


class TestSource:
    """Picture and tone."""

    __test__ = False

    def __init__(self, *, width: int = 640, height: int = 360, fps: int = 15) -> None:
        self.video: MediaStreamTrack | None = TestPicture(width, height, fps)
        self.audio: MediaStreamTrack | None = TestTone()

    def stop(self) -> None:
        """Send no more."""
        for track in (self.video, self.audio):
            if track is not None:
                track.stop()


class StillPicture(_Paced):
    """One image, shown again twice a second, so that newcomers see it soon."""

    kind = "video"

    def __init__(self, frame: VideoFrame) -> None:
        super().__init__(0.5)
        # Encoders want even sizes.
        width, height = frame.width & ~1, frame.height & ~1
        self._frame = frame.reformat(width=width, height=height, format="yuv420p")

    async def recv(self) -> VideoFrame:
        """The image."""
        number = await self._next()
        self._frame.pts = int(number * self._interval_s * 90_000)
        self._frame.time_base = _CLOCK
        return self._frame


class FileSource:
    """Signage: an image, or a film with its sound that begins again at its end.

    Raises OSError or av.FFmpegError (an OSError or ValueError) for a file that
    cannot be read.
    """

    IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")

    def __init__(self, path: Path) -> None:
        self.video: MediaStreamTrack | None
        self.audio: MediaStreamTrack | None = None
        if path.suffix.lower() in self.IMAGES:
            self.video = StillPicture(_first_picture(path))
            return
        film = Film(path)
        self.video, self.audio = film.video, film.audio

    def stop(self) -> None:
        """Send no more."""
        for track in (self.video, self.audio):
            if track is not None:
                track.stop()


def _first_picture(path: Path) -> VideoFrame:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            return frame
    raise ValueError(f"{path}: no picture in it")


class Feed:
    """One track for many connections: each reads at its own pace."""

    def __init__(self, relay: Any, track: MediaStreamTrack) -> None:
        self._relay = relay
        self._track = track

    def reader(self) -> MediaStreamTrack:
        """For one connection. Late pictures are left out, sound is not."""
        buffered = self._track.kind == "audio"
        reader: MediaStreamTrack = self._relay.subscribe(self._track, buffered=buffered)
        return reader


class Shared:
    """A source and its feeds, by `video` and `audio`."""

    def __init__(self, source: Source) -> None:
        self._source = source
        relay = MediaRelay()
        tracks: dict[Media, MediaStreamTrack | None] = {
            "video": source.video,
            "audio": source.audio,
        }
        self.feeds: dict[Media, Feed] = {
            media: Feed(relay, track) for media, track in tracks.items() if track
        }

    def stop(self) -> None:
        """Send no more."""
        self._source.stop()
