"""slixmpp clients use what is between people; prints what they saw as JSON.

python -m tests.support.slixmpp_people PORT CA_FILE
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from slixmpp.exceptions import IqError

from tests.support.slixmpp_talk import Talker

PLUGINS = (
    "xep_0059 xep_0060 xep_0084 xep_0115 xep_0163 xep_0191 xep_0198 xep_0280"
    " xep_0313 xep_0352"
)


class Person(Talker):
    """A client with everything turned on that is between people."""

    def __init__(self, jid: str, password: str, ca_file: str) -> None:
        super().__init__(jid, password, ca_file, True)
        for plugin in PLUGINS.split():
            self.register_plugin(plugin)
        self.carbons: asyncio.Queue[Any] = asyncio.Queue()
        self.avatars: asyncio.Queue[Any] = asyncio.Queue()
        self.add_event_handler("carbon_received", self.carbons.put_nowait)
        self.add_event_handler("carbon_sent", self.carbons.put_nowait)
        self.add_event_handler("avatar_metadata_publish", self.avatars.put_nowait)


async def arrive(jid: str, port: int, ca_file: str) -> Person:
    """Log in and be there."""
    words = {"ann": "secret", "bob": "hidden", "eve": "wicked"}
    person = Person(jid, words[jid.partition("@")[0]], ca_file)
    person.connect("127.0.0.1", port)
    await person.started
    person.send_presence()
    await person.sees(jid, "available")
    return person


def body(carbon: Any, way: str) -> str:
    """Of the message inside."""
    return str(carbon[f"carbon_{way}"]["body"])


async def talk(port: int, ca_file: str) -> dict[str, Any]:
    """The whole conversation."""
    seen: dict[str, Any] = {}
    ann = await arrive("ann@localhost/desk", port, ca_file)
    phone = await arrive("ann@localhost/phone", port, ca_file)
    await phone.plugin["xep_0280"].enable()

    # Carbons of both directions, and a message for one who is away.
    bob = await arrive("bob@localhost/b", port, ca_file)
    ann.send_message(mto="bob@localhost", mbody="one", mtype="chat")
    seen["heard"] = (await bob.messages.get())["body"]
    seen["sent copy"] = body(await phone.carbons.get(), "sent")
    bob.send_message(mto="ann@localhost/desk", mbody="two", mtype="chat")
    await ann.messages.get()
    seen["received copy"] = body(await phone.carbons.get(), "received")
    ann.send_message(mto="eve@localhost", mbody="later", mtype="chat")
    await ann.plugin["xep_0199"].ping("localhost")
    eve = await arrive("eve@localhost/e", port, ca_file)
    waited = await eve.messages.get()
    moment = waited.xml.find("{urn:xmpp:delay}delay")
    seen["waited"] = [waited["body"], moment is not None]

    # The archive, in pages of one.
    found = []
    mam = ann.plugin["xep_0313"]
    async for message in mam.iterate(rsm={"max": 1}):
        found.append(message["mam_result"]["forwarded"]["stanza"]["body"])
    seen["archive"] = found
    with_bob = await mam.retrieve(with_jid="bob@localhost")
    seen["with bob"] = len(with_bob["mam"]["results"])

    # An avatar is heard of, also by one who comes later.
    avatar = ann.plugin["xep_0084"]
    await avatar.publish_avatar(b"picture")
    id = avatar.generate_id(b"picture")
    await avatar.publish_avatar_metadata([{"id": id, "type": "image/png", "bytes": 7}])
    event = await bob.avatars.get()
    seen["avatar"] = str(event["from"])
    got = await bob.plugin["xep_0084"].retrieve_avatar("ann@localhost", id)
    item = got["pubsub"]["items"]["item"]
    seen["picture"] = item["avatar_data"]["value"].decode()
    late = await arrive("bob@localhost/late", port, ca_file)
    event = await late.avatars.get()
    seen["late avatar"] = str(event["from"])

    # Blocked: bob hears nothing and reaches nobody.
    await ann.plugin["xep_0191"].block("bob@localhost")
    await bob.sees("ann@localhost/desk", "unavailable")
    blocked = await ann.plugin["xep_0191"].get_blocked_jids()
    seen["blocked"] = sorted(str(jid) for jid in blocked)
    try:
        await bob.plugin["xep_0199"].send_ping("ann@localhost/desk", timeout=30)
    except IqError as error:
        seen["refused"] = error.condition
    await ann.plugin["xep_0191"].unblock("bob@localhost")
    await bob.sees("ann@localhost/desk", "available")

    # Quiet: nothing of presence until somebody writes.
    phone.plugin["xep_0352"].send_inactive()
    await phone.plugin["xep_0199"].ping("localhost")
    while not phone.presences.empty():
        phone.presences.get_nowait()
    eve.send_presence(pstatus="thinking")
    await eve.plugin["xep_0199"].ping("localhost")
    await phone.plugin["xep_0199"].ping("localhost")
    seen["quiet"] = phone.presences.empty()
    eve.send_message(mto="ann@localhost/phone", mbody="wake", mtype="chat")
    await phone.sees("eve@localhost/e", "available")
    for person in (late, eve, phone, bob, ann):
        await person.disconnect()
    return seen


def main() -> None:
    """Read the arguments, talk, print."""
    port, ca_file = sys.argv[1:]
    work = talk(int(port), ca_file)
    print(json.dumps(asyncio.run(asyncio.wait_for(work, 40))))  # noqa: T201


if __name__ == "__main__":
    main()
