"""The network that the tests take away is away at both ends."""

from __future__ import annotations

import socket
from unittest import TestCase

from tests.support.cutter import Cutter

ROUNDS = 50
PATIENCE_S = 20.0


class CutTests(TestCase):
    """Between two sockets of this process."""

    def test_both_ends_hear_of_a_cut(self) -> None:
        """One that hears nothing would wait for its next ping, a minute later."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            cutter = Cutter(int(listener.getsockname()[1]))
            self.addCleanup(cutter.close)
            for _ in range(ROUNDS):
                near = socket.create_connection(("127.0.0.1", cutter.port))
                far, _address = listener.accept()
                with near, far:
                    for end in (near, far):
                        end.settimeout(PATIENCE_S)
                    near.sendall(b"?")
                    self.assertEqual(far.recv(1), b"?")
                    far.sendall(b"!")
                    self.assertEqual(near.recv(1), b"!")
                    cutter.cut()
                    self.assertEqual((near.recv(1), far.recv(1)), (b"", b""))
                cutter.mend()
