"""A slixmpp client on asyncio that asks one IQ after the other."""

from __future__ import annotations

import asyncio
import xml.etree.ElementTree as ET
from typing import Any

from slixmpp import ClientXMPP
from slixmpp.exceptions import IqError, IqTimeout

WITHIN_S = 40.0


class Refused(Exception):
    """The answer was an error. condition: why."""

    def __init__(self, condition: str) -> None:
        super().__init__(condition)
        self.condition = condition


class Asker(ClientXMPP):  # type: ignore[misc]  # slixmpp is untyped here
    """Logs in and asks. ca_file: given, direct TLS that trusts it; else in the
    clear, to a server of the test on loopback."""

    def __init__(self, jid: str, password: str, *, ca_file: str = "") -> None:
        super().__init__(jid, password)
        if ca_file:
            self.ca_certs = ca_file
        self.enable_direct_tls = bool(ca_file)
        self.enable_starttls = False
        self.enable_plaintext = not ca_file
        if not ca_file:
            self.plugin["feature_mechanisms"].unencrypted_scram = True
        self.started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.add_event_handler("session_start", self._start)
        self.add_event_handler("failed_all_auth", self._refused)

    def _start(self, _: object) -> None:
        if not self.started.done():
            self.started.set_result(None)

    def _refused(self, _: object) -> None:
        if not self.started.done():
            self.started.set_exception(RuntimeError("not let in"))

    async def log_in(self, port: int, host: str = "127.0.0.1") -> None:
        """Connect, and be present."""
        self.connect(host, port)
        await asyncio.wait_for(self.started, WITHIN_S)
        self.send_presence()

    async def ask(
        self, to: str, inner: str, kind: str = "get", within_s: float = WITHIN_S
    ) -> Any:
        """The child of the result, None for an empty one. Raises Refused."""
        question = self.make_iq(ito=to, itype=kind)
        question.append(ET.fromstring(inner))
        try:
            answer = await question.send(timeout=within_s)
        except IqError as error:
            raise Refused(error.condition) from None
        except IqTimeout:
            raise Refused("timeout") from None
        children = list(answer.xml)
        return children[0] if children else None
