"""What somebody sends, into a file (WebM or MP4) while it arrives.

aiortc's recorder encodes on the event loop, at libvpx's best quality: one
picture held up everything else of the hub. Here a thread of its own encodes
for real time; pictures that it is too slow for are left out, sound never.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame
from twisted.logger import Logger

from mosaic.hub.media.tasks import Tasks

FPS = 30
FIRST_PICTURE_S = 3.0
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
        self._sized = asyncio.Event()
        self._streams: list[Any] = []
        self._readers: list[asyncio.Task[Any]] = []
        for track in tracks:
            name, options = codecs[track.kind]
            stream: Any = self._container.add_stream(
                name, rate=FPS if track.kind == "video" else 48_000, options=options
            )
            if track.kind == "video":
                stream.pix_fmt = "yuv420p"
            self._streams.append(stream)
            self._readers.append(tasks.start(self._read(track, stream)))
        if len(self._streams) == 1:
            self._sized.set()

    async def stop(self) -> None:
        """Write what is under way, and the file's end."""
        for reader in self._readers:
            reader.cancel()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    async def _read(self, track: MediaStreamTrack, stream: Any) -> None:
        loop = asyncio.get_running_loop()
        try:
            if track.kind == "audio":
                # The header fixes the size of the pictures: they come first.
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._sized.wait(), FIRST_PICTURE_S)
            while True:
                frame = await track.recv()
                await loop.run_in_executor(self._thread, self._write, stream, frame)
                self._sized.set()
        except MediaStreamError:
            pass  # the connection is over
        except (av.FFmpegError, ValueError) as error:
            _log.warn(
                "recording {path} stopped: {error}", path=self.path, error=str(error)
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
