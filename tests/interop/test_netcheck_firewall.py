"""The mission's firewall list in real namespaces: what it lets through, and what the
check says when less is open."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.namespaces import CLIENT_HOST, SERVER_HOST, Cable
from tests.support.running import environment, run_command

SECOND_HOST = "10.77.0.3"
PORTAL_PORT = 8088
CONFIG = f"""
public_host = "{SERVER_HOST}"
[endpoints]
rest = ["mosaic-tls:443"]
drcp = ["mosaic-tls:443"]
xmpp = ["mosaic-tls:443"]
turn_tls = ["mosaic-tls:443"]
turn_tcp = []
turn_udp = ["udp:53"]
redirect = ["tcp:80"]
[http]
acme_webroot = "@STATE@/webroot"
"""
START_S = 60.0
SERVICES = ("tls", "rest", "drcp", "xmpp", "turn-tls")


class FirewallCase(SynchronousTestCase):
    """A server behind a firewall, a person on the other end of a cable."""

    extra = ""

    def setUp(self) -> None:
        """Start the server in its namespace."""
        self.cable = Cable()
        self.addCleanup(self.cable.remove)
        self.state = Path(tempfile.mkdtemp(prefix="mosaic-fw-"))
        self.addCleanup(shutil.rmtree, self.state, ignore_errors=True)
        self.config = self.state / "mosaic.toml"
        config = CONFIG + self.extra
        self.config.write_text(config.replace("@STATE@", str(self.state)))
        if self.extra:
            add = ["ip", "addr", "add", f"{SECOND_HOST}/24", "dev", "eth0"]
            subprocess.run(self.cable.inside(self.cable.server, *add), check=True)
        self.server = self.start_server()
        self.addCleanup(self.stop_server)

    def start_server(self) -> subprocess.Popen[bytes]:
        """`twistd mosaic`, and wait until it is ready."""
        command = [
            sys.executable,
            "-c",
            "from twisted.scripts.twistd import run; run()",
        ]
        command += ["--pidfile=", "-n", "mosaic", "--config", str(self.config)]
        command += ["--state", str(self.state)]
        self.log = (self.state / "output").open("wb")
        self.addCleanup(self.log.close)
        process = subprocess.Popen(
            self.cable.inside(self.cable.server, *command),
            cwd=self.state,
            env=environment(),
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        deadline = time.monotonic() + START_S
        while not (self.state / "run.json").exists():
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                self.fail((self.state / "output").read_text())
            time.sleep(0.1)
        return process

    def stop_server(self) -> None:
        """`ip netns exec` has become the server itself."""
        self.server.send_signal(signal.SIGTERM)
        try:
            self.server.wait(20)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait()

    @property
    def ca(self) -> str:
        """Its file."""
        return str(self.state / "tls" / "ca.pem")

    def rules(self) -> str:
        """What `mosaic firewall --format nft` prints for this configuration."""
        return self.admin("firewall", "--format", "nft")

    def check(self, *words: str) -> tuple[int, dict[str, Any]]:
        """`mosaic netcheck --json` in the person's namespace."""
        command = [sys.executable, "-m", "mosaic.cli"]
        command += ["--state", str(self.state / "person"), "netcheck", "--json"]
        command += ["--server", f"https://{SERVER_HOST}", "--proxy", "direct"]
        command += ["--ca", self.ca, *words]
        done = self.as_person(*command)
        self.assertIn(done.returncode, (0, 1, 2), done.stderr)
        self.assertTrue(done.stdout, done.stderr)
        return done.returncode, json.loads(done.stdout)

    def as_person(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command on the other end of the cable."""
        return subprocess.run(
            self.cable.inside(self.cable.client, *command),
            env={**environment(), "HOME": os.environ.get("HOME", "/")},
            capture_output=True,
            text=True,
            timeout=120,
        )

    def admin(self, *words: str, text: str | None = None) -> str:
        """What an admin verb of `mosaic` prints."""
        done = run_command(
            "--config", str(self.config), "--state", str(self.state), *words, text=text
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return str(done.stdout)

    def checks(self, report: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """By their names."""
        return {check["name"]: check for check in report["checks"]}

    def verdict(self, report: dict[str, Any], capability: str) -> dict[str, Any]:
        """One of them."""
        (found,) = [v for v in report["verdicts"] if v["capability"] == capability]
        return dict(found)


class MissionListTests(FirewallCase):
    """Everything in turn on one server: a start takes seconds."""

    def test_the_printed_rules_suffice_and_less_is_told(self) -> None:
        """REST, DRCP, XMPP, updates, TURN by UDP 53 and by TLS 443 with nothing else
        open; then without UDP, behind a portal, and without TCP 443."""
        self.lock_up()
        self.everything_is_there()
        self.people_meet()
        self.port_80_leads_to_https()
        self.media_takes_tls_where_udp_is_shut()
        self.a_portal_is_told()
        self.what_stands_in_the_way_of_443_is_told()

    def lock_up(self) -> None:
        """Exactly the mission's list: TCP 80, TCP 443, UDP 53."""
        rules = self.printed = self.rules()
        for port in ("tcp dport 80", "tcp dport 443", "udp dport 53"):
            self.assertIn(port, rules)
        self.assertEqual(rules.count("dport"), 3)
        self.cable.nft(self.cable.server, rules)
        self.assertTrue(self.is_closed(), "the policy is no drop")

    def everything_is_there(self) -> None:
        """The check says good."""
        feed = self.state / "updates" / "metadata"
        feed.mkdir(parents=True, exist_ok=True)
        signed = {"signed": {"expires": "2099-01-01T00:00:00Z"}}
        (feed / "timestamp.json").write_text(json.dumps(signed))
        code, report = self.check()
        checks = self.checks(report)
        wanted = (*SERVICES, "updates", "udp-53", "turn-udp", "tcp-80", "tcp-443")
        for name in wanted:
            self.assertEqual(checks[name]["outcome"], "ok", checks[name])
        self.assertEqual(checks["tcp-80"]["detail"], "redirects to https")
        self.assertEqual(checks["relay-speed"]["data"]["way"], "udp")
        # A loaded machine may call its own round trips uneven.
        even = self.verdict(report, "quality")["outcome"] == "ok"
        self.assertEqual(code, 0 if even else 1, report)

    def people_meet(self) -> None:
        """A room by DRCP, and a conversation by XMPP, through the same ports."""
        room = json.loads(self.admin("room", "create", "Atrium", "--json"))
        drcp = ("-m", "mosaic.cli", "drcp", "conformance", f"https://{SERVER_HOST}")
        only = ("--token", room["token"], "--only", "open-is-one-round-trip")
        done = self.as_person(sys.executable, *drcp, "--ca", self.ca, *only)
        self.assertIn("pass", done.stdout, done.stderr)
        words = ("user", "add", "ada", "--password-stdin")
        self.admin(*words, text="correct horse\n")
        hello = ("-m", "tests.support.slixmpp_hello", f"ada@{SERVER_HOST}")
        to = ("correct horse", SERVER_HOST, "443", self.ca)
        done = self.as_person(sys.executable, *hello, *to)
        self.assertEqual(done.stdout, "hello\n", done.stderr)

    def port_80_leads_to_https(self) -> None:
        """And a certificate authority finds its token there."""
        tokens = self.state / "webroot" / ".well-known" / "acme-challenge"
        tokens.mkdir(parents=True)
        (tokens / "tok").write_text("tok.thumb")
        fetch = (
            "import http.client, sys; c = http.client.HTTPConnection(sys.argv[1])\n"
            "for path in sys.argv[2:]:\n c.request('GET', path); r = c.getresponse();"
            "print(r.status, r.getheader('location'), r.read().decode().strip())"
        )
        paths = ("/.well-known/acme-challenge/tok", "/join/1")
        done = self.as_person(sys.executable, "-c", fetch, SERVER_HOST, *paths)
        token, elsewhere = done.stdout.splitlines() or [done.stderr] * 2
        self.assertEqual(token, "200 None tok.thumb")
        self.assertIn(f"301 https://{SERVER_HOST}/join/1 ", elsewhere)

    def media_takes_tls_where_udp_is_shut(self) -> None:
        """Degraded, and packets go there and back through TLS 443."""
        self.cable.nft(self.cable.client, _output("udp dport 53 drop"))
        code, report = self.check()
        checks = self.checks(report)
        for name in SERVICES:
            self.assertEqual(checks[name]["outcome"], "ok", checks[name])
        self.assertEqual(checks["udp-53"]["outcome"], "blocked")
        self.assertIn("UDP port 53", checks["udp-53"]["advice"])
        looped = checks["relay-speed"]["data"]
        self.assertEqual(looped["way"], "tls")
        self.assertLess(looped["loss"], 0.5)
        media = self.verdict(report, "media")
        self.assertEqual((media["outcome"], code), ("degraded", 1))
        self.assertIn("TLS", media["advice"])
        self.assertIn("UDP port 53", media["advice"])

    def a_portal_is_told(self) -> None:
        """HTTP leads elsewhere, and TLS is cut: one line says what to do."""
        portal = self.start_portal()
        dnat = _chain(
            "ip",
            "type nat hook output priority -100; policy accept;",
            f"tcp dport 80 dnat to {SERVER_HOST}:{PORTAL_PORT}",
        )
        reset = _output("tcp dport 443 reject with tcp reset", table="u")
        self.cable.nft(self.cable.server, "")
        self.cable.nft(self.cable.client, dnat + reset)
        code, report = self.check("--quick")
        portal.kill()
        portal.wait()
        self.cable.nft(self.cable.server, self.printed)
        found = self.checks(report)["tcp-80"]
        self.assertIn("302 to http://login.portal.test/", found["detail"])
        signalling = self.verdict(report, "signalling")
        self.assertEqual((signalling["outcome"], code), ("blocked", 2))
        self.assertIn("captive portal", signalling["advice"])
        self.assertIn("http://login.portal.test/", signalling["advice"])
        found = self.checks(report)["rest"]
        self.assertEqual(found["stage"], "tcp")
        self.assertIn("refused", found["detail"])

    def start_portal(self) -> subprocess.Popen[bytes]:
        """Answers every request with a page to log in at."""
        serve = (
            "import socket; s = socket.create_server(('', %d)); print(1, flush=True)\n"
            "while 1:\n c, _ = s.accept(); c.recv(999); c.sendall(b'HTTP/1.1 302 Found"
            "\\r\\nLocation: http://login.portal.test/\\r\\n\\r\\n'); c.close()"
        )
        process = subprocess.Popen(
            self.cable.inside(
                self.cable.server, sys.executable, "-c", serve % PORTAL_PORT
            ),
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        return process

    def what_stands_in_the_way_of_443_is_told(self) -> None:
        """Silence, and a connection that is cut."""
        self.cable.nft(self.cable.client, _output("tcp dport 443 drop"))
        code, report = self.check("--quick")
        found = self.checks(report)["rest"]
        self.assertEqual((code, found["stage"]), (2, "tcp"), found)
        self.assertIn("timeout", found["detail"])
        self.assertIn("443", found["advice"])
        # TCP stands, and the first record is answered with a reset.
        rule = "tcp dport 443 @ih,0,8 0x16 reject with tcp reset"
        self.cable.nft(self.cable.client, _output(rule))
        code, report = self.check("--quick")
        found = self.checks(report)["tls"]
        self.assertEqual((code, found["stage"]), (2, "tls"), found)

    def is_closed(self) -> bool:
        """Whether something that listens in the server's namespace is shut off."""
        listen = (
            "import socket; s = socket.create_server(('', 9999)); print(1, flush=True);"
            "s.settimeout(20); s.accept()"
        )
        listener = subprocess.Popen(
            self.cable.inside(self.cable.server, sys.executable, "-c", listen),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert listener.stdout is not None
        listener.stdout.readline()
        dial = f"import socket; socket.create_connection(('{SERVER_HOST}', 9999), 2)"
        dialled = subprocess.run(
            self.cable.inside(self.cable.client, sys.executable, "-c", dial),
            capture_output=True,
        )
        listener.kill()
        listener.wait()
        listener.stdout.close()
        return dialled.returncode != 0


class NatTests(FirewallCase):
    """RFC 5780 through NATs that the kernel makes."""

    extra = f"""
[turn]
nat_discovery = ["{SERVER_HOST}:53", "{SECOND_HOST}:3479"]
"""

    def test_each_nat_is_told_by_its_name(self) -> None:
        """None (as a full cone), symmetric, and cones that are restricted by address,
        and by address and port."""
        self.cable.nft(self.cable.server, self.rules())
        _, report = self.check("--quick")
        nat = self.checks(report)["nat"]
        self.assertEqual(nat["data"]["mapping"], "endpoint-independent", nat)
        self.assertEqual(nat["data"]["filtering"], "endpoint-independent", nat)
        self.cable.nft(
            self.cable.client,
            _chain(
                "ip",
                "type nat hook postrouting priority 100;",
                f"udp dport {{ 53, 3479 }} snat to {CLIENT_HOST}:40000-60000"
                " fully-random",
            ),
        )
        _, report = self.check("--quick")
        nat = self.checks(report)["nat"]
        self.assertEqual(nat["data"]["mapping"], "address-and-port-dependent", nat)
        self.assertEqual(nat["data"]["filtering"], "address-and-port-dependent", nat)
        self.assertEqual(self.verdict(report, "direct")["outcome"], "degraded")
        for filtering, rules in (
            # Answers from wherever the socket has written to: its address, ...
            ("address-dependent", _FILTER % ("ipv4_addr", "", "")),
            # ... or its address and port alone.
            (
                "address-and-port-dependent",
                _FILTER % ("ipv4_addr . inet_service", ". udp dport", ". udp sport"),
            ),
        ):
            self.cable.nft(self.cable.client, rules)
            _, report = self.check("--quick")
            nat = self.checks(report)["nat"]
            self.assertEqual(nat["data"]["mapping"], "endpoint-independent", nat)
            self.assertEqual(nat["data"]["filtering"], filtering, nat)
            self.assertEqual(self.verdict(report, "direct")["outcome"], "ok")
        self.loss_is_measured()

    def loss_is_measured(self) -> None:
        """One packet in five goes missing on its way out."""
        rule = "udp dport 53 numgen random mod 100 < 20 drop"
        self.cable.nft(self.cable.client, _output(rule))
        code, report = self.check()
        found = self.checks(report)["quality"]
        self.assertEqual(found["outcome"], "degraded", found)
        self.assertTrue(0.02 < found["data"]["loss"] < 0.6, found)
        self.assertGreater(found["data"]["burst"], 0)
        self.assertLess(found["data"]["mos"], 4)
        self.assertGreaterEqual(code, 1)


_FILTER = """table ip t {
set seen { type inet_service . %s; flags dynamic; }
chain out { type filter hook output priority 0; policy accept;
udp dport { 53, 3479 } add @seen { udp sport . ip daddr %s }
}
chain in { type filter hook input priority 0; policy accept;
ip protocol udp udp dport . ip saddr %s @seen accept
ip protocol udp drop
}
}"""


def _output(rule: str, table: str = "t") -> str:
    kind = "type filter hook output priority 0; policy accept;"
    return _chain("inet", kind, rule, table)


def _chain(family: str, kind: str, rule: str, table: str = "t") -> str:
    """One table with one chain with one rule."""
    return f"table {family} {table} {{\nchain c {{\n{kind}\n{rule}\n}}\n}}\n"
