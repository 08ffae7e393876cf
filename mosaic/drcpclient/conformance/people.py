"""Checks of awareness, events, signals, and of being put out (sections 4, 5, 7)."""

from __future__ import annotations

import json
import secrets

from mosaic.drcpclient.conformance.peer import Peer, check
from mosaic.drcpclient.conformance.run import Table, conforms
from mosaic.wire.drcp import client
from mosaic.wire.drcp.client import Message
from mosaic.wire.drcp.lib0 import var_string, var_uint
from mosaic.wire.drcp.yprotocols import AwarenessEntry, Type

OURS = 4_000_000_007
"""A client id."""


async def _state(peer: Peer, client_id: int = OURS) -> AwarenessEntry:
    """The next state of a client."""

    def has(message: Message) -> bool:
        return any(entry.client == client_id for entry in message.value)

    entries: list[AwarenessEntry] = (await peer.hears(Type.AWARENESS, has)).value
    return next(entry for entry in entries if entry.client == client_id)


async def _event(peer: Peer, kind: str) -> dict[str, object]:
    body: dict[str, object] = (
        await peer.hears(Type.EVENT, lambda m: m.value.get("type") == kind)
    ).value
    return body


@conforms("awareness-is-stamped", "7")
async def awareness_is_stamped(table: Table) -> None:
    """The server says who it is, whatever the client says."""
    ann, welcome = await table.enter(await table.seats.editor())
    await ann.opens(table.note)
    bob = await table.editor()
    ann.say(client.awareness(1, OURS, 1, '{"user":{"name":"Mallory"},"x":1}'))
    state = json.loads((await _state(bob)).state)
    check(state.get("x") == 1, "the state is another one")
    user = state.get("user") or {}
    check(user.get("id") == welcome["participant_id"], f"user.id is {user.get('id')}")
    check(user.get("name") == welcome["name"], f"user.name is {user.get('name')!r}")


@conforms("awareness-of-others-is-refused", "7")
async def awareness_of_others(table: Table) -> None:
    """4403 for a client id that somebody else introduced."""
    ann, bob = await table.editor(), await table.editor()
    ann.say(client.awareness(1, OURS, 1, "{}"))
    await _state(bob)
    bob.say(client.awareness(1, OURS, 9, "null"))
    await bob.fails(1, 4403)


@conforms("awareness-ends-with-the-connection", "7")
async def awareness_ends(table: Table) -> None:
    """A null state, newer than the last."""
    ann, bob = await table.editor(), await table.editor()
    ann.say(client.awareness(1, OURS, 5, "{}"))
    first = await _state(bob)
    ann.cut()
    last = await _state(bob)
    check(last.state == "null", f"the state is {last.state}")
    check(last.clock > first.clock, "its clock is no newer")


@conforms("awareness-of-late-comers", "7")
async def awareness_of_late_comers(table: Table) -> None:
    """They see who is here, with opened and when they ask."""
    ann, bob = await table.editor(), await table.editor()
    ann.say(client.awareness(1, OURS, 1, "{}"))
    await _state(bob)
    bob.say(client.close_channel(1))
    await bob.opens(table.note)
    await _state(bob)
    bob.say(var_uint(1) + bytes((Type.QUERY_AWARENESS,)))
    await _state(bob)


@conforms("awareness-must-be-json", "13")
async def awareness_json(table: Table) -> None:
    """4400 on the channel."""
    peer = await table.editor()
    peer.say(client.awareness(1, OURS, 1, "{"))
    await peer.fails(1, 4400)


@conforms("stateless", "3.1")
async def stateless(table: Table) -> None:
    """A broadcast reaches the others and not its sender."""
    ann, bob = await table.editor(), await table.editor()
    kind = bytes((Type.BROADCAST_STATELESS,))
    ann.say(var_uint(1) + kind + var_string("hi"))
    check((await bob.hears(Type.STATELESS)).value == "hi", "another text")
    heard = [m for m in await ann.lives() if m.type == Type.STATELESS]
    check(not heard, "the sender heard itself")


@conforms("join-and-leave", "4")
async def join_and_leave(table: Table) -> None:
    """Told to those who are here."""
    ann, _ = await table.enter(await table.seats.editor())
    bob, welcome = await table.enter(await table.seats.editor())
    who = welcome["participant_id"]
    joined = await _event(ann, "join")
    data = joined["data"]
    check(isinstance(data, dict) and data.get("id") == who, f"join of {data}")
    bob.cut()
    left = await _event(ann, "leave")
    check(left["data"] == {"id": who}, f"leave of {left['data']}")


@conforms("events-are-numbered", "4")
async def events_are_numbered(table: Table) -> None:
    """One more each time, stamped, and the sender hears its own."""
    ann, welcome = await table.enter(await table.seats.editor())
    seen = []
    for _ in range(3):
        ann.say(client.event("reaction", {"emoji": "!"}))
        seen.append(await _event(ann, "reaction"))
    numbers = [int(str(event["seq"])) for event in seen]
    first = numbers[0]
    check(numbers == [first, first + 1, first + 2], f"numbers {numbers}")
    check(all(e["from"] == welcome["participant_id"] for e in seen), "from is wrong")
    check(all(isinstance(e["at"], int | float) for e in seen), "at is no time")


@conforms("state-is-told", "4")
async def state_is_told(table: Table) -> None:
    """As a person."""
    ann, _ = await table.enter(await table.seats.editor())
    ann.say(client.event("state", {"hand": True}))
    data = (await _event(ann, "person"))["data"]
    check(isinstance(data, dict) and data.get("hand") is True, f"person {data}")


@conforms("chat-is-kept-once", "4")
async def chat_is_kept_once(table: Table) -> None:
    """The same message_id twice is one line."""
    token = await table.seats.editor()
    ann, _ = await table.enter(token)
    body = {"text": "conformance", "message_id": secrets.token_hex(6)}
    numbers = []
    for _ in range(2):
        ann.say(client.event("chat", body))
        data = (await _event(ann, "chat"))["data"]
        assert isinstance(data, dict)
        numbers.append(data["seq"])
    check(numbers[0] == numbers[1], f"two lines: {numbers}")
    _, welcome = await table.enter(token)
    ids = [line["message_id"] for line in welcome["chat"]]
    check(ids.count(body["message_id"]) == 1, "welcome.chat has it another time")


@conforms("refused-events", "4")
async def refused_events(table: Table) -> None:
    """An error on channel 0 that ends nothing."""
    ann, _ = await table.enter(await table.seats.editor())
    for kind, data in (
        ("join", {}),
        ("chat", {"text": " ", "message_id": "x"}),
        ("chat", {"text": "x" * 4001, "message_id": "x"}),
        ("state", {"hand": "up"}),
        ("reaction", {"emoji": ""}),
    ):
        ann.say(client.event(kind, data))
        await ann.fails(0, 4400)


@conforms("resume", "4")
async def resume(table: Table) -> None:
    """What was missed comes after welcome, in order."""
    token, other = await table.seats.editor(), await table.seats.editor()
    ann, welcome = await table.enter(token)
    bob, _ = await table.enter(other)
    await _event(ann, "join")
    last = welcome["seq"] + 1
    ann.cut()
    await _event(bob, "leave")
    bob.say(client.event("reaction", {"emoji": "!"}))
    await _event(bob, "reaction")
    again, greeting = await table.enter(token, resume=(welcome["sid"], last))
    check(greeting["resumed"] is True, "not resumed")
    event = await _event(again, "reaction")
    check(int(str(event["seq"])) > last, "an event from before")


@conforms("resync", "4")
async def resync(table: Table) -> None:
    """A sid that nobody knows: the whole state comes."""
    peer, welcome = await table.enter(await table.seats.editor(), resume=("other.1", 1))
    check(welcome["resumed"] is False, "resumed from nothing")
    body = (await peer.hears(Type.RESYNC)).value
    for name in ("seq", "people", "chat"):
        check(name in body, f"resync has no {name}")


@conforms("signals", "3.2")
async def signals(table: Table) -> None:
    """To one, from whom the server says; to nobody they are lost."""
    ann, hers = await table.enter(await table.seats.editor())
    bob, his = await table.enter(await table.seats.editor())
    ann.say(client.signal(his["participant_id"], {"sdp": "x"}))
    body = (await bob.hears(Type.SIGNAL)).value
    check(body["from"] == hers["participant_id"], f"from {body['from']}")
    check(body["data"] == {"sdp": "x"}, f"data {body['data']}")
    ann.say(client.signal("0" * 16, {}))
    await ann.lives()


@conforms("kick", "5")
async def kick(table: Table) -> None:
    """4403, and the token is of no use any more."""
    token = await table.seats.editor()
    peer, welcome = await table.enter(token)
    await table.seats.kick(welcome["participant_id"])
    await peer.closes(4403)
    again = await table.socket()
    again.say(client.hello(token, client="conformance"))
    await again.closes(4401)
