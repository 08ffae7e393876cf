"""Others' components at a whole Mosaic: slixmpp's, over a socket of loopback."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import TestCase

from slixmpp.componentxmpp import ComponentXMPP

from tests.support.running import RunningMosaic, free_port
from tests.support.slixmpp_asker import Asker, Refused

DOMAIN = "echo.localhost"
WITHIN_S = 40.0
CONFIG = """\
[xmpp]
components_listen = "tcp:{port}:interface=127.0.0.1"

[[xmpp.components]]
domain = "{domain}"
secret_file = "{secret}"
"""


class Echo(ComponentXMPP):  # type: ignore[misc]  # slixmpp is untyped here
    """Sends back what it is told."""

    def __init__(self, secret: str, port: int) -> None:
        super().__init__(DOMAIN, secret, "127.0.0.1", port)
        self.register_plugin("xep_0199")
        self.stands = asyncio.Event()
        self.add_event_handler("session_start", lambda _: self.stands.set())
        self.add_event_handler("message", self.echo)

    def echo(self, message: Any) -> None:
        """The same words."""
        if message["type"] != "error":
            message.reply(message["body"]).send()


class ListenerTests(TestCase):
    """XEP-0114 as others speak it."""

    def setUp(self) -> None:
        """A server that expects one component."""
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        secret = Path(folder.name) / "secret"
        secret.write_text("open sesame\n")
        self.port = free_port()
        config = Path(folder.name) / "mosaic.toml"
        config.write_text(CONFIG.format(port=self.port, domain=DOMAIN, secret=secret))
        self.mosaic = RunningMosaic("--config", str(config)).start()
        self.addCleanup(self.mosaic.stop)
        words = ("user", "add", "ann", "--password-stdin")
        added = self.mosaic.command(*words, text="secret\n")
        self.assertEqual(added.returncode, 0, added.stderr)

    def test_a_component_of_slixmpp(self) -> None:
        """Refused with a wrong secret; then it hears, answers, asks, and goes."""
        asyncio.run(asyncio.wait_for(self.converse(), 3 * WITHIN_S))

    async def converse(self) -> None:
        """The whole of it."""
        ca_file = str(self.mosaic.state / "tls" / "ca.pem")
        ann = Asker("ann@localhost/t", "secret", ca_file=ca_file)
        await ann.log_in(self.mosaic.port)
        heard: asyncio.Queue[Any] = asyncio.Queue()
        ann.add_event_handler("message", heard.put_nowait)
        ping = "<ping xmlns='urn:xmpp:ping'/>"
        with self.assertRaises(Refused) as caught:
            await ann.ask(DOMAIN, ping)
        self.assertEqual(caught.exception.condition, "remote-server-timeout")
        wrong = Echo("guess", self.port)
        wrong.connect()
        with self.assertRaises(asyncio.TimeoutError):
            await asyncio.wait_for(wrong.stands.wait(), 1)
        wrong.abort()
        echo = Echo("open sesame", self.port)
        echo.connect()
        await asyncio.wait_for(echo.stands.wait(), WITHIN_S)
        await ann.ask(DOMAIN, ping)
        ann.send_message(mto=f"parrot@{DOMAIN}", mbody="Grüße <&>", mtype="chat")
        message = await asyncio.wait_for(heard.get(), WITHIN_S)
        self.assertEqual(str(message["from"]), f"parrot@{DOMAIN}")
        self.assertEqual(message["body"], "Grüße <&>")
        info = await echo.plugin["xep_0030"].get_info("localhost", ifrom=DOMAIN)
        kinds = {identity[0] for identity in info["disco_info"]["identities"]}
        self.assertEqual(kinds, {"server"})
        await echo.disconnect()
        for _ in range(100):
            try:
                await ann.ask(DOMAIN, ping)
            except Refused as error:
                self.assertEqual(error.condition, "remote-server-timeout")
                break
            await asyncio.sleep(0.05)
        else:
            self.fail("the component is still there")
        await ann.disconnect()
