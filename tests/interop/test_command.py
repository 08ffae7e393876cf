"""The contract of commands, flags and exit codes, on real processes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
from twisted.trial.unittest import SynchronousTestCase

from tests.support.running import RunningMosaic, environment, run_command


class FirstRunTests(SynchronousTestCase):
    """With no configuration at all."""

    def setUp(self) -> None:
        self.server = RunningMosaic()
        self.addCleanup(self.server.stop)

    def test_everything_is_up_and_says_how_to_come_in(self) -> None:
        """State folder, banner, room, one-time link, services, and little memory."""
        self.server.start()
        text = self.server.output()
        deadline = time.monotonic() + 10
        while "setup=" not in text and time.monotonic() < deadline:
            time.sleep(0.05)
            text = self.server.output()
        mode = stat.S_IMODE(self.server.state.stat().st_mode)
        self.assertEqual(mode, 0o700)
        for name in ("mosaic.db", "keys/server", "keys/turn"):
            private = stat.S_IMODE((self.server.state / name).stat().st_mode)
            self.assertEqual(private, 0o600, name)
        self.assertTrue((self.server.state / "tls/ca.pem").exists())
        hub = re.search(r"Hub ID\s+(\d{3} \d{3} \d{3})\s+PIN\s+(\d{6})", text)
        assert hub, text
        self.assertIn(f"{self.server.url}/join/{hub[1].replace(' ', '')}", text)
        self.assertTrue(re.search("[█▀▄]{8}", text), "no QR code")
        code = re.search(r"/admin#setup=(\S+)", text)
        assert code, text
        self.use_the_code_once(code[1])
        assert self.server.process is not None
        rss = psutil.Process(self.server.process.pid).memory_info().rss
        self.assertLess(rss, 150 * 2**20)

    def use_the_code_once(self, code: str) -> None:
        """The one-time link makes one administrator."""
        body = {"code": code, "name": "ada", "password": "correct horse"}
        status, session = self.server.call("POST", "/setup", body)
        self.assertEqual(status, 201)
        self.assertTrue(session["account"]["admin"])
        status, _ = self.server.call("POST", "/setup", body | {"name": "eve"})
        self.assertIn(status, (401, 403))

    def test_sigterm_drains_and_exits_0(self) -> None:
        """An orderly end is no failure; an open websocket does not delay it."""
        self.server.start()
        began = time.monotonic()
        self.server.signal(signal.SIGTERM)
        self.assertEqual(self.server.wait(), 0, self.server.output())
        self.assertLess(time.monotonic() - began, 15)

    def test_sighup_keeps_it_running(self) -> None:
        """A reload is no restart."""
        self.server.start()
        self.server.signal(signal.SIGHUP)
        deadline = time.monotonic() + 10
        while "reloaded" not in self.server.output():
            self.assertLess(time.monotonic(), deadline, self.server.output())
            time.sleep(0.05)
        self.server.wait_until_ready()

    def test_json_log_is_json_throughout(self) -> None:
        """One record to a line, from the first word to the last; no banner."""
        self.server.flags = ("--log-format", "json", "--log-level", "debug")
        self.server.start()
        self.assertEqual(self.server.call("GET", "/me", token="\x1b[31mno")[0], 401)
        self.server.signal(signal.SIGTERM)
        self.server.wait()
        lines = self.server.output().splitlines()
        self.assertGreater(len(lines), 5)
        for line in lines:
            self.assertLessEqual({"time", "level", "message"}, set(json.loads(line)))

    def test_what_was_made_is_there_after_a_restart(self) -> None:
        """Rooms and accounts are on disk; the banner shows the same room."""
        self.server.start()
        before = self.server.command_json("room", "list")
        self.server.signal(signal.SIGTERM)
        self.server.wait()
        self.server.start()
        self.assertEqual(self.server.command_json("room", "list"), before)

    def test_a_second_server_on_the_same_state_is_refused(self) -> None:
        """Two writers would lose each other's work."""
        self.server.start()
        second = RunningMosaic(state=self.server.state)
        second.start(wait=False)
        self.addCleanup(second.stop)
        self.assertEqual(second.wait(), 1)
        self.assertIn("is in use by a running Mosaic", second.output())


class RefusalTests(SynchronousTestCase):
    """One clear line, and exit code 1; usage is 2."""

    def test_taken_port(self) -> None:
        """The key, the string and what to do."""
        with socket.socket() as other:
            server = RunningMosaic()
            other.bind(("", server.port))
            other.listen()
            server.start(wait=False)
            self.addCleanup(server.stop)
            self.assertEqual(server.wait(), 1)
        self.assertIn(f"port {server.port} is taken", server.output())
        self.assertNotIn("Traceback", server.output())

    def test_unknown_key(self) -> None:
        """Both the server and `mosaic check` say the same."""
        file = Path(self.mktemp()).absolute()
        file.write_text("[turn]\nrelay_port = 3\n")
        server = RunningMosaic("--config", str(file))
        server.start(wait=False)
        self.addCleanup(server.stop)
        self.assertEqual(server.wait(), 1)
        self.assertIn("turn.relay_port: unknown key", server.output())
        checked = run_command("--config", str(file), "check")
        self.assertEqual(checked.returncode, 1)
        self.assertEqual(len(checked.stderr.splitlines()), 1)
        self.assertIn("turn.relay_port: unknown key", checked.stderr)

    def test_certificate_that_does_not_match_its_key(self) -> None:
        """The file is named before anything starts."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        first, second = (RunningMosaic() for _ in range(2))
        from mosaic.tls.authority import ensure_certificates

        one = ensure_certificates(first.state, "a.example", time.time())
        two = ensure_certificates(second.state, "b.example", time.time())
        (folder / "fullchain.pem").write_bytes((one / "server-rsa.pem").read_bytes())
        (folder / "privkey.pem").write_bytes((two / "server-rsa.key").read_bytes())
        file = folder / "mosaic.toml"
        file.write_text(f"[tls]\ncerts = '{folder}'\n")
        checked = run_command(
            "--config", str(file), "--state", str(first.state), "check"
        )
        for server in (first, second):
            server.stop()
        self.assertEqual(checked.returncode, 1)
        self.assertIn("tls.certs", checked.stderr)

    def test_usage_is_2(self) -> None:
        """argparse's own code."""
        for words in ((), ("nonsense",), ("room", "token"), ("user", "add")):
            self.assertEqual(run_command(*words).returncode, 2, words)


class VerbTests(SynchronousTestCase):
    """Verbs work without a server, and with one."""

    def setUp(self) -> None:
        self.server = RunningMosaic()
        self.addCleanup(self.server.stop)

    def test_users_and_rooms_without_a_server(self) -> None:
        """The state folder is enough."""
        run = self.server.command
        made = self.server.command_json(
            "user", "add", "Ada", "--password-stdin", "--admin", text="correct horse\n"
        )
        self.assertEqual((made["name"], made["admin"]), ("ada", True))
        again = run("user", "add", "ada", "--password-stdin", text="correct horse\n")
        self.assertEqual((again.returncode, len(again.stderr.splitlines())), (1, 1))
        room = self.server.command_json("room", "create", "Design review")
        self.assertEqual({"hub_id", "pin", "join_url", "token"} - set(room), set())
        token = self.server.command_json(
            "room", "token", room["hub_id"], "--role", "viewer"
        )
        self.assertTrue(token["token"])
        unknown = run("room", "token", "123456789", "--role", "host")
        self.assertEqual(unknown.returncode, 1)
        self.assertEqual(run("room", "close", room["hub_id"]).returncode, 0)
        self.assertEqual(run("user", "remove", "ada").returncode, 0)
        self.assertEqual(self.server.command_json("user", "list"), [])

    def test_the_server_sees_what_a_verb_made(self) -> None:
        """An account made beside the running server logs in at once."""
        self.server.start()
        self.server.command(
            "user", "add", "bob", "--password-stdin", text="correct horse\n"
        )
        status, session = self.server.call(
            "POST", "/sessions", {"name": "bob", "password": "correct horse"}
        )
        self.assertEqual(status, 201)
        room = self.server.command_json("room", "create", "Lisbon")
        status, joined = self.server.call(
            "POST",
            f"/rooms/{room['hub_id']}/join",
            {"name": "Guest", "pin": room["pin"]},
        )
        self.assertEqual((status, joined["role"]), (200, "editor"))
        credentials = self.server.command_json("turn", "credentials")
        self.assertEqual(set(credentials), {"urls", "username", "credential", "ttl"})
        self.assertIn(
            f"turn:localhost:{self.server.turn_port}?transport=udp", credentials["urls"]
        )
        self.server.command("user", "remove", "bob")
        deadline = time.monotonic() + 5
        while True:
            status, _ = self.server.call("GET", "/me", token=session["token"])
            if status == 401 or time.monotonic() > deadline:
                break
            time.sleep(0.1)
        self.assertEqual(status, 401)

    def test_version(self) -> None:
        """What a fault report needs."""
        record = self.server.command_json("version")
        self.assertIn("mosaic", record)
        self.assertIn("twisted", record)


class ImportTests(SynchronousTestCase):
    """Listing plugins costs nothing and decides nothing."""

    def run_python(self, code: str) -> str:
        """What a fresh interpreter prints."""
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_import_and_plugin_listing_install_no_reactor(self) -> None:
        """Nor do they load what is heavy."""
        loaded = self.run_python(
            "import json, sys, mosaic, mosaic.tap\n"
            "from twisted.plugin import getPlugins\n"
            "from twisted.application.service import IServiceMaker\n"
            "assert 'mosaic' in {p.tapname for p in getPlugins(IServiceMaker)}\n"
            "print(json.dumps(sorted(sys.modules)))"
        )
        modules = set(json.loads(loaded))
        heavy = {
            "twisted.internet.reactor", "klein", "OpenSSL", "sqlalchemy", "autobahn",
            "pycrdt", "wokkel", "alembic", "cryptography",
        }  # fmt: skip
        self.assertEqual(modules & heavy, set())

    def test_a_verb_loads_no_server(self) -> None:
        """Half of the second that `mosaic room list` took was for importing what
        `mosaic room export` needs."""
        loaded = self.run_python(
            "import json, sys, mosaic.cli.main\n"
            "mosaic.cli.main.parser()\n"
            "print(json.dumps(sorted(sys.modules)))"
        )
        modules = set(json.loads(loaded))
        heavy = {
            "twisted.internet.reactor", "klein", "autobahn", "pycrdt", "wokkel",
            "prometheus_client", "pypdfium2", "mosaic.app.build",
        }  # fmt: skip
        self.assertEqual(modules & heavy, set())

    def test_twist_knows_mosaic(self) -> None:
        """`twist mosaic` works too."""
        server = RunningMosaic()
        self.addCleanup(server.stop)
        command = [sys.executable, "-m", "twisted", "mosaic", "--state"]
        command += [str(server.state), "--port", str(server.port), "--http-port"]
        command += [str(server.http_port), "--turn-port", str(server.turn_port)]
        server.process = subprocess.Popen(
            command, env=environment(), stdout=subprocess.DEVNULL, text=True
        )
        server.wait_until_ready()
        self.assertEqual(os.path.exists(server.state / "run.json"), True)
        self.assertEqual(server.stop(), 0)
