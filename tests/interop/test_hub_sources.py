"""What a hub sends, and how what it receives is counted."""

from __future__ import annotations

import asyncio
import math
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import IsolatedAsyncioTestCase

import av
from aiortc.mediastreams import MediaStreamError
from PIL import Image

from mosaic.hub.media.recorder import Recorder
from mosaic.hub.media.sinks import level_of
from mosaic.hub.media.sources import FileSource, Shared, TestSource
from mosaic.hub.media.tasks import Tasks


class SourceTests(IsolatedAsyncioTestCase):
    """The first frames of each; the first comes at once."""

    def setUp(self) -> None:
        """A folder for files."""
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    async def test_picture_and_tone(self) -> None:
        """Even sizes, a walking line, and a tone of -15 dBFS (a sine of -12 peak)."""
        source = TestSource(width=64, height=48)
        assert source.video is not None
        assert source.audio is not None
        picture = await source.video.recv()
        assert isinstance(picture, av.VideoFrame)
        self.assertEqual((picture.width, picture.height), (64, 48))
        sound = await source.audio.recv()
        assert isinstance(sound, av.AudioFrame)
        self.assertAlmostEqual(level_of(sound), -15.05, places=1)
        source.stop()
        with self.assertRaises(MediaStreamError):
            await source.video.recv()

    async def test_silence_has_no_level(self) -> None:
        """Not a very low one."""
        frame = av.AudioFrame(format="s16", layout="stereo", samples=960)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        self.assertEqual(level_of(frame), -math.inf)

    async def test_an_image(self) -> None:
        """Of odd size: encoders want even ones. It has no sound."""
        path = self.folder / "sign.png"
        Image.new("RGB", (33, 21), "red").save(path)
        source = FileSource(path)
        assert source.video is not None
        self.assertIsNone(source.audio)
        picture = await source.video.recv()
        assert isinstance(picture, av.VideoFrame)
        self.assertEqual((picture.width, picture.height), (32, 20))
        source.stop()

    async def test_a_film_for_two(self) -> None:
        """Both readers get the pictures of one file."""
        shared = Shared(FileSource(self.film(pictures=10)))
        self.assertEqual(set(shared.feeds), {"video"})
        for reader in [shared.feeds["video"].reader() for _ in range(2)]:
            picture = await reader.recv()
            assert isinstance(picture, av.VideoFrame)
            self.assertEqual(picture.width, 64)
        shared.stop()

    async def test_a_film_begins_again(self) -> None:
        """The times of its pictures go on: receivers wait for no past one."""
        source = FileSource(self.film(pictures=3))
        assert source.video is not None
        times: list[float] = []
        for _ in range(8):
            picture = await source.video.recv()
            assert isinstance(picture, av.VideoFrame)
            times.append(picture.time or 0.0)
        source.stop()
        for before, after in pairwise(times):
            self.assertLess(before, after)
        self.assertAlmostEqual(times[-1], 7 / 25, places=2)

    async def test_a_recording(self) -> None:
        """Picture and sound of a source, for each kind of file, played again."""
        for kind in ("webm", "mp4"):
            tasks, source = Tasks(), TestSource(width=64, height=48)
            assert source.video is not None
            assert source.audio is not None
            path = self.folder / f"meeting.{kind}"
            recorder = Recorder(path, kind, (source.video, source.audio), tasks)
            await asyncio.sleep(0.5)
            await recorder.stop()
            source.stop()
            for media, least in (("video", 4), ("audio", 10)):
                with av.open(str(path)) as film:
                    stream = next(s for s in film.streams if s.type == media)
                    self.assertGreaterEqual(sum(1 for _ in film.decode(stream)), least)

    def film(self, *, pictures: int) -> Path:
        """25 of them a second, without sound."""
        path = self.folder / "film.mp4"
        with av.open(str(path), "w") as film:
            stream = film.add_stream("mpeg4", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for at in range(pictures):
                frame = av.VideoFrame(64, 48, "yuv420p")
                frame.pts = at
                film.mux(stream.encode(frame))
            film.mux(stream.encode(None))
        return path

    async def test_no_film(self) -> None:
        """A clear error, not silence."""
        path = self.folder / "film.mp4"
        path.write_bytes(b"no film")
        with self.assertRaises((OSError, ValueError)):
            FileSource(path)
