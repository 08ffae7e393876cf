"""One suite over three parents of the same components: Mosaic's own router,
Prosody and ejabberd."""

from __future__ import annotations

import asyncio
import ssl
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import TestCase

from tests.support.running import RunningMosaic
from tests.support.slixmpp_asker import Asker, Refused
from tests.support.xmpp_peers import ACCOUNTS, SECRET, Ejabberd, Peer, Prosody

INFO = "http://jabber.org/protocol/disco#info"
ITEMS = "http://jabber.org/protocol/disco#items"
UPLOAD = "urn:xmpp:http:upload:0"
COMMANDS = "http://jabber.org/protocol/commands"
ADMIN = "http://jabber.org/protocol/admin"
STATUS = "{http://jabber.org/protocol/muc#user}status"
WITHIN_S = 40.0
CONFIG = """\
[endpoints]
xmpp = []

[xmpp]
component = "tcp:127.0.0.1:{port}"
component_domain = "mosaic.localhost"
component_secret_file = "{secret}"
component_accounts = "localhost"
"""


class ParentSuite(TestCase):
    """What must be the same everywhere. ann administers, bob does not.

    host: of Mosaic itself. upload, rooms: of the others. Every check_ is one:
    they share the servers, which take longer to start than all of them together.
    """

    host = "mosaic.localhost"
    upload = "upload.mosaic.localhost"
    rooms = "rooms.mosaic.localhost"

    def start_mosaic(self, *flags: str) -> None:
        """With both accounts."""
        self.mosaic = RunningMosaic(*flags).start()
        self.addCleanup(self.mosaic.stop)
        for name, password in ACCOUNTS.items():
            words = ["user", "add", name, "--password-stdin"]
            words += ["--admin"] if name == "ann" else []
            done = self.mosaic.command(*words, text=f"{password}\n")
            self.assertEqual(done.returncode, 0, done.stderr)
        self.ca_file = self.mosaic.state / "tls" / "ca.pem"

    async def check_all(self) -> None:
        """Every check, each by its name."""
        checks = [n for n in dir(self) if n.startswith("check_") and n != "check_all"]
        self.assertGreaterEqual(len(checks), 9)
        self.clients: dict[str, Asker] = {}
        for name in checks:
            try:
                await asyncio.wait_for(getattr(self, name)(), 3 * WITHIN_S)
            except Exception as error:
                raise AssertionError(f"{name}: {error!r}") from error
        await self.leave()

    async def log_in(self, name: str) -> Asker:
        """Somebody at the parent."""
        raise NotImplementedError

    async def client(self, name: str) -> Asker:
        """The same client for all checks."""
        if name not in self.clients:
            self.clients[name] = await self.log_in(name)
        return self.clients[name]

    async def leave(self) -> None:
        """Log out everybody."""
        while self.clients:
            await self.clients.popitem()[1].disconnect()

    async def ask(self, name: str, to: str, inner: str, kind: str = "get") -> Any:
        """One question by one person."""
        return await (await self.client(name)).ask(to, inner, kind)

    async def refused(self, name: str, to: str, inner: str, kind: str = "get") -> str:
        """The condition of the error that comes back."""
        try:
            await self.ask(name, to, inner, kind)
        except Refused as error:
            return error.condition
        raise AssertionError("it was answered")

    async def check_ping(self) -> None:
        """XEP-0199, of each component."""
        for host in (self.host, self.upload):
            await self.ask("bob", host, "<ping xmlns='urn:xmpp:ping'/>")

    async def check_disco_info(self) -> None:
        """Who they are and what they can do."""
        for host, category, feature in (
            (self.host, "component", "urn:xmpp:extdisco:2"),
            (self.upload, "store", UPLOAD),
        ):
            query = await self.ask("bob", host, f"<query xmlns='{INFO}'/>")
            identity = query.find(f"{{{INFO}}}identity")
            self.assertEqual(identity.attrib["category"], category)
            features = {f.attrib["var"] for f in query.findall(f"{{{INFO}}}feature")}
            self.assertLessEqual({INFO, ITEMS, "urn:xmpp:ping", feature}, features)

    async def check_disco_items_of_the_server(self) -> None:
        """The parent lists Mosaic among its own."""
        query = await self.ask("bob", "localhost", f"<query xmlns='{ITEMS}'/>")
        self.assertIn(self.host, [item.attrib["jid"] for item in query])

    async def check_version_and_time(self) -> None:
        """XEP-0092 and XEP-0202."""
        query = await self.ask("bob", self.host, "<query xmlns='jabber:iq:version'/>")
        self.assertEqual(query[0].text, "Mosaic")
        time = await self.ask("bob", self.host, "<time xmlns='urn:xmpp:time'/>")
        self.assertTrue(time[1].text.endswith("Z"))

    async def check_unknown_questions(self) -> None:
        """Are answered as everywhere."""
        said = await self.refused("bob", self.host, "<a xmlns='urn:x'/>")
        self.assertEqual(said, "service-unavailable")
        query = f"<query xmlns='{INFO}' node='x'/>"
        said = await self.refused("bob", self.upload, query)
        self.assertEqual(said, "item-not-found")

    async def check_commands_are_for_administrators(self) -> None:
        """bob sees and runs none; ann adds an account, in two stages."""
        node = f"{ADMIN}#add-user"
        items = f"<query xmlns='{ITEMS}' node='{COMMANDS}'/>"
        execute = f"<command xmlns='{COMMANDS}' node='{node}' action='execute'/>"
        self.assertEqual(list(await self.ask("bob", self.host, items)), [])
        said = await self.refused("bob", self.host, execute, "set")
        self.assertEqual(said, "forbidden")
        ann = await self.client("ann")
        found = await ann.ask(self.host, items)
        self.assertIn(node, [item.attrib["node"] for item in found])
        command = await ann.ask(self.host, execute, "set")
        fields = {
            "accountjid": "carl@localhost",
            "password": "correct horse",
            "password-verify": "correct horse",
        }
        filled = "".join(
            f"<field var='{var}'><value>{value}</value></field>"
            for var, value in fields.items()
        )
        done = await ann.ask(
            self.host,
            f"<command xmlns='{COMMANDS}' node='{node}' "
            f"sessionid='{command.attrib['sessionid']}'>"
            f"<x xmlns='jabber:x:data' type='submit'>{filled}</x></command>",
            "set",
        )
        self.assertEqual(done.attrib["status"], "completed")
        users = self.mosaic.command_json("user", "list")
        self.assertIn("carl", [user["name"] for user in users])
        self.mosaic.command("user", "remove", "carl")

    async def check_a_file_goes_up_and_down(self) -> None:
        """A slot over XMPP, the bytes over HTTPS, once."""
        data = b"\x89PNG\r\n\x1a\n" + bytes(5000)
        wanted = (
            f"<request xmlns='{UPLOAD}' filename='a b.png' size='{len(data)}' "
            "content-type='image/png'/>"
        )
        slot = await self.ask("bob", self.upload, wanted)
        put, get = (link.attrib["url"] for link in slot)
        self.assertTrue(put.startswith(f"https://localhost:{self.mosaic.port}/"))
        self.assertEqual(await self.http("PUT", put, data), (201, b""))
        self.assertEqual(await self.http("GET", get), (200, data))
        self.assertEqual((await self.http("PUT", put, data))[0], 404)
        too_large = wanted.replace(f"'{len(data)}'", "'999999999'")
        said = await self.refused("bob", self.upload, too_large)
        self.assertEqual(said, "not-acceptable")

    async def http(
        self, method: str, url: str, data: bytes | None = None
    ) -> tuple[int, bytes]:
        """Status and body, over TLS that trusts Mosaic's own CA."""
        context = ssl.create_default_context(cafile=str(self.ca_file))

        def call() -> tuple[int, bytes]:
            request = urllib.request.Request(url, data, method=method)
            request.add_header("Content-Type", "image/png")
            try:
                with urllib.request.urlopen(
                    request, timeout=10, context=context
                ) as answer:
                    return answer.status, answer.read()
            except urllib.error.HTTPError as error:
                return error.code, b""

        return await asyncio.to_thread(call)

    async def check_calls_learn_their_servers(self) -> None:
        """XEP-0215, through whichever parent."""
        services = await self.ask(
            "bob", self.host, "<services xmlns='urn:xmpp:extdisco:2'/>"
        )
        relay = next(s.attrib for s in services if s.attrib["type"] == "turn")
        self.assertEqual(relay["port"], str(self.mosaic.turn_port))
        self.assertIn(":bob/", relay["username"])

    async def check_a_room_is_entered(self) -> None:
        """XEP-0045: the first one makes it, it says hello, and it is a room of
        Mosaic."""
        room = f"standup@{self.rooms}"
        bob = await self.client("bob")
        present: asyncio.Queue[Any] = asyncio.Queue()
        said: asyncio.Queue[Any] = asyncio.Queue()
        bob.add_event_handler("presence_available", present.put_nowait)
        bob.add_event_handler("message", said.put_nowait)
        joining = bob.make_presence(pto=f"{room}/bob")
        joining.append(ET.Element("{http://jabber.org/protocol/muc}x"))
        joining.send()
        while True:
            presence = await asyncio.wait_for(present.get(), WITHIN_S)
            if str(presence["from"]) == f"{room}/bob":
                break
        codes = {status.attrib["code"] for status in presence.xml.iter(STATUS)}
        self.assertIn("110", codes)
        bob.send_message(mto=room, mbody="hello", mtype="groupchat")
        while True:
            message = await asyncio.wait_for(said.get(), WITHIN_S)
            if message["body"] == "hello":
                break
        self.assertEqual(str(message["from"]), f"{room}/bob")
        listed = await asyncio.to_thread(self.mosaic.command_json, "room", "list")
        self.assertIn("standup", [one["name"] for one in listed])
        leaving = bob.make_presence(pto=f"{room}/bob", ptype="unavailable")
        leaving.send()

    async def check_a_room(self) -> None:
        """Made by entering it; two talk in it, and it can be read again."""
        room = f"tea@{self.rooms}"
        heard: dict[str, asyncio.Queue[Any]] = {}
        for name in ("ann", "bob"):
            client = await self.client(name)
            heard[name] = asyncio.Queue()
            client.add_event_handler("groupchat_message", heard[name].put_nowait)
            for plugin in ("xep_0045", "xep_0313"):
                client.register_plugin(plugin)
            muc = client.plugin["xep_0045"]
            joined = await muc.join_muc_wait(room, name.title(), timeout=WITHIN_S)
            seen = {presence["from"].resource for presence in joined[2]}
            self.assertIn("Ann", seen)
        bob = await self.client("bob")
        bob.send_message(mto=room, mbody="tea?", mtype="groupchat")
        for queue in heard.values():
            message = await asyncio.wait_for(queue.get(), WITHIN_S)
            self.assertEqual(
                (message["from"].resource, message["body"]), ("Bob", "tea?")
            )
        fin = await bob.plugin["xep_0313"].retrieve(jid=room, timeout=WITHIN_S)
        texts = [
            said["mam_result"]["forwarded"]["stanza"]["body"]
            for said in fin["mam"]["results"]
        ]
        self.assertEqual(texts, ["tea?"])
        query = await self.ask("bob", room, f"<query xmlns='{ITEMS}'/>")
        self.assertEqual(len(list(query)), 2)
        for name in heard:
            (await self.client(name)).plugin["xep_0045"].leave_muc(room, name.title())

    async def check_what_is_no_question_comes_back(self) -> None:
        """A message to a component that takes none."""
        bob = await self.client("bob")
        heard: asyncio.Queue[Any] = asyncio.Queue()
        bob.add_event_handler("message_error", heard.put_nowait)
        bob.send_message(mto=self.host, mbody="hello", mtype="chat")
        message = await asyncio.wait_for(heard.get(), WITHIN_S)
        self.assertEqual(message["error"]["condition"], "service-unavailable")


class InsideTests(ParentSuite):
    """Under Mosaic's own router."""

    upload = "upload.localhost"
    rooms = "rooms.localhost"

    def setUp(self) -> None:
        """Nothing else is needed."""
        self.start_mosaic()

    async def log_in(self, name: str) -> Asker:
        """Over direct TLS."""
        jid = f"{name}@localhost/t"
        client = Asker(jid, ACCOUNTS[name], ca_file=str(self.ca_file))
        await client.log_in(self.mosaic.port)
        return client

    def test_in_process(self) -> None:
        """All of it."""
        asyncio.run(self.check_all())


class OutsideSuite(ParentSuite):
    """Under another server; Mosaic's own XMPP is off."""

    def start_both(self, peer: Peer) -> None:
        """The other server first."""
        self.peer = peer
        self.addCleanup(peer.stop)
        peer.start()
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        secret = Path(folder.name) / "secret"
        secret.write_text(f"{SECRET}\n")
        config = Path(folder.name) / "mosaic.toml"
        config.write_text(CONFIG.format(port=peer.component, secret=secret))
        self.start_mosaic("--config", str(config))

    async def log_in(self, name: str) -> Asker:
        """In the clear, on loopback, once Mosaic stands there."""
        client = Asker(f"{name}@localhost/t", ACCOUNTS[name])
        await client.log_in(self.peer.c2s)
        deadline = asyncio.get_running_loop().time() + WITHIN_S
        for host in (self.host, self.upload, self.rooms):
            while True:
                try:
                    await client.ask(host, "<ping xmlns='urn:xmpp:ping'/>", "get", 3.0)
                    break
                except Refused:
                    if asyncio.get_running_loop().time() > deadline:
                        raise
                    await asyncio.sleep(0.1)
        return client

    async def check_that_it_comes_back(self) -> None:
        """The other server is restarted: Mosaic connects again by itself."""
        await self.leave()
        await asyncio.to_thread(self.peer.halt)
        await asyncio.to_thread(self.peer.start)
        await self.check_ping()

    async def check_that_nothing_is_logged(self) -> None:
        """Neither words nor names of stanzas, nor secrets."""
        bob = await self.client("bob")
        bob.send_message(mto=self.host, mbody="a secret of mine", mtype="chat")
        await bob.ask(self.host, "<ping xmlns='urn:xmpp:ping'/>")
        said = self.mosaic.output()
        self.assertIn("stands at the other server", said)
        for word in ("a secret of mine", SECRET, "bob@localhost", "<iq", "handshake>"):
            self.assertNotIn(word, said)


class ProsodyTests(OutsideSuite):
    """Under Prosody."""

    def setUp(self) -> None:
        """A server of our own."""
        self.start_both(Prosody())

    def test_under_prosody(self) -> None:
        """All of it."""
        asyncio.run(self.check_all())


class EjabberdTests(OutsideSuite):
    """Under ejabberd."""

    def setUp(self) -> None:
        """A server of our own."""
        self.start_both(Ejabberd())

    def test_under_ejabberd(self) -> None:
        """All of it."""
        asyncio.run(self.check_all())
