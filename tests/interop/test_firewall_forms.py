"""The printed rules as the kernel's own tools read them, in a namespace of the test."""

from __future__ import annotations

import subprocess

from twisted.trial.unittest import SynchronousTestCase

from mosaic.config.settings import Endpoints, Settings
from mosaic.netcheck.firewall import openings, render
from tests.support.namespaces import Cable
from tests.support.proxies import need

MISSION = Settings(
    endpoints=Endpoints(
        rest=("mosaic-tls:443",),
        drcp=("mosaic-tls:443",),
        xmpp=("mosaic-tls:443",),
        turn_tls=("mosaic-tls:443",),
        redirect=("tcp:80",),
        turn_tcp=(),
        turn_udp=("udp:53",),
    )
)


class FormTests(SynchronousTestCase):
    """nft and iptables take them; neither touches this machine."""

    def setUp(self) -> None:
        """Somewhere to load them."""
        need("nft", "iptables", "iptables-restore")
        self.cable = Cable()
        self.addCleanup(self.cable.remove)
        self.rows = openings(MISSION, relay_ports=True)

    def said(self, *command: str, text: str = "") -> str:
        """What a command prints in the server's namespace."""
        done = subprocess.run(
            self.cable.inside(self.cable.server, *command),
            input=text,
            capture_output=True,
            text=True,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_nft(self) -> None:
        """Checked, then loaded twice: the second time in place of the first."""
        rules = render(self.rows, "nft")
        self.said("nft", "-c", "-f", "-", text=rules)
        for _ in range(2):
            self.said("nft", "-f", "-", text=rules)
        listed = self.said("nft", "list", "ruleset")
        self.assertEqual(listed.count("dport"), 4)
        for port in ("tcp dport 80", "tcp dport 443", "udp dport 53", "49152-65535"):
            self.assertIn(port, listed)

    def test_iptables(self) -> None:
        """Each line by the shell; what stands then is what iptables-restore takes."""
        self.said("sh", "-e", text=render(self.rows, "iptables"))
        saved = self.said("iptables-save")
        for port in ("tcp", "udp"):
            self.assertIn(f"-p {port} -m {port} --dport", saved)
        self.assertEqual(saved.count("-j ACCEPT"), 4)
        self.said("iptables-restore", "--test", text=saved)
