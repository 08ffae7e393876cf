"""The control socket: one line in, one line out."""

from __future__ import annotations

import json
import os
import socket
import stat
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis.strategies import binary
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from mosaic.app import control
from mosaic.app.control import ControlError, ControlProtocol, ask


class Wire(StringTransport):
    """A connection of a user."""

    def __init__(self, user: int) -> None:
        super().__init__()
        self.user = user

    def getHandle(self) -> Any:
        """Stands for the socket."""
        return self


def refuse(request: Any) -> None:
    """A verb that says no."""
    raise ControlError(f"not {request['what']}")


class ProtocolTests(SynchronousTestCase):
    """What the server answers."""

    def setUp(self) -> None:
        """The kernel's word for who is calling."""
        self.later: Deferred[Any] = Deferred()
        self.clock = Clock()
        self.patch(control, "_user_of", lambda wire: wire.user)
        self.verbs: dict[str, control.Verb] = {
            "echo": lambda request: request["what"],
            "later": lambda request: self.later,
            "no": refuse,
            "broken": lambda request: 1 // 0,
        }

    def send(self, line: bytes, user: int = 1000) -> Wire:
        """One connection that sends a line."""
        made = ControlProtocol(self.verbs, owner=1000)
        self.patch(made, "callLater", self.clock.callLater)
        wire = Wire(user)
        made.makeConnection(wire)
        if not wire.disconnecting:
            made.dataReceived(line + b"\n")
        return wire

    def said(self, wire: Wire) -> Any:
        """The one response; the connection is closed after it."""
        self.assertTrue(wire.disconnecting)
        self.assertEqual(wire.value().count(b"\n"), 1)
        return json.loads(wire.value())

    def test_result(self) -> None:
        """At once or later."""
        told = self.said(self.send(b'{"verb": "echo", "what": [1]}'))
        self.assertEqual(told, {"result": [1]})
        wire = self.send(b'{"verb": "later"}')
        self.assertEqual(wire.value(), b"")
        self.later.callback(None)
        self.assertEqual(self.said(wire), {"result": None})

    def test_refusal_is_told(self) -> None:
        """In the verb's own words; a fault is only in the log."""
        told = self.said(self.send(b'{"verb": "no", "what": "so"}'))
        self.assertEqual(told, {"error": "not so"})
        told = self.said(self.send(b'{"verb": "broken"}'))
        self.assertIn("log", told["error"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_other_users_are_cut_off(self) -> None:
        """The file's mode says so already; the kernel is asked too."""
        self.assertEqual(self.send(b'{"verb": "echo"}', user=1001).value(), b"")
        told = self.said(self.send(b'{"verb": "echo", "what": 1}', user=0))
        self.assertEqual(told, {"result": 1})

    def test_silence_is_closed(self) -> None:
        """A caller has ten seconds to ask."""
        made = ControlProtocol(self.verbs, owner=1000)
        self.patch(made, "callLater", self.clock.callLater)
        wire = Wire(1000)
        made.makeConnection(wire)
        self.clock.advance(control.TIMEOUT_S)
        self.assertTrue(wire.disconnecting)

    @settings(max_examples=200)
    @given(binary(max_size=60))
    def test_any_line_gets_one_answer(self, line: bytes) -> None:
        """Noise is refused, and nothing is raised."""
        if b"\n" not in line:
            self.assertIn("error", self.said(self.send(line)))


class ClientTests(SynchronousTestCase):
    """What the command sees."""

    def test_no_server(self) -> None:
        """Said so, whether the file is missing or left behind."""
        folder = Path(self.mktemp())
        folder.mkdir()
        error = self.assertRaises(ControlError, ask, folder, "x")
        self.assertIn("no server runs", str(error))
        descriptor = os.open(folder, os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        with (
            patch.object(control, "_PATH_BYTES", 0),
            socket.socket(socket.AF_UNIX) as left,
        ):
            left.bind(control._short(folder, descriptor))
        self.assertTrue(stat.S_ISSOCK((folder / control.NAME).stat().st_mode))
        error = self.assertRaises(ControlError, ask, folder, "x")
        self.assertIn("no server runs", str(error))

    def test_no_folder(self) -> None:
        """The same."""
        gone = Path(tempfile.gettempdir()) / "no such folder of mosaic"
        error = self.assertRaises(ControlError, ask, gone, "x")
        self.assertIn("no server runs", str(error))
