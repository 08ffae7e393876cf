"""What slixmpp, a stock client library, does in a day; for any server.

`spend_the_day` is given a server and returns what was seen, in plain values.
"""

from __future__ import annotations

import asyncio
import ssl
import urllib.request
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

from slixmpp import ClientXMPP
from slixmpp.exceptions import IqError

PLUGINS = (
    *("xep_0030", "xep_0045", "xep_0059", "xep_0060", "xep_0107", "xep_0115"),
    *("xep_0163", "xep_0191", "xep_0198", "xep_0199", "xep_0280", "xep_0313"),
    *("xep_0359", "xep_0402"),
)
EVENTS = (
    *("session_start", "session_resumed", "disconnected", "failed_all_auth"),
    *("message", "groupchat_message", "carbon_sent", "carbon_received"),
    "user_mood_publish",
)
WITHIN_S = 40.0
NS_SERVICES = "urn:xmpp:extdisco:2"
NS_UPLOAD = "urn:xmpp:http:upload:0"


class Client(ClientXMPP):  # type: ignore[misc]  # slixmpp is untyped here
    """A client over direct TLS whose events can be awaited."""

    def __init__(self, jid: str, password: str, port: int) -> None:
        super().__init__(jid, password)
        self.enable_direct_tls, self.enable_starttls = True, False
        self.enable_plaintext = False
        self._port = port
        for plugin in PLUGINS:
            self.register_plugin(plugin)
        self._queues: dict[str, asyncio.Queue[Any]] = {}
        for event in EVENTS:
            queue = self._queues[event] = asyncio.Queue()
            self.add_event_handler(event, queue.put_nowait)

    def get_ssl_context(self) -> ssl.SSLContext:
        """Loopback: nobody's certificate is checked."""
        context: ssl.SSLContext = super().get_ssl_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    async def come(self, event: str = "session_start") -> None:
        """Connect, and be present."""
        self.connect("127.0.0.1", self._port)
        await self.wait(event)
        if event == "session_start":
            self.send_presence()

    async def wait(
        self, event: str, fits: Callable[[Any], bool] = lambda data: True
    ) -> Any:
        """The next such event."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                data = await self._queues[event].get()
                if fits(data):
                    return data

    async def hear(self, body: str, event: str = "message") -> Any:
        """A message with that body."""
        return await self.wait(event, lambda message: message["body"] == body)


async def spend_the_day(port: int, password: str) -> dict[str, Any]:
    """ann on two devices, bob on one."""
    ann = Client("ann@localhost/phone", password, port)
    desk = Client("ann@localhost/desk", password, port)
    bob = Client("bob@localhost/desk", password, port)
    seen: dict[str, Any] = {}
    try:
        for one in (ann, desk, bob):
            await one.come()
        seen["roster"] = await _roster(ann)
        seen["carbons"] = await _carbons(ann, desk, bob)
        seen["archive"] = await _archive(ann)
        seen["blocked"] = await _blocking(ann, bob)
        seen["mood"] = await _mood(ann, bob)
        seen["bookmarks"] = await _bookmarks(ann)
        seen["room"] = await _room(ann, bob)
        seen["upload"] = await _upload(ann)
        seen["services"] = await _services(ann)
        seen["resumed"] = await _resume(ann, bob)
    finally:
        for one in (ann, desk, bob):
            one.disconnect(wait=0.2)
    return seen


async def _roster(ann: Client) -> list[str]:
    answer = await ann.get_roster()
    return sorted(str(jid) for jid in answer["roster"]["items"])


async def _carbons(ann: Client, desk: Client, bob: Client) -> list[str]:
    """What the second device heard of the talk of the first."""
    await desk["xep_0280"].enable()
    ann.send_message("bob@localhost/desk", "to bob", mtype="chat")
    await bob.hear("to bob")
    sent = await desk.wait("carbon_sent")
    bob.send_message("ann@localhost/phone", "to ann", mtype="chat")
    await ann.hear("to ann")
    received = await desk.wait("carbon_received")
    return [sent["carbon_sent"]["body"], received["carbon_received"]["body"]]


async def _archive(ann: Client) -> list[str]:
    """All of it, one at a time."""
    found = []
    async for message in ann["xep_0313"].iterate(rsm={"max": 1}):
        found.append(message["mam_result"]["forwarded"]["stanza"]["body"])
    return found


async def _blocking(ann: Client, bob: Client) -> list[str]:
    """Who is on the list, and what a question of theirs is told."""
    await ann["xep_0191"].block({"bob@localhost"})
    blocked = await ann["xep_0191"].get_blocked_jids()
    condition = ""
    try:
        await bob["xep_0199"].send_ping("ann@localhost/phone", timeout=WITHIN_S)
    except IqError as error:
        condition = error.condition
    await ann["xep_0191"].unblock({"bob@localhost"})
    await bob["xep_0199"].send_ping("ann@localhost/phone", timeout=WITHIN_S)
    return [*sorted(str(jid) for jid in blocked), condition]


async def _mood(ann: Client, bob: Client) -> str:
    """What reaches bob, who is interested (XEP-0163 with XEP-0115)."""
    await ann["xep_0107"].publish_mood("happy", "tea")
    event = await bob.wait(
        "user_mood_publish", lambda event: str(event["from"].bare) == "ann@localhost"
    )
    mood: str = event["pubsub_event"]["items"]["item"]["mood"]["value"]
    return mood


async def _bookmarks(ann: Client) -> list[str]:
    """One that was published and read back."""
    payload = ElementTree.fromstring(
        "<conference xmlns='urn:xmpp:bookmarks:1' name='Tea' autojoin='true'/>"
    )
    where = ("ann@localhost", "urn:xmpp:bookmarks:1")
    pubsub = ann["xep_0060"]
    await pubsub.publish(*where, id="tea@rooms.localhost", payload=payload)
    answer = await pubsub.get_items(*where)
    return [
        f"{item['id']} {item['payload'].attrib['name']}"
        for item in answer["pubsub"]["items"]
    ]


async def _room(ann: Client, bob: Client) -> list[str]:
    """What bob reads in a room: now, and in its archive."""
    room = "slix@rooms.localhost"
    for one, nick in ((ann, "Ann"), (bob, "Bob")):
        await one["xep_0045"].join_muc_wait(room, nick, maxstanzas=0, timeout=WITHIN_S)
    ann.send_message(room, "tea?", mtype="groupchat")
    heard = await bob.hear("tea?", "groupchat_message")
    roster = sorted(bob["xep_0045"].get_roster(room))
    kept = []
    async for message in bob["xep_0313"].iterate(room, rsm={"max": 10}):
        kept.append(message["mam_result"]["forwarded"]["stanza"]["body"])
    return [str(heard["from"].resource), *roster, *[body for body in kept if body]]


async def _upload(ann: Client) -> str:
    """A file that was put and got; slixmpp's own plugin wants aiohttp."""
    answer = await _ask(
        ann,
        "upload.localhost",
        f"<request xmlns='{NS_UPLOAD}' filename='a.txt' size='5' "
        "content-type='text/plain'/>",
    )
    put = answer.find(f".//{{{NS_UPLOAD}}}put")
    got = answer.find(f".//{{{NS_UPLOAD}}}get")
    headers = {it.attrib["name"]: it.text for it in put}
    headers["Content-Type"] = "text/plain"
    await asyncio.to_thread(_http, "PUT", put.attrib["url"], b"hello", headers)
    return (await asyncio.to_thread(_http, "GET", got.attrib["url"], None, {})).decode()


async def _ask(ann: Client, to: str, inner: str) -> Any:
    """The XML of a result. Raises IqError."""
    question = ann.make_iq_get(ito=to)
    question.append(ElementTree.fromstring(inner))
    return (await question.send(timeout=WITHIN_S)).xml


def _http(method: str, url: str, body: bytes | None, headers: dict[str, str]) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = urllib.request.Request(url, data=body, method=method, headers=headers)
    with urllib.request.urlopen(request, timeout=10, context=context) as answer:
        content: bytes = answer.read()
        return content


async def _services(ann: Client) -> list[dict[str, str]]:
    """Relays, with what they ask for (XEP-0215)."""
    answer = await _ask(ann, "localhost", f"<services xmlns='{NS_SERVICES}'/>")
    found = answer.iter(f"{{{NS_SERVICES}}}service")
    return [dict(service.attrib) for service in found]


async def _resume(ann: Client, bob: Client) -> list[str]:
    """What was written while the network was away, and after."""
    ann.transport.abort()
    await ann.wait("disconnected")
    bob.send_message("ann@localhost/phone", "are you there?", mtype="chat")
    await ann.come("session_resumed")
    first = await ann.hear("are you there?")
    ann.send_message("bob@localhost/desk", "yes", mtype="chat")
    return [first["body"], (await bob.hear("yes"))["body"]]
