"""Somebody with slixmpp in a room, in a process beside a synchronous test.

As a program: python -m tests.support.slixmpp_room JID PASSWORD CA_FILE PORT. It
takes commands as JSON lines and prints what it hears in the same way.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from tests.support.running import environment

WAIT_S = 40.0


class RoomTalker:
    """A client that notes what it hears.

    lines: (nick, text) of groupchat messages. people: nick -> role. gone: the
    status codes of our own going, None while we are there. errors: conditions.
    told: texts of other messages.
    """

    def __init__(self, jid: str, password: str, ca_file: str, port: int) -> None:
        self.lines: list[tuple[str, str]] = []
        self.people: dict[str, str] = {}
        self.gone: set[int] | None = None
        self.errors: list[str] = []
        self.told: list[str] = []
        self.started = False
        words = [jid, password, ca_file, str(port)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, *words],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        threading.Thread(target=self._read, daemon=True).start()
        self.until(lambda: self.started, "logged in")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            heard = json.loads(line)
            match heard:
                case {"started": _}:
                    self.started = True
                case {"line": [nick, text]}:
                    self.lines.append((nick, text))
                case {"told": text}:
                    self.told.append(text)
                case {"error": condition}:
                    self.errors.append(condition)
                case {"here": nick, "role": role}:
                    self.people[nick] = role
                case {"gone": nick, "codes": codes}:
                    self.people.pop(nick, None)
                    if 110 in codes:
                        self.gone = set(codes)

    def _say(self, **command: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def join(self, room: str, nick: str, pin: str | None) -> None:
        """Ask to come in; the answer is in people, told or errors."""
        self._say(do="join", room=room, nick=nick, pin=pin or "")

    def say(self, room: str, text: str) -> None:
        """To all."""
        self._say(do="say", room=room, text=text)

    def give_role(self, room: str, nick: str, role: str) -> None:
        """As a moderator; "none" is a kick."""
        self._say(do="role", room=room, nick=nick, role=role)

    def until(self, condition: Callable[[], Any], what: str) -> None:
        """Wait for something that arrives."""
        deadline = time.monotonic() + WAIT_S
        while not condition():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise AssertionError(f"not so: {what}; {vars(self)}")
            time.sleep(0.05)

    def close(self) -> None:
        """Hang up."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


async def talk(jid: str, password: str, ca_file: str, port: int) -> None:
    """Until there are no more commands."""
    from slixmpp import ClientXMPP

    client = ClientXMPP(jid, password)
    client.ca_certs = ca_file
    client.enable_direct_tls = True
    client.enable_starttls = False
    client.enable_plaintext = False
    for plugin in ("xep_0030", "xep_0045", "xep_0199"):
        client.register_plugin(plugin)

    def tell(**heard: Any) -> None:
        print(json.dumps(heard), flush=True)  # noqa: T201

    def seen(presence: Any) -> None:
        nick, codes = presence["from"].resource, presence["muc"]["status_codes"]
        if presence["type"] == "unavailable":
            tell(gone=nick, codes=sorted(codes))
        elif presence["type"] != "error":
            tell(here=nick, role=presence["muc"]["role"])

    def said(message: Any) -> None:
        if message["type"] == "groupchat" and message["body"]:
            tell(line=[message["from"].resource, message["body"]])
        elif message["body"]:
            tell(told=message["body"])

    client.add_event_handler("session_start", lambda _: tell(started=True))
    client.add_event_handler("groupchat_presence", seen)
    client.add_event_handler("message", said)
    client.add_event_handler(
        "presence_error", lambda p: tell(error=p["error"]["condition"])
    )
    client.add_event_handler("session_start", lambda _: client.send_presence())
    client.connect("127.0.0.1", port)
    muc = client.plugin["xep_0045"]
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    # A join that is refused fails in a task of slixmpp's own; we tell it above.
    loop.set_exception_handler(lambda loop, context: None)
    await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        match json.loads(line):
            case {"do": "join", "room": room, "nick": nick, "pin": pin}:
                muc.join_muc(room, nick, maxhistory="20", password=pin)
            case {"do": "say", "room": room, "text": text}:
                client.send_message(mto=room, mbody=text, mtype="groupchat")
            case {"do": "role", "room": room, "nick": nick, "role": role}:
                await muc.set_role(room, nick, role)
    await client.disconnect()


if __name__ == "__main__":
    _, jid, password, ca_file, port = sys.argv
    asyncio.run(talk(jid, password, ca_file, int(port)))
