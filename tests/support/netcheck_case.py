# mypy: disable-error-code="no-untyped-call"
"""A running Mosaic with regions and DTLS, and network checks against it."""

from __future__ import annotations

import atexit
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.ssl import (
    Certificate,
    trustRootFromCertificates,
)
from twisted.trial.unittest import TestCase

from mosaic.netcheck.engine import check_network
from mosaic.netcheck.known import KnownServers
from mosaic.netcheck.result import Check, Report
from mosaic.proxy.client import Dialler
from mosaic.proxy.discover import routes_for
from mosaic.proxy.endpoint import Patience
from mosaic.proxy.logins import Logins
from mosaic.wire.hops import Login
from tests.support.delay import DelayedDatagrams
from tests.support.running import RunningMosaic, free_port

reactor: Any = _reactor
SERVICES = ("tls", "rest", "drcp", "xmpp", "turn-tcp", "turn-tls")
CONFIG = """
region = "Lisbon"
[[regions]]
name = "Far"
urls = ["turn:127.0.0.1:{far}?transport=udp", "turns:localhost:{tls}?transport=tcp"]
[[regions]]
name = "Gone"
urls = ["turns:localhost:1?transport=tcp"]
[endpoints]
turn_dtls = ["dtls:{dtls}"]
"""
AWAY_S = 0.03
"""One way to a region that is far."""


class NetcheckCase(TestCase):
    """One server for all tests of a class: an address may begin six checks at once."""

    timeout = 90
    _shared: RunningMosaic | None = None
    dtls_port = 0

    @property
    def mosaic(self) -> RunningMosaic:
        """Started by the first test that wants it, ended with the process."""
        mine = type(self)
        if mine._shared is None:
            server = RunningMosaic()
            far = DelayedDatagrams(("127.0.0.1", server.turn_port), delay_s=AWAY_S)
            config = Path(self.mktemp()).absolute()
            mine.dtls_port = free_port()
            config.write_text(
                CONFIG.format(far=far.port, tls=server.port, dtls=mine.dtls_port)
            )
            server.flags += ("--config", str(config))
            mine._shared = server.start()
            # Not at the reactor's end: in a worker that is after each test.
            atexit.register(far.close)
            atexit.register(mine._shared.stop)
        return mine._shared

    @property
    def trust(self) -> Any:
        """The server's own CA."""
        return self.trusting(self.ca.read_bytes())

    @staticmethod
    def trusting(*pems: bytes) -> Any:
        """These CAs."""
        return trustRootFromCertificates([Certificate.loadPEM(pem) for pem in pems])

    @property
    def ca(self) -> Path:
        """Its file."""
        return self.mosaic.state / "tls" / "ca.pem"

    async def check(
        self,
        proxy: str = "direct",
        *,
        login: Login | None = None,
        url: str = "",
        trust: Any = None,
        long: bool = False,
        known: KnownServers | None = None,
    ) -> Report:
        """One run, quick."""
        trust = trust or self.trust
        logins = Logins({"127.0.0.1": login} if login else {})
        dialler = Dialler(
            reactor=reactor,
            routes=routes_for(proxy, reactor=reactor, logins=logins, trust=trust),
            logins=logins,
            trust=trust,
            patience=Patience(connect_s=3),
        )
        return await check_network(
            url or self.mosaic.tls_url, dialler, quick=True, long=long, known=known
        )

    def of(self, report: Report, name: str) -> Check:
        """One of its checks."""
        found = [check for check in report.checks if check.name == name]
        self.assertTrue(found, [check.name for check in report.checks])
        return found[0]

    def assert_ok(self, report: Report, *names: str) -> None:
        """These went well."""
        for name in names:
            check = self.of(report, name)
            self.assertEqual(check.outcome, "ok", f"{name}: {check.detail}")
