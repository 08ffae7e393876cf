"""Profiles, commands and discovery as slixmpp's own plugins use them."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import urllib.request
from datetime import UTC, datetime
from typing import Any
from unittest import TestCase

from slixmpp.exceptions import IqError

from tests.support.running import RunningMosaic
from tests.support.slixmpp_asker import Asker

WITHIN_S = 40.0
GIF = b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"
SHA1 = hashlib.sha1(GIF).hexdigest()
ACCOUNTS = {"ann": "secret", "bob": "hidden"}
PLUGINS = (
    "xep_0012", "xep_0030", "xep_0050", "xep_0054", "xep_0092", "xep_0115",
    "xep_0128", "xep_0133", "xep_0153", "xep_0199",
)  # fmt: skip


class ExtrasTests(TestCase):
    """A whole Mosaic and two people."""

    def setUp(self) -> None:
        """ann administers."""
        self.mosaic = RunningMosaic().start()
        self.addCleanup(self.mosaic.stop)
        for name, password in ACCOUNTS.items():
            words = ["user", "add", name, "--password-stdin"]
            words += ["--admin"] if name == "ann" else []
            done = self.mosaic.command(*words, text=f"{password}\n")
            self.assertEqual(done.returncode, 0, done.stderr)
        self.ca_file = str(self.mosaic.state / "tls" / "ca.pem")

    def test_what_slixmpp_makes_of_it(self) -> None:
        """One conversation: the server takes longer to start than all of it."""
        asyncio.run(asyncio.wait_for(self.converse(), 3 * WITHIN_S))

    async def client(self, name: str) -> Any:
        """With the plugins."""
        client = Asker(f"{name}@localhost/t", ACCOUNTS[name], ca_file=self.ca_file)
        for plugin in PLUGINS:
            client.register_plugin(plugin)
        await client.log_in(self.mosaic.port)
        return client

    async def converse(self) -> None:
        """Every part."""
        ann, bob = await self.client("ann"), await self.client("bob")
        await self.small_answers(ann)
        await self.capabilities(ann)
        await self.pictures(ann, bob)
        await self.commands(ann, bob)
        await bob.disconnect()
        last = await ann.plugin["xep_0012"].get_last_activity("bob@localhost")
        self.assertLess(last["last_activity"]["seconds"], 30)
        await ann.disconnect()

    async def small_answers(self, ann: Any) -> None:
        """XEP-0092, 0202, 0012."""
        version = await ann.plugin["xep_0092"].get_version("localhost")
        self.assertEqual(version["software_version"]["name"], "Mosaic")
        # slixmpp 1.17 cannot read its own plugin's answers to XEP-0202.
        time = await ann.ask("localhost", "<time xmlns='urn:xmpp:time'/>")
        told = datetime.strptime(time[1].text, "%Y-%m-%dT%H:%M:%S%z")
        self.assertLess(abs((told - datetime.now(UTC)).total_seconds()), 60)
        up = await ann.plugin["xep_0012"].get_last_activity("localhost")
        self.assertLess(up["last_activity"]["seconds"], 600)

    async def capabilities(self, ann: Any) -> None:
        """XEP-0115: the hash in the stream features is the one that slixmpp
        makes of the answer, forms and all."""
        info = await ann.plugin["xep_0030"].get_info("localhost")
        caps = ann.plugin["xep_0115"]
        made = caps.generate_verstring(info["disco_info"], "sha-1")
        query = await ann.ask(
            "localhost",
            "<query xmlns='http://jabber.org/protocol/disco#info' "
            f"node='https://localhost#{made}'/>",
        )
        self.assertGreater(len(query), 5)

    async def pictures(self, ann: Any, bob: Any) -> None:
        """XEP-0153 sets it, presence tells it, XEP-0054 and HTTP give it."""
        told: asyncio.Queue[Any] = asyncio.Queue()
        bob.add_event_handler("vcard_avatar_update", told.put_nowait)
        with self.assertRaises(IqError):
            await ann.plugin["xep_0054"].get_vcard("bob@localhost")
        await ann.plugin["xep_0153"].set_avatar(avatar=GIF, mtype="image/gif")
        while True:
            presence = await asyncio.wait_for(told.get(), WITHIN_S)
            if presence["vcard_temp_update"]["photo"] == SHA1:
                break
        got = await bob.plugin["xep_0054"].get_vcard("ann@localhost", cached=False)
        self.assertEqual(got["vcard_temp"]["PHOTO"]["BINVAL"], GIF)
        context = ssl.create_default_context(cafile=self.ca_file)
        url = f"{self.mosaic.tls_url}/api/v1/avatars/{SHA1}"

        def fetch() -> tuple[str, bytes]:
            with urllib.request.urlopen(url, timeout=10, context=context) as answer:
                return answer.headers["Content-Type"], answer.read()

        self.assertEqual(await asyncio.to_thread(fetch), ("image/gif", GIF))

    async def commands(self, ann: Any, bob: Any) -> None:
        """XEP-0133 adds a user in two stages; bob may not."""
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def fill_in(iq: Any, session: dict[str, Any]) -> None:
            form = ann.plugin["xep_0004"].make_form(ftype="submit")
            for var, value in (
                ("FORM_TYPE", "http://jabber.org/protocol/admin"),
                ("accountjid", "carl@localhost"),
                ("password", "correct horse"),
                ("password-verify", "correct horse"),
            ):
                form.add_field(var=var, value=value)
            session["payload"] = form
            session["next"] = lambda iq, session: done.set_result(iq)
            ann.plugin["xep_0050"].complete_command(session)

        def failed(iq: Any, session: dict[str, Any]) -> None:
            done.set_exception(AssertionError(iq["error"]["condition"]))

        session: dict[str, Any] = {"next": fill_in, "error": failed}
        ann.plugin["xep_0133"].add_user(session=session)
        answer = await asyncio.wait_for(done, WITHIN_S)
        self.assertEqual(answer["command"]["status"], "completed")
        users = await asyncio.to_thread(self.mosaic.command_json, "user", "list")
        self.assertIn("carl", [user["name"] for user in users])
        refused: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        bob.plugin["xep_0133"].add_user(
            session={
                "next": lambda iq, session: refused.set_result("let in"),
                "error": lambda iq, s: refused.set_result(iq["error"]["condition"]),
            }
        )
        self.assertEqual(await asyncio.wait_for(refused, WITHIN_S), "forbidden")
