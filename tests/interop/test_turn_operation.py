"""The relay's operation on a real server: the command, signals, the end."""

from __future__ import annotations

import json
import secrets
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.stun.address import Address
from mosaic.wire.stun.message import Method
from tests.support.running import RunningMosaic, run_command
from tests.support.turn_client import UdpClient
from tests.support.udp import code_of

PUBLIC = Address("8.8.8.8", 5000)


def until(true: Callable[[], bool]) -> None:
    """Wait for something that a signal brings about; at most ten seconds."""
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


class OperationTests(SynchronousTestCase):
    """One server for each, as an operator runs it."""

    def setUp(self) -> None:
        """With a configuration that the tests rewrite."""
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.config = self.folder / "mosaic.toml"
        self.config.write_text("drain_s = 20.0\n")
        self.server = RunningMosaic("--config", str(self.config))
        self.addCleanup(self.server.stop)

    def credentials(self, *words: str) -> Any:
        """Fresh ones."""
        return self.server.command_json("turn", "credentials", *words)

    def client(self, login: dict[str, Any]) -> UdpClient:
        """Closed at the end."""
        server = ("127.0.0.1", self.server.turn_port)
        made = UdpClient(server, (login["username"], login["credential"]))
        self.addCleanup(made.sock.close)
        return made

    def allocates(self, login: dict[str, Any]) -> int:
        """The code that a new client of this login gets; it goes again."""
        client = self.client(login)
        code = code_of(client.allocate())
        if not code:
            client.end()
        return code

    def reload(self) -> None:
        """SIGHUP, and its end."""
        count = self.server.output().count("reloaded certificates")
        self.server.signal(signal.SIGHUP)
        until(lambda: self.server.output().count("reloaded certificates") > count)

    def test_sessions(self) -> None:
        """Asked over the control socket, which is the owner's alone."""
        refused = self.server.command("turn", "sessions")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("no server runs", refused.stderr)
        self.server.start()
        mode = (self.server.state / "control").stat().st_mode
        self.assertEqual(stat.S_IMODE(mode), 0o600)
        self.assertEqual(self.server.command_json("turn", "sessions"), [])
        client = self.client(self.credentials("--user", "ada"))
        self.assertEqual(code_of(client.allocate()), 0)
        (session,) = self.server.command_json("turn", "sessions")
        self.assertEqual((session["user"], session["transport"]), ("ada", "udp"))
        port = client.sock.getsockname()[1]
        self.assertEqual(session["client"], f"127.0.0.1:{port}")
        table = self.server.command("turn", "sessions").stdout
        self.assertIn(session["relayed"], table)
        client.end()
        self.server.signal(signal.SIGTERM)
        self.server.wait()
        self.assertFalse((self.server.state / "control").exists())

    def test_sessions_in_a_deep_folder(self) -> None:
        """The name of a UNIX socket holds 107 bytes; folders lie deeper."""
        state = self.folder / ("d" * 60) / ("e" * 60)
        server = RunningMosaic(state=state).start()
        self.addCleanup(server.stop)
        self.assertEqual(server.command_json("turn", "sessions"), [])

    def test_both_forms_of_credentials(self) -> None:
        """SHA-256 by flag or by configuration, SHA-1 as everywhere else."""
        self.server.start()
        common, newer = self.credentials(), self.credentials("--sha256")
        self.assertLess(len(common["credential"]), len(newer["credential"]))
        for login in (common, newer):
            self.assertEqual(self.allocates(login), 0)
        self.config.write_text("[turn]\ncredential_hash = 'sha256'\n")
        words = ("--config", str(self.config), "--state", str(self.server.state))
        made = run_command(*words, "turn", "credentials", "--json")
        login = json.loads(made.stdout)
        self.assertEqual(len(login["credential"]), len(newer["credential"]))
        self.assertEqual(self.allocates(login), 0)

    def test_rotation_without_a_restart(self) -> None:
        """A new first line mints; the old one checks until it is removed."""
        self.server.start()
        old = self.credentials()
        file = self.server.state / "keys" / "turn"
        fresh = secrets.token_hex(32) + "\n"
        file.write_text(fresh + file.read_text())
        new = self.credentials()
        self.assertEqual(self.allocates(new), 401)
        self.reload()
        self.assertEqual([self.allocates(login) for login in (old, new)], [0, 0])
        file.write_text(fresh)
        self.reload()
        self.assertEqual([self.allocates(login) for login in (old, new)], [401, 0])
        file.write_text("rubbish\n")
        self.reload()
        self.assertEqual(self.allocates(new), 0)
        self.assertIn("no hexadecimal key", self.server.output())

    def test_quotas_and_peers_without_a_restart(self) -> None:
        """What the file says after SIGHUP holds for what comes."""
        self.server.start()
        login = self.credentials()
        first = self.client(login)
        self.assertEqual(code_of(first.allocate()), 0)
        self.assertEqual(code_of(first.permit(PUBLIC)), 0)
        self.config.write_text(
            "[turn]\nallocations_per_credential = 1\ndeny_peers = ['8.0.0.0/8']\n"
        )
        self.reload()
        self.assertEqual(self.allocates(login), 486)
        self.assertEqual(code_of(first.permit(PUBLIC)), 403)
        first.end()

    def test_a_call_of_the_web_client_does_not_delay_a_restart(self) -> None:
        """Browsers are told to come back, and give no allocation up."""
        self.server.start()
        client = self.client(self.credentials("--user", "p1/abcdef"))
        self.assertEqual(code_of(client.allocate()), 0)
        began = time.monotonic()
        self.server.signal(signal.SIGTERM)
        self.assertEqual(self.server.wait(15), 0, self.server.output())
        self.assertLess(time.monotonic() - began, 10)  # of 20 s for strangers
        self.assertNotIn("TURN drains", self.server.output())

    def test_drain(self) -> None:
        """SIGTERM: a call goes on, nobody else comes in, its end is the end."""
        self.server.start()
        login = self.credentials()
        first = self.client(login)
        self.assertEqual(code_of(first.allocate()), 0)
        self.server.signal(signal.SIGTERM)
        until(lambda: "drains 1 allocations" in self.server.output())
        self.assertEqual(self.allocates(login), 508)
        self.assertEqual(code_of(first.ask(Method.REFRESH)), 0)
        assert self.server.process is not None
        self.assertIsNone(self.server.process.poll())
        self.assertEqual(code_of(first.end()), 0)
        self.assertEqual(self.server.wait(10), 0, self.server.output())
