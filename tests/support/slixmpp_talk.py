"""Two slixmpp clients talk through a server; prints what they saw as JSON.

python -m tests.support.slixmpp_talk PORT CA_FILE direct|starttls
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from slixmpp import ClientXMPP

ACCOUNTS = (("ann@localhost/a", "secret"), ("bob@localhost/b", "hidden"))


class Talker(ClientXMPP):  # type: ignore[misc]  # slixmpp is untyped here
    """A client whose events can be awaited."""

    def __init__(self, jid: str, password: str, ca_file: str, direct: bool) -> None:
        super().__init__(jid, password)
        self.ca_certs = ca_file
        self.enable_direct_tls = direct
        self.enable_starttls = not direct
        self.enable_plaintext = False
        for plugin in ("xep_0030", "xep_0199"):
            self.register_plugin(plugin)
        self.messages: asyncio.Queue[Any] = asyncio.Queue()
        self.presences: asyncio.Queue[Any] = asyncio.Queue()
        self.started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.add_event_handler("session_start", self._start)
        self.add_event_handler("failed_all_auth", self._refused)
        self.add_event_handler("message", self.messages.put_nowait)
        self.add_event_handler("presence_available", self.presences.put_nowait)
        self.add_event_handler("presence_unavailable", self.presences.put_nowait)

    def _start(self, _: object) -> None:
        if not self.started.done():
            self.started.set_result(None)

    def _refused(self, _: object) -> None:
        if not self.started.done():
            self.started.set_exception(RuntimeError("not let in"))

    async def sees(self, who: str, kind: str) -> None:
        """Wait for somebody's presence."""
        while True:
            presence = await self.presences.get()
            if (str(presence["from"]), presence["type"]) == (who, kind):
                return


async def talk(port: int, ca_file: str, direct: bool) -> dict[str, Any]:
    """The whole conversation."""
    ann, bob = (Talker(jid, word, ca_file, direct) for jid, word in ACCOUNTS)
    seen: dict[str, Any] = {}
    for one in (ann, bob):
        one.connect("127.0.0.1", port)
        await one.started
        one.send_presence()
    mechanism = ann.plugin["feature_mechanisms"].mech
    seen["mechanism"] = mechanism.name
    await ann.sees("bob@localhost/b", "available")
    await bob.sees("ann@localhost/a", "available")
    roster = await ann.get_roster()
    seen["roster"] = sorted(str(jid) for jid in roster["roster"]["items"])
    for host in ("localhost", "mosaic.localhost"):
        await ann.plugin["xep_0199"].ping(host)
        info = await ann.plugin["xep_0030"].get_info(host)
        identities = info["disco_info"]["identities"]
        seen[host] = sorted(identity[3] or "" for identity in identities)
    await ann.plugin["xep_0199"].ping("bob@localhost/b")
    ann.send_message(mto="bob@localhost", mbody="Grüße <&> 🐎", mtype="chat")
    message = await bob.messages.get()
    seen["message"] = [str(message["from"]), message["body"]]
    bob.send_message(mto="ann@localhost/a", mbody="back", mtype="chat")
    seen["reply"] = (await ann.messages.get())["body"]
    bob.disconnect()
    await ann.sees("bob@localhost/b", "unavailable")
    await ann.disconnect()
    return seen


def main() -> None:
    """Read the arguments, talk, print."""
    port, ca_file, kind = sys.argv[1:]
    work = talk(int(port), ca_file, kind == "direct")
    print(json.dumps(asyncio.run(asyncio.wait_for(work, 20))))  # noqa: T201


if __name__ == "__main__":
    main()
