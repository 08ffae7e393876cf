"""A chat client whose network fails, and the books that tell what got lost."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from mosaic.wire.xmpp.stanza import NS_CLIENT, Stanza
from mosaic.wire.xmpp.xml import Node, read_node
from tests.support.xmpp_client import NS_SM, Address, Gone, XmppClient

PASSWORD = "secret"
NS_MAM = "urn:xmpp:mam:2"
NS_RSM = "http://jabber.org/protocol/rsm"
NS_SID = "urn:xmpp:sid:0"
NS_FORWARD = "urn:xmpp:forward:0"
PAGE = 50
RETRY_S = 0.1


@dataclass(slots=True)
class Ledger:
    """What was said. sent: id -> how often in sessions of their own; to: id ->
    account; acknowledged: by the server to the sender."""

    sent: Counter[str] = field(default_factory=Counter)
    to: dict[str, str] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)

    def promised(self, account: str) -> set[str]:
        """What an account has to have."""
        return {it for it in self.acknowledged if self.to[it] == account}


@dataclass(slots=True)
class _Out:
    """A stanza that was sent and not acknowledged. ident: of a message, or ""."""

    xml: str
    ident: str


class Device:
    """One resource of an account that chats with another account.

    It reads the archive only after a login anew, from the last message that it
    knows: a server that loses something when it resumes does not get away with it.

    seen: id -> the archive ids that it came with. doubled: what came twice
    within one session. resumed, fresh: how it came back.
    """

    def __init__(
        self,
        address: Address,
        account: str,
        resource: str,
        peer: str,
        ledger: Ledger,
        rng: random.Random,
    ) -> None:
        self.account = account
        self.seen: dict[str, set[str]] = {}
        self.doubled: list[str] = []
        self.resumed = self.fresh = 0
        self._address, self._resource, self._peer = address, resource, peer
        self._ledger, self._rng = ledger, rng
        self._client: XmppClient | None = None
        self._ghosts: list[XmppClient] = []
        self._session = ""
        self._handled = 0
        self._out: list[_Out] = []
        self._acked = 0
        self._known = self._kept = self._came = ""
        self._whole = False
        self._of_session: set[str] = set()
        self._count = 0

    # Talking.

    async def chat(self, actions: int) -> None:
        """Say a few things; stops early when the network is gone."""
        for _ in range(actions):
            if self._client is None or self._client.gone:
                return
            for _ in range(self._rng.randrange(4)):
                self._say()
            if self._rng.random() < 0.4:
                self._client.send(f"<r xmlns='{NS_SM}'/>")
            await asyncio.sleep(self._rng.random() * 0.01)

    def _say(self) -> None:
        self._count += 1
        ident = f"{self.account}-{self._resource}-{self._count}"
        self._ledger.to[ident] = self._peer
        self._ledger.sent[ident] += 1
        self._send(self._message(ident), ident)

    def _message(self, ident: str) -> str:
        return (
            f"<message to='{self._peer}@{self._address.domain}' type='chat' "
            f"id='{ident}'><body>{ident}</body></message>"
        )

    def _send(self, xml: str, ident: str = "") -> None:
        assert self._client is not None
        self._out.append(_Out(xml, ident))
        self._client.send(xml)

    def _note_acknowledged(self, handled: int) -> None:
        """The server has so many of this session."""
        done = handled - self._acked
        assert 0 <= done <= len(self._out), f"{handled} acknowledged of {self._acked}"
        for out in self._out[:done]:
            if out.ident:
                self._ledger.acknowledged.add(out.ident)
        del self._out[:done]
        self._acked = handled

    async def settle(self, wait_s: float = 20.0) -> None:
        """Until everything is acknowledged, and the archive was read."""
        until = asyncio.get_running_loop().time() + wait_s
        while self._out or self._client is None or self._client.gone:
            if asyncio.get_running_loop().time() > until:
                raise TimeoutError(f"not acknowledged: {self._out}")
            if self._client is None or self._client.gone:
                await self.arrive()
            else:
                self._client.send(f"<r xmlns='{NS_SM}'/>")
                await asyncio.sleep(0.02)
        await self._catch_up()

    # The network.

    def fail(self) -> None:
        """One of the ways in which a network fails."""
        client = self._client
        if client is None:
            return
        kind = self._rng.randrange(4)
        if kind == 0:  # in the middle of a stanza
            self._say()
            whole = self._out[-1].xml
            client.send(whole[: self._rng.randrange(1, len(whole))])
        if kind == 1:  # silence: the server does not notice
            client.pause()
            self._ghosts.append(client)
        else:
            client.cut()
        self._handled = client.handled
        client.gone = True

    async def arrive(self) -> None:
        """Come back: resume, or begin anew and read what was missed."""
        while True:
            try:
                await self._arrive()
            except (Gone, OSError, TimeoutError):
                if self._client is not None:
                    self._handled = self._client.handled
                    self._client.cut()
                await asyncio.sleep(RETRY_S)
            else:
                break
        for ghost in self._ghosts:
            ghost.cut()
        self._ghosts.clear()

    async def _arrive(self) -> None:
        client = XmppClient(self._address, heard=self._heard)
        if self._client is not None and self._client.managed:
            self._handled = self._client.handled
        await client.log_in(self.account, PASSWORD)
        if self._session and self._rng.random() < 0.75:
            answer = await client.resume(self._session, self._handled)
            self._client = client
            if answer.name == "resumed":
                self.resumed += 1
                for out in self._out:
                    client.send(out.xml)
                return
        self._client = client
        await self._begin(client)

    async def _begin(self, client: XmppClient) -> None:
        self._session = ""
        await client.bind(self._resource)
        again = [out for out in self._out if out.ident]
        self._out.clear()
        self._acked = 0
        self._of_session.clear()
        self._whole, self._came = False, ""
        enabled = await client.manage()
        self._session = enabled.attributes.get("id", "")
        self.fresh += 1
        self._send("<presence/>")
        for out in again:
            self._ledger.sent[out.ident] += 1
            self._send(out.xml, out.ident)
        await self._catch_up()

    # Hearing.

    def _heard(self, stanza: Stanza) -> bool:
        if stanza.ns == NS_SM:
            if stanza.name == "a" or (
                stanza.name in ("resumed", "failed") and "h" in stanza.attributes
            ):
                self._note_acknowledged(int(stanza.attributes["h"]))
            return stanza.name == "a"
        if stanza.ns == NS_CLIENT and stanza.name == "message":
            self._take_message(read_node(stanza))
            return True
        return stanza.ns == NS_CLIENT and stanza.name == "presence"

    def _take_message(self, message: Node) -> None:
        result = message.child(NS_MAM, "result")
        if result is not None:
            ident = archived_body(result)
            if ident:
                self._note(ident, result.attributes["id"])
            return
        body = message.child(NS_CLIENT, "body")
        if body is None or message.attributes.get("type") == "error":
            return
        mine = f"{self.account}@{self._address.domain}"
        key = next(
            it.attributes["id"]
            for it in message.children
            if (it.ns, it.name) == (NS_SID, "stanza-id") and it.attributes["by"] == mine
        )
        if key in self._of_session:
            self.doubled.append(body.text)
        self._of_session.add(key)
        self._came = key
        if self._whole:
            self._known = key
        self._note(body.text, key)

    def _note(self, ident: str, key: str) -> None:
        if ident.startswith(f"{self._peer}-"):
            self.seen.setdefault(ident, set()).add(key)

    async def _catch_up(self) -> None:
        """What the archive has after what is known (XEP-0313 section 4).

        A server that died may have delivered what it never kept: then from the
        last that came out of the archive.
        """
        self._whole = False
        after, complete, page = self._known, False, 0
        while not complete:
            page += 1
            fin = await self._read_page(f"mam{page}", after)
            if fin is None:
                assert after, "even the whole archive is refused"
                after = self._kept if after != self._kept else ""
                continue
            complete = fin.attributes.get("complete") == "true"
            after = self._kept = page_end(fin) or after
        self._whole = True
        self._known = self._came or after

    async def _read_page(self, name: str, after: str) -> Node | None:
        assert self._client is not None
        self._send(archive_query(name, after))
        answer = await self._client.take(lambda stanza: stanza.id == name)
        return read_node(answer).child(NS_MAM, "fin")


def archive_query(name: str, after: str) -> str:
    """A page of the own archive."""
    where = f"<after>{after}</after>" if after else ""
    return (
        f"<iq type='set' id='{name}'><query xmlns='{NS_MAM}' queryid='{name}'>"
        f"<set xmlns='{NS_RSM}'><max>{PAGE}</max>{where}</set></query></iq>"
    )


def page_end(fin: Node) -> str:
    """The archive id of the last message on a page, or ""."""
    for page in fin.children:
        for part in page.children:
            if part.name == "last":
                return part.text
    return ""


def archived_body(result: Node) -> str:
    """The body of an archived message, or ""."""
    forwarded = result.child(NS_FORWARD, "forwarded")
    for message in forwarded.children if forwarded is not None else []:
        body = message.child(NS_CLIENT, "body")
        if body is not None:
            return body.text
    return ""


async def read_archive(address: Address, account: str) -> Counter[str]:
    """How often the whole archive of an account has each body."""
    found: Counter[str] = Counter()

    def heard(stanza: Stanza) -> bool:
        if stanza.ns != NS_CLIENT or stanza.name != "message":
            return False
        result = read_node(stanza).child(NS_MAM, "result")
        if result is not None:
            found[archived_body(result)] += 1
        return True

    client = XmppClient(address, heard=heard)
    await client.log_in(account, PASSWORD)
    await client.bind("reader")
    last, complete = "", False
    while not complete:
        client.send(archive_query("all", last))
        answer = await client.take(lambda stanza: stanza.id == "all")
        fin = read_node(answer).child(NS_MAM, "fin")
        assert fin is not None, answer.raw
        complete = fin.attributes.get("complete") == "true"
        last = page_end(fin) or last
    await client.close()
    return found


def complaints(
    ledger: Ledger, devices: list[Device], archives: dict[str, Counter[str]]
) -> Iterator[str]:
    """What was lost or doubled, in words."""
    for device in devices:
        lost = ledger.promised(device.account) - set(device.seen)
        if lost:
            yield f"{device.account} never saw {sorted(lost)[:5]} ({len(lost)})"
        if device.doubled:
            yield f"{device.account} saw twice {device.doubled[:5]}"
        for ident, keys in device.seen.items():
            if len(keys) > ledger.sent[ident]:
                yield f"{ident}, sent {ledger.sent[ident]} times, came as {keys}"
    for account, archive in archives.items():
        for ident in ledger.promised(account):
            if not 1 <= archive[ident] <= ledger.sent[ident]:
                yield (
                    f"the archive of {account} has {ident} {archive[ident]} times, "
                    f"it was sent {ledger.sent[ident]} times"
                )
