"""What somebody sends, into a file (WebM or MP4) while it arrives.

aiortc's recorder encodes on the event loop, at libvpx's best quality: one
picture held up everything else of the hub. Here a thread of its own encodes
for real time; pictures that it is too slow for are left out, sound never.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame
from twisted.logger import Logger

from mosaic.hub.media.tasks import Tasks

FPS = 30
FINISH_S = 3.0
MAX_BEHIND = 5
"""Pictures that wait for the encoder; later ones are left out."""
EARLY_SOUND = 150
"""Frames of 20 ms that wait for the first picture."""
CODECS: dict[str, dict[str, tuple[str, dict[str, str]]]] = {
    "webm": {
        "video": ("libvpx", {"deadline": "realtime", "cpu-used": "8", "b": "1500k"}),
        "audio": ("libopus", {}),
    },
    "mp4": {
        "video": ("libx264", {"preset": "veryfast", "tune": "zerolatency"}),
        "audio": ("aac", {}),
    },
}
"""By kind of file: codec and options."""

_log = Logger()


class Recorder:
    """One file. Starts when it is made; the size is that of the first picture.

    Raises OSError where the file cannot be written, KeyError for an unknown kind.
    """

    def __init__(
        self, path: Path, kind: str, tracks: Iterable[MediaStreamTrack], tasks: Tasks
    ) -> None:
        codecs = CODECS[kind]
        self.path = path
        self._container = av.open(str(path), "w", format=kind)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recorder")
        self._queue: asyncio.Queue[tuple[Any, Any] | None] = asyncio.Queue()
        self._pictures = 0
        self._streams: list[Any] = []
        readers = []
        for track in tracks:
            name, options = codecs[track.kind]
            stream: Any = self._container.add_stream(
                name, rate=FPS if track.kind == "video" else 48_000, options=options
            )
            if track.kind == "video":
                stream.pix_fmt = "yuv420p"
            self._streams.append(stream)
            readers.append(self._read(track, stream))
        self._readers = [tasks.start(reader) for reader in readers]
        self._writer = tasks.start(self._write_all())

    async def stop(self) -> None:
        """Write what has arrived, and the file's end."""
        for reader in self._readers:
            reader.cancel()
        self._queue.put_nowait(None)
        try:
            await asyncio.wait_for(asyncio.shield(self._writer), FINISH_S)
        finally:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._thread, self._close)
            self._thread.shutdown(wait=False)

    async def _read(self, track: MediaStreamTrack, stream: Any) -> None:
        try:
            while True:
                frame = await track.recv()
                picture = track.kind == "video"
                if picture and self._pictures >= MAX_BEHIND:
                    continue
                self._pictures += picture
                self._queue.put_nowait((stream, frame))
        except MediaStreamError:
            pass  # the connection is over

    async def _write_all(self) -> None:
        """The header fixes the size of the pictures, so that the first of them
        comes before all sound, if it comes in time."""
        waits = any(stream.type == "video" for stream in self._streams)
        early: list[tuple[Any, Any]] = []
        while (item := await self._queue.get()) is not None:
            if waits and item[0].type == "audio" and len(early) < EARLY_SOUND:
                early.append(item)
                continue
            waits = False
            await self._write_some([item, *early])
            early = []
        await self._write_some(early)

    async def _write_some(self, items: list[tuple[Any, Any]]) -> None:
        loop = asyncio.get_running_loop()
        for stream, frame in items:
            if stream.type == "video":
                self._pictures -= 1
            try:
                await loop.run_in_executor(self._thread, self._write, stream, frame)
            except (av.FFmpegError, ValueError) as error:
                _log.warn(
                    "a frame of {path} is lost: {error}",
                    path=self.path,
                    error=str(error),
                )

    def _write(self, stream: Any, frame: Any) -> None:
        """In the thread."""
        if isinstance(frame, VideoFrame) and not stream.codec_context.is_open:
            stream.width, stream.height = frame.width & ~1, frame.height & ~1
        self._container.mux(stream.encode(frame))

    def _close(self) -> None:
        """In the thread."""
        try:
            for stream in self._streams:
                if stream.codec_context.is_open:
                    self._container.mux(stream.encode(None))
        finally:
            self._container.close()
