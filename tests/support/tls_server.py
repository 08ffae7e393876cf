"""A server process: python -m tests.support.tls_server STATE ENDPOINT...

It pins the curves before OpenSSL loads, as Mosaic does, makes certificates in
STATE, prints the ports it listens on in one line, and ends when its standard
input is closed.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from mosaic.tls.groups import pin_groups


def main(state: Path, descriptions: list[str]) -> None:
    """Serve until standard input ends."""
    assert pin_groups(state)

    from twisted.internet import reactor as chosen
    from twisted.internet.defer import gatherResults
    from twisted.internet.protocol import Protocol
    from twisted.internet.stdio import StandardIO

    from mosaic.tls.authority import ensure_certificates
    from mosaic.tls.context import ServerContext
    from mosaic.tls.endpoints import server_endpoint
    from tests.support.tls_routes import shared_port

    reactor: Any = chosen
    context = ServerContext(ensure_certificates(state, "localhost", time.time()))

    class Lifeline(Protocol):
        """Ends the process together with the test that started it."""

        def connectionLost(self, reason: object = None) -> None:
            reactor.stop()

    def announce(ports: list[Any]) -> None:
        print(*(port.getHost().port for port in ports), flush=True)  # noqa: T201

    def fail(failure: Any) -> None:
        sys.stderr.write(failure.getErrorMessage() + "\n")
        reactor.stop()

    listening = gatherResults(
        [
            server_endpoint(reactor, text, default_context=context).listen(
                shared_port(reactor)
            )
            for text in descriptions
        ]
    )
    listening.addCallbacks(announce, fail)
    StandardIO(Lifeline())
    reactor.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
