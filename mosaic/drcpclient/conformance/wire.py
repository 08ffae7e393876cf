"""Checks of the connection and of the framing (sections 1, 2, 5, 8)."""

from __future__ import annotations

from typing import Any

from mosaic.drcpclient.conformance.peer import Failed, check
from mosaic.drcpclient.conformance.run import Table, conforms
from mosaic.wire.drcp import client
from mosaic.wire.drcp.lib0 import var_uint
from mosaic.wire.drcp.native import json_message
from mosaic.wire.drcp.yprotocols import Step, Type

WELCOME: dict[str, type | tuple[type, ...]] = {
    "v": int,
    "sid": str,
    "participant_id": str,
    "name": str,
    "role": str,
    "waiting": bool,
    "room": dict,
    "caps": list,
    "limits": dict,
    "server_time": (int, float),
    "resumed": bool,
    "seq": int,
    "people": list,
    "chat": list,
}
LIMITS = (
    "max_frame_bytes",
    "max_sync_bytes",
    "max_awareness_bytes",
    "max_state_vector_bytes",
    "max_document_bytes",
    "messages_per_s",
    "message_burst",
    "bytes_per_s",
    "max_channels",
)


@conforms("subprotocol-needed", "1")
async def subprotocol_needed(table: Table) -> None:
    """A handshake without drcp.1 is refused."""
    try:
        await table.socket(subprotocol=None)
    except Failed:
        return
    raise Failed("a socket without the subprotocol was opened")


@conforms("hello-first", "5")
async def hello_first(table: Table) -> None:
    """Anything else closes with 4401."""
    peer = await table.socket()
    peer.say(client.ping())
    await peer.closes(4401)


@conforms("hello-version", "3.2")
async def hello_version(table: Table) -> None:
    """A version that nobody knows closes with 4400."""
    peer = await table.socket()
    body = {"v": [2], "client": "x", "caps": [], "token": "x"}
    peer.say(json_message(0, Type.HELLO, body))
    await peer.closes(4400)


@conforms("hello-bad-token", "5")
async def hello_bad_token(table: Table) -> None:
    """A token that was never given out closes with 4401."""
    peer = await table.socket()
    peer.say(client.hello("x" * 43, client="conformance"))
    await peer.closes(4401)


@conforms("hello-twice", "5")
async def hello_twice(table: Table) -> None:
    """4400."""
    token = await table.seats.editor()
    peer, _ = await table.enter(token)
    peer.say(client.hello(token, client="conformance"))
    await peer.closes(4400)


@conforms("text-message", "1")
async def text_message(table: Table) -> None:
    """Binary messages only."""
    peer = await table.socket()
    peer.say_text("hello")
    await peer.closes(4400)


@conforms("large-before-hello", "9")
async def large_before_hello(table: Table) -> None:
    """Nobody fills the server's memory before saying who they are."""
    peer = await table.socket()
    peer.say(bytes(2_200_000))
    await peer.closes(1009)


@conforms("welcome", "3.2")
async def welcome(table: Table) -> None:
    """Every member, of its type; and every limit."""
    _, body = await table.enter(await table.seats.editor())
    for name, kind in WELCOME.items():
        check(name in body, f"welcome has no {name}")
        check(isinstance(body[name], kind), f"welcome.{name} is {body[name]!r}")
    check(body["v"] == 1, f"welcome.v is {body['v']!r}")
    for name in LIMITS:
        value = body["limits"].get(name)
        check(isinstance(value, int | float), f"limits.{name} is {value!r}")
    mine = [p for p in body["people"] if p["id"] == body["participant_id"]]
    check(len(mine) == 1, "welcome.people does not have the client itself")


@conforms("several-in-a-frame", "2")
async def several_in_a_frame(table: Table) -> None:
    """Handled in their order."""
    peer, _ = await table.enter(await table.seats.editor())
    peer.say(client.rpc(1, "time", {}) + client.ping() + client.rpc(2, "time", {}))
    first = await peer.hears(Type.RPC_RESULT)
    await peer.hears(Type.PONG)
    second = await peer.hears(Type.RPC_RESULT)
    check((first.value["id"], second.value["id"]) == (1, 2), "not in order")


@conforms("unknown-types-are-skipped", "2")
async def unknown_types(table: Table) -> None:
    """From 64 on, on channel 0 and on others."""
    peer = await table.editor()
    peer.say(client.unknown(0, 200, b"\xff" * 3) + client.unknown(1, 1000, b""))
    peer.say(client.unknown(9, 300, b"x"))
    for message in await peer.lives():
        check(message.type != Type.ERROR, f"an error: {message.value}")


@conforms("unknown-low-type", "2")
async def unknown_low_type(table: Table) -> None:
    """Below 64 it is malformed."""
    peer, _ = await table.enter(await table.seats.editor())
    peer.say(b"\x00\x0b")
    await peer.closes(4400)


@conforms("torn-frames", "2")
async def torn_frames(table: Table) -> None:
    """A number, or bytes, that the frame does not have."""
    for torn in (b"\x01\x80", b"\x01\x01\xff\x01", b"\xff" * 7 + b"\x7f\x09"):
        table.seats.again()
        peer, _ = await table.enter(await table.seats.editor())
        peer.say(torn)
        await peer.closes(4400)


@conforms("long-numbers", "2")
async def long_numbers(table: Table) -> None:
    """A number may be longer than it must."""
    peer, _ = await table.enter(await table.seats.editor())
    peer.say(b"\x80\x00\x89\x00")
    message = await peer.hears(Type.PONG)
    check(message.channel == 0, "a pong on another channel")


@conforms("channel-range", "2")
async def channel_range(table: Table) -> None:
    """255 is the last."""
    peer, _ = await table.enter(await table.seats.editor())
    await peer.opens(table.note, channel=255)
    peer.say(client.open_document(256, table.note))
    await peer.closes(4400)


@conforms("ping", "1")
async def ping(table: Table) -> None:
    """On any channel, answered on the same."""
    peer = await table.editor()
    peer.say(client.ping(1))
    message = await peer.hears(Type.PONG)
    check(message.channel == 1, f"the pong is on channel {message.channel}")


@conforms("json-must-be-objects", "2")
async def json_objects(table: Table) -> None:
    """4400."""
    values: list[Any] = [[], 1, "x"]
    for value in values:
        table.seats.again()
        peer, _ = await table.enter(await table.seats.editor())
        peer.say(json_message(0, Type.EVENT, value))
        await peer.closes(4400)


@conforms("sync-step-range", "3.1")
async def sync_step_range(table: Table) -> None:
    """There is no step 3."""
    peer = await table.editor()
    peer.say(client.sync(1, Step.UPDATE, b"\0\0").replace(b"\x02\x02", b"\x03\x02", 1))
    await peer.closes(4400)


@conforms("replaced", "1")
async def replaced(table: Table) -> None:
    """A participant has one connection: the older is closed with 4409."""
    token = await table.seats.editor()
    first, _ = await table.enter(token)
    await table.enter(token)
    await first.closes(4409)


@conforms("refresh", "3.2")
async def refresh(table: Table) -> None:
    """A bad token is an error on channel 0, the same one is taken."""
    token = await table.seats.editor()
    peer, _ = await table.enter(token)
    peer.say(client.refresh("x" * 43))
    await peer.fails(0, 4401)
    peer.say(client.refresh(token))
    for message in await peer.lives():
        check(message.type != Type.ERROR, f"an error: {message.value}")


@conforms("rpc", "3.2")
async def rpc(table: Table) -> None:
    """time is known, other methods are not."""
    peer, _ = await table.enter(await table.seats.editor())
    peer.say(client.rpc(7, "time", {}))
    body = (await peer.hears(Type.RPC_RESULT)).value
    check(body.get("id") == 7, f"the id is {body.get('id')!r}")
    now = (body.get("result") or {}).get("server_time")
    check(isinstance(now, int | float), f"the time is {now!r}")
    peer.say(client.rpc(8, "no such method", {}))
    body = (await peer.hears(Type.RPC_RESULT)).value
    check("error" in body and "result" not in body, f"the answer is {body}")


@conforms("closed-channels", "5")
async def closed_channels(table: Table) -> None:
    """A message on one is an error there."""
    peer, _ = await table.enter(await table.seats.editor())
    peer.say(var_uint(5) + b"\x03")
    await peer.fails(5, 4404)
