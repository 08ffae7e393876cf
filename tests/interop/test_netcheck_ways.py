# mypy: disable-error-code="no-untyped-call"
"""The command and the engine as a whole, regions, and what breaks one thing alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.threads import deferToThread
from twisted.web.proxy import ReverseProxyResource
from twisted.web.server import Site

from mosaic.netcheck import relays
from mosaic.netcheck.around import Around, Server
from mosaic.netcheck.dtls import open_dtls
from mosaic.netcheck.services import ServiceChecks
from mosaic.proxy.client import direct_dialler
from mosaic.wire.hops import HopError, NoAnswer
from mosaic.wire.stun.address import Address
from mosaic.wire.turn.asking import binding
from tests.support import proxies
from tests.support.certificate import self_signed_pem
from tests.support.netcheck_case import AWAY_S, SERVICES, NetcheckCase
from tests.support.running import environment, free_port

reactor: Any = _reactor


class WaysTests(NetcheckCase):
    """Each breaks something else."""

    def test_command(self) -> None:
        """Everything is there on loopback: exit 0, and JSON as documented."""
        done = self.mosaic.command("netcheck", "--json")
        report = json.loads(done.stdout)
        self.assertEqual(done.returncode, {"ok": 0, "degraded": 1}[report["outcome"]])
        self.assertEqual(report["format"], 1)
        by_name = {check["name"]: check for check in report["checks"]}
        for name in (*SERVICES, "turn-udp", "turn-dtls"):
            self.assertEqual(by_name[name]["outcome"], "ok", by_name[name])
        # A loaded machine may call its own round trips uneven.
        self.assertLess(by_name["quality"]["data"]["loss"], 0.5)
        self.assertGreater(by_name["quality"]["data"]["mos"], 1)
        self.assertLess(by_name["relay-speed"]["data"]["loss"], 0.5)
        self.assertEqual(by_name["relay-speed"]["data"]["way"], "udp")
        self.assert_regions(by_name)
        self.assertGreater(by_name["bandwidth"]["data"]["down_kbit_s"], 100)
        documented = (Path(__file__).parents[2] / "docs" / "netcheck.md").read_text()
        for name in by_name:
            self.assertIn(name.partition("-")[0], documented)

    def assert_regions(self, by_name: dict[str, Any]) -> None:
        """Near before far, and one that is not there."""
        self.assertEqual(by_name["nearest"]["data"]["order"], ["Lisbon", "Far"])
        far = by_name["region-Far"]
        self.assertGreater(far["data"]["rtt_ms"], 2 * AWAY_S * 1000 - 5)
        self.assertEqual(far["data"]["ways"], {"udp": "ok", "tls": "ok"})
        self.assertEqual(by_name["region-Gone"]["outcome"], "degraded")

    async def test_on_the_asyncio_reactor(self) -> None:
        """The hub awaits the same engine in a task, through its proxy."""
        squid = proxies.squid()
        self.addCleanup(squid.stop)
        words = [self.mosaic.tls_url, f"http://127.0.0.1:{squid.port}", str(self.ca)]
        done = await deferToThread(
            subprocess.run,
            [sys.executable, "-m", "tests.support.asyncio_netcheck", *words],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertTrue(done.stdout, done.stderr)
        report = json.loads(done.stdout)
        by_name = {check["name"]: check for check in report["checks"]}
        for name in ("proxy", *SERVICES, "turn-udp", "turn-dtls"):
            self.assertEqual(by_name[name]["outcome"], "ok", by_name[name])

    async def test_update_feed(self) -> None:
        """None, a fresh one, one that nobody signs any more, and something else."""
        server = Server.parse(self.mosaic.tls_url)
        dialler = direct_dialler(reactor, trust=self.trust)
        services = ServiceChecks(Around(server=server, dialler=dialler))
        found = await services.updates()
        self.assertEqual((found.outcome, found.data), ("skipped", {"reached": True}))
        file = self.mosaic.state / "updates" / "metadata" / "timestamp.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        self.addCleanup(file.unlink)
        for year, outcome in (("2099", "ok"), ("2020", "degraded")):
            expires = f"{year}-01-01T00:00:00Z"
            file.write_text(json.dumps({"signed": {"expires": expires}}))
            self.assertEqual((await services.updates()).outcome, outcome)
        file.write_text("<html>")
        with self.assertRaises(NoAnswer):
            await services.updates()

    async def test_dtls_is_verified(self) -> None:
        """The right name and authority; another of each; and nobody there."""
        trust, stranger = self.trust, self.trusting(self_signed_pem().encode())
        at = Address("127.0.0.1", self.dtls_port)

        async def shake(name: str, trust: Any, to: Address = at) -> str:
            try:
                talk = await open_dtls(reactor, to, name=name, trust=trust, hop="r")
            except HopError as error:
                return f"{error.stage}: {error.message}"
            await talk.ask(binding(bytes(12)))
            await talk.close()
            return "answered"

        for name in ("localhost", "127.0.0.1"):
            self.assertEqual(await shake(name, trust), "answered")
        self.assertIn("unknown authority", await shake("localhost", stranger))
        self.assertIn("another name", await shake("meet.example.org", trust))
        nobody = Address("127.0.0.1", free_port())
        self.assertEqual(
            await shake("localhost", trust, nobody), "application: refused"
        )

    async def test_something_that_breaks_websockets(self) -> None:
        """REST passes a box that knows no Upgrade: said of the WebSocket alone."""
        box = ReverseProxyResource("127.0.0.1", self.mosaic.http_port, b"")
        port = reactor.listenTCP(0, Site(box), interface="127.0.0.1")
        self.addCleanup(lambda: maybeDeferred(port.stopListening))
        report = await self.check(url=f"http://127.0.0.1:{port.getHost().port}")
        self.assert_ok(report, "rest")
        self.assertIn("WebSockets", self.of(report, "drcp").advice)
        self.assertEqual(report.exit_code, 2)

    async def test_silence_through_a_proxy(self) -> None:
        """One that bears it, and one that cuts connections that say nothing."""
        self.patch(relays, "HOLD_S", 2.5)
        for line, outcome in (("", "ok"), ("read_timeout 1 second", "degraded")):
            squid = proxies.squid(extra=line)
            self.addCleanup(squid.stop)
            report = await self.check(f"http://127.0.0.1:{squid.port}", long=True)
            found = self.of(report, "idle")
            self.assertEqual(found.outcome, outcome, found)
            self.assertEqual(found.stage, "" if outcome == "ok" else "proxy")
            (quality,) = [v for v in report.verdicts if v.capability == "quality"]
            self.assertEqual(quality.outcome, outcome)

    async def test_another_name(self) -> None:
        """The address is right and the name is not."""
        report = await self.check(url=f"https://127.0.0.9:{self.mosaic.port}")
        found = self.of(report, "tls")
        self.assertEqual((found.outcome, found.stage), ("blocked", "tls"))
        self.assertIn("another name", found.detail)
        self.assertIn("check the name 127.0.0.9", found.advice)

    def test_command_says_what_it_cannot_use(self) -> None:
        """Usage and files: one line, exit 1, no password in it."""
        for words, text in (
            (["--server", "ftp://x"], "https"),
            (["--proxy", "http://u:secret@p:1"], "--proxy-login"),
            (["--proxy-login", "/nowhere"], "/nowhere"),
            (["--ca", "/nowhere"], "--ca"),
        ):
            done = self.mosaic.command("netcheck", *words)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn(text, done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertNotIn("secret", done.stderr)

    def test_json_is_one_document(self) -> None:
        """Also when nothing works."""
        done = self.mosaic.command(
            "netcheck", "--json", "--quick", "--server", "https://127.0.0.1:1"
        )
        self.assertEqual(done.returncode, 2)
        self.assertEqual(json.loads(done.stdout)["outcome"], "blocked")
