"""What squid asks for NTLM and Negotiate, answered by one who knows the password.

squid runs its helper as a user of its own, who may not read this checkout; so the
helper only carries lines to this process, where pyspnego's server is.

squid says `YR TOKEN` for a first leg and `KK TOKEN` for a later one; the answers
are `TT TOKEN`, `AF [TOKEN] USER` and `NA [TOKEN] REASON`.
"""

from __future__ import annotations

import base64
import os
import shutil
import socket
import sys
import threading
from pathlib import Path
from typing import IO, Any

CARRIER = """import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as there:
    lines = there.makefile("rw")
    for line in sys.stdin:
        lines.write(line)
        lines.flush()
        sys.stdout.write(lines.readline())
        sys.stdout.flush()
"""


def carrier_python() -> str:
    """A Python that everybody may run."""
    return shutil.which("python3", path="/usr/local/bin:/usr/bin") or sys.executable


class NtlmOracle:
    """Answers one carrier after the other. kind: ntlm or negotiate. users: a file
    of `DOMAIN:user:password` lines."""

    def __init__(self, kind: str, users: Path) -> None:
        os.environ["NTLM_USER_FILE"] = str(users)
        self._kind = kind
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """No more carriers; those that are there end with squid."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            lines = connection.makefile("rw")
            threading.Thread(target=self._answer, args=[lines], daemon=True).start()

    def _answer(self, lines: IO[str]) -> None:
        import spnego

        server: Any = None
        for line in lines:
            word, _, token = line.strip().partition(" ")
            if word == "YR":
                server = spnego.server(protocol=self._kind, service="HTTP")
            lines.write(self._step(server, token) + "\n")
            lines.flush()

    def _step(self, server: Any, token: str) -> str:
        from spnego.exceptions import SpnegoError

        mutual = self._kind == "negotiate"
        try:
            made = base64.b64encode(server.step(base64.b64decode(token)) or b"")
        except SpnegoError:
            return "NA * wrong" if mutual else "NA wrong"
        if server.complete:
            return f"AF {made.decode() or '*'} alice" if mutual else "AF alice"
        return f"TT {made.decode()}"
