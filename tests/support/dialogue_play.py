"""Play a dialogue with a real server."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import urllib.request
from collections.abc import Callable, Coroutine
from typing import Any

from tests.support.dialogue import Element, Memory, Script, Step, matches, read_xml
from tests.support.xmpp_client import Address, Gone, XmppClient

PASSWORD = "secret"
NS_UPLOAD = "urn:xmpp:http:upload:0"
WAIT_S = 30.0


_RESUME = re.compile(r"<resume .*\bh='(\d+)'")


class Unexpected(AssertionError):
    """A step did not go as the script says."""


class Play:
    """One performance of a script.

    tag: makes the accounts of this play; each exists with PASSWORD.
    """

    def __init__(self, script: Script, address: Address, tag: str) -> None:
        self._script = script
        self._address = address
        self._memory = Memory(tag=tag)
        self._clients: dict[str, XmppClient] = {}
        self._syncs = 0
        self._headers: dict[str, dict[str, str]] = {}

    async def perform(self) -> None:
        """All steps. Raises Unexpected with the line."""
        try:
            for step in self._script.steps:
                try:
                    await self._perform(step)
                except Unexpected:
                    raise
                except Exception as error:
                    raise Unexpected(
                        f"line {step.line}: {step.who} {step.what}: {error!r}"
                    ) from error
        finally:
            for client in self._clients.values():
                await client.close()

    async def _perform(self, step: Step) -> None:
        verbs: dict[str, Callable[[Step], Coroutine[Any, Any, None]]] = {
            "connects": self._connects,
            "logs in": self._logs_in,
            "logs in with SASL2": self._logs_in_2,
            "logs in with token": self._logs_in_2,
            "binds": self._binds,
            "sends": self._sends,
            "receives": self._receives,
            "receives no": self._receives_no,
            "forgets": self._forgets,
            "cuts": self._cuts,
            "disconnects": self._disconnects,
            "put": self._puts,
            "get": self._gets,
        }
        await verbs[step.what](step)

    def _account(self, who: str) -> str:
        return self._script.clients[who].account + self._memory.tag

    async def _logs_in(self, step: Step) -> None:
        client = self._new(step.who)
        features = await client.log_in(self._account(step.who), PASSWORD)
        client.stanzas.append(features)

    def _new(self, who: str) -> XmppClient:
        client = XmppClient(self._address)
        self._clients[who] = client
        return client

    async def _connects(self, step: Step) -> None:
        client = self._new(step.who)
        await client.log_in(self._account(step.who), PASSWORD)
        await self._binds(step)

    async def _binds(self, step: Step) -> None:
        await self._clients[step.who].bind(self._script.clients[step.who].resource)

    async def _logs_in_2(self, step: Step) -> None:
        client = self._new(step.who)
        token = self._memory.values[step.argument] if step.argument else ""
        inside = self._memory.outward(step.xml)
        account = self._account(step.who)
        success = await client.log_in_2(account, PASSWORD, inside, token=token)
        client.stanzas.insert(0, success)

    async def _sends(self, step: Step) -> None:
        client, text = self._clients[step.who], self._memory.outward(step.xml)
        if resumed := _RESUME.search(text):
            client.carried = int(resumed[1])
        client.send(text.strip())

    async def _receives(self, step: Step) -> None:
        client = self._clients[step.who]
        for pattern in read_xml(step.xml, step.line):
            until = asyncio.get_running_loop().time() + WAIT_S
            while True:
                place = self._find(client, pattern)
                if place is not None:
                    del client.stanzas[place]
                    break
                if client.gone or not await client.changed(until):
                    raise Unexpected(self._complaint(step, client))

    def _find(self, client: XmppClient, pattern: Element) -> int | None:
        memory = self._memory
        for place, stanza in enumerate(client.stanzas):
            [found] = read_xml(memory.inward(stanza.raw.decode()))
            learned = matches(pattern, found, memory.values)
            if learned is not None:
                memory.values.update(learned)
                self._note_headers(found)
                return place
        return None

    def _note_headers(self, found: Element) -> None:
        """What a slot asks to be sent with the file (XEP-0363)."""
        for put in found.iter(f"{{{NS_UPLOAD}}}put"):
            self._headers[put.attrib["url"]] = {
                header.attrib["name"]: header.text or ""
                for header in put.iter(f"{{{NS_UPLOAD}}}header")
            }

    def _complaint(self, step: Step, client: XmppClient) -> str:
        came = "\n  ".join(
            self._memory.inward(stanza.raw.decode()) for stanza in client.stanzas
        )
        state = " (and the stream is gone)" if client.gone else ""
        return (
            f"line {step.line}: {step.who} {step.what}:\n{step.xml}\n"
            f" but there is{state}:\n  {came or 'nothing'}"
        )

    async def _receives_no(self, step: Step) -> None:
        """Everybody has been answered twice: what was under way has arrived."""
        for _ in range(2):
            await self._sync()
        client = self._clients[step.who]
        for pattern in read_xml(step.xml, step.line):
            if self._find(client, pattern) is not None:
                raise Unexpected(self._complaint(step, client))

    async def _sync(self) -> None:
        self._syncs += 1
        name = f"sync{self._syncs}"
        alive = [client for client in self._clients.values() if client.jid]
        alive = [client for client in alive if not client.gone]
        for client in alive:
            client.send(
                f"<iq type='get' id='{name}' to='{self._address.domain}'>"
                "<ping xmlns='urn:xmpp:ping'/></iq>"
            )
        for client in alive:
            with contextlib.suppress(Gone):  # the server may have had enough
                await client.take(lambda stanza: stanza.id == name)

    async def _forgets(self, step: Step) -> None:
        await self._sync()
        self._clients[step.who].stanzas.clear()

    async def _cuts(self, step: Step) -> None:
        client = self._clients[step.who]
        client.cut()
        self._memory.values[f"{step.who}_handled"] = str(client.handled)

    async def _disconnects(self, step: Step) -> None:
        await self._clients[step.who].close()

    async def _puts(self, step: Step) -> None:
        url = self._memory.values[step.argument]
        await asyncio.to_thread(_http, "PUT", url, step.text, self._headers[url])

    async def _gets(self, step: Step) -> None:
        url = self._memory.values[step.argument]
        got = await asyncio.to_thread(_http, "GET", url, None, {})
        if got != step.text:
            raise Unexpected(f"line {step.line}: {got!r} is not {step.text!r}")


def _http(method: str, url: str, body: str | None, headers: dict[str, str]) -> str:
    """One request to loopback. Raises OSError."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    data = None if body is None else body.encode()
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    if data is not None:
        request.add_header("Content-Type", "text/plain")
    with urllib.request.urlopen(request, timeout=10, context=context) as answer:
        text: str = answer.read().decode()
        return text
