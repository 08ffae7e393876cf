"""What a person asks a hub without a screen to send and keep."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import TestCase

from twisted.internet.task import Clock

from mosaic.hub.build import make_participant
from mosaic.hub.media import options_for
from mosaic.hub.media.participant import HeadlessParticipant
from mosaic.hub.options import HubOptions, OptionError
from mosaic.proxy.client import direct_dialler


class MediaOptionTests(TestCase):
    """--send and --record."""

    def setUp(self) -> None:
        """A folder for files."""
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_nothing_by_default(self) -> None:
        """A hub is silent and blind to others until somebody says so."""
        options = options_for(send=None, record=None)
        self.assertIsNone(options.camera)
        self.assertIsNone(options.record)

    def test_a_test_picture_and_a_folder(self) -> None:
        """The folder is made, for its owner alone."""
        folder = self.folder / "kept" / "here"
        options = options_for(send="test", record=folder)
        assert options.camera is not None
        self.assertTrue(options.camera.video)
        self.assertTrue(options.camera.audio)
        self.assertEqual(folder.stat().st_mode & 0o777, 0o700)
        options.camera.stop()

    def test_a_file_that_cannot_be_sent(self) -> None:
        """Said in one line when the hub starts, not in the first meeting."""
        clock = Clock()
        for name, content in (("missing.mp4", None), ("broken.mp4", b"no film")):
            path = self.folder / name
            if content is not None:
                path.write_bytes(content)
            options = HubOptions(
                server="https://localhost", state=self.folder, send=str(path)
            )
            with self.assertRaisesRegex(OptionError, "--send"):
                make_participant(clock, direct_dialler(clock), print, options)

    def test_media_are_there(self) -> None:
        """The agent takes the seat with media."""
        clock = Clock()
        options = HubOptions(server="https://localhost", state=self.folder)
        made = make_participant(clock, direct_dialler(clock), print, options)
        self.assertIsInstance(made, HeadlessParticipant)
