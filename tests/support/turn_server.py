"""A TURN server of ours in a process of its own, for interop tests.

Arguments: networks that peers may be in, --nat=ADDRESS:PORT twice for RFC 5780.
Prints one JSON line with its ports and credentials, then serves until its
standard input closes. Everything is on loopback, every port is picked free.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet import ssl, stdio
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from mosaic.auth.turn_credentials import TurnSecrets
from mosaic.config.settings import Turn
from mosaic.services.turn.service import TurnService
from mosaic.tls.context import ServerContext
from mosaic.wire.turn.limits import Limits
from tests.support.certificate import self_signed_pem

reactor: Any = installed


class UntilClosed(Protocol):
    """Stops the reactor when whoever started us has gone."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Standard input has closed."""
        reactor.callFromThread(reactor.stop)


def main() -> None:
    """Open, tell, serve, close."""
    secrets = TurnSecrets([b"interop"], ttl_s=600)
    nat = [word[6:] for word in sys.argv[1:] if word.startswith("--nat=")]
    allow = [word for word in sys.argv[1:] if not word.startswith("--")]
    settings = Turn(
        allow_peers=tuple(allow),
        mobility=True,
        tcp_relay=True,
        nat_discovery=tuple(nat),
    )
    service = TurnService(
        reactor,
        settings,
        credentials=secrets,
        names=secrets,
        # turnutils_uclient of Debian picks its channels as RFC 5766 did
        limits=Limits(channels=range(0x4000, 0x8000), per_credential=1000),
        udp=(
            "udp:0:interface=127.0.0.1",
            "udp:0:interface=\\:\\:1",
            "udp:0:interface=127.0.0.1:proxy=v2",
        ),
        dtls=("dtls:0:interface=127.0.0.1",),
        dtls_context=lambda: dtls_context,
    )
    with TemporaryDirectory() as folder:
        pem = Path(folder) / "localhost.pem"
        pem.write_text(self_signed_pem())
        (Path(folder) / "localhost.key").write_text(pem.read_text())
        context = ssl.DefaultOpenSSLContextFactory(str(pem), str(pem))
        dtls_context = ServerContext(Path(folder)).for_datagrams()
    service.startService()
    tcp = reactor.listenTCP(0, service.stream_factory("tcp"), interface="127.0.0.1")
    tls = reactor.listenSSL(
        0, service.stream_factory("tls"), context, interface="127.0.0.1"
    )
    minted = secrets.mint("interop", time.time())
    told = {
        "udp": service.udp_addresses[0].port,
        "udp6": service.udp_addresses[1].port,
        "proxied": service.udp_addresses[2].port,
        "dtls": service.dtls_addresses[0].port,
        "tcp": tcp.getHost().port,
        "tls": tls.getHost().port,
        "username": minted.username,
        "password": minted.password,
    }
    stdio.StandardIO(UntilClosed())
    reactor.callWhenRunning(print, json.dumps(told), flush=True)
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.run()


if __name__ == "__main__":
    main()
