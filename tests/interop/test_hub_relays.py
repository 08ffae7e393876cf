"""A hub's ways to the relay: all of them, through proxies too, and what each refusal
says (aioice by itself says nothing)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support import proxies
from tests.support.certificate import self_signed_pem
from tests.support.proxies import PASSWORD, USER
from tests.support.running import ROOT, RunningMosaic, environment, free_port


class RelayWayTests(SynchronousTestCase):
    """One server, one hub's process for everything: it is the same program."""

    def setUp(self) -> None:
        """A server with its private CA."""
        self.server = RunningMosaic()
        self.addCleanup(self.server.stop)
        self.server.start()

    def wish(self, way: str, made: dict[str, str]) -> dict[str, Any]:
        """One relay."""
        port = self.server.port if way == "tls" else self.server.turn_port
        return {
            "host": "localhost" if way == "tls" else "127.0.0.1",
            "port": port,
            "way": way,
            "username": made["username"],
            "password": made["credential"],
            "ca": str(self.server.state / "tls" / "ca.pem"),
        }

    def ask(self, wishes: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """All at once; the answers by the same names."""
        done = subprocess.run(
            [sys.executable, "-m", "tests.support.relay_probe"],
            input=json.dumps(list(wishes.values())),
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return dict(zip(wishes, json.loads(done.stdout), strict=True))

    def test_every_way_and_every_refusal(self) -> None:
        """Datagrams go by UDP, TCP and TLS, through an HTTP and a SOCKS proxy with
        logins; what fails names the hop and the stage."""
        http, socks = proxies.tinyproxy(login=True), proxies.microsocks(login=True)
        for proxy in (http, socks):
            self.addCleanup(proxy.stop)
        other = Path(self.mktemp()).absolute()
        other.write_text(foreign_authority())
        login = f"{USER}:{PASSWORD}@127.0.0.1"
        # A login is good for ten allocations.
        one, two = (self.server.command_json("turn", "credentials") for _ in "12")
        base = {way: self.wish(way, one) for way in ("udp", "tcp", "tls")}
        tls = self.wish("tls", two)
        nobody, wrong = free_port(), {"password": "wrong"}
        good = {
            **base,
            "http": tls | {"proxy": f"http://{login}:{http.port}"},
            "socks": tls | {"proxy": f"socks5h://{login}:{socks.port}"},
        }
        bad = {
            "silent": base["udp"] | {"port": nobody},
            "refused": base["tcp"] | {"port": nobody},
            "login": base["tcp"] | wrong,
            "authority": base["tls"] | {"ca": str(other)},
            "name": base["tls"] | {"host": "127.0.0.2"},
            "proxy": base["tls"] | {"proxy": f"http://127.0.0.1:{http.port}"},
            "no proxy": base["tls"] | {"proxy": f"http://127.0.0.1:{nobody}"},
        }
        answers = self.ask(good | bad)
        for name in good:
            self.assertEqual(
                answers[name], {"failure": None, "stage": None, "echo": True}, name
            )
        for name, stage, words in (
            ("silent", "application", f"relay 127.0.0.1:{nobody} over UDP: no answer"),
            ("refused", "tcp", "refused"),
            ("login", "application", "refused the allocation (401"),
            ("authority", "tls", "unknown authority"),
            ("name", "tls", "another name"),
            ("proxy", "proxy", f"proxy http://127.0.0.1:{http.port}"),
            ("no proxy", "tcp", f"proxy http://127.0.0.1:{nobody}"),
        ):
            self.assertEqual(answers[name]["stage"], stage, answers[name])
            self.assertIn(words, answers[name]["failure"])


def foreign_authority() -> str:
    """A certificate that signed nothing here."""
    pem = self_signed_pem()
    return pem[pem.index("-----BEGIN CERTIFICATE") :]
