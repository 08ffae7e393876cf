"""Checks of documents: opening, edits, acknowledgements (sections 3, 6)."""

from __future__ import annotations

from hashlib import sha256

from mosaic.drcpclient.conformance.peer import Peer, check
from mosaic.drcpclient.conformance.run import Table, conforms
from mosaic.drcpclient.conformance.seats import NoSeat
from mosaic.drcpclient.states import fetch_state
from mosaic.wire.drcp import client
from mosaic.wire.drcp.client import Message
from mosaic.wire.drcp.lib0 import var_bytes, var_uint
from mosaic.wire.drcp.native import SNAPSHOT_REF
from mosaic.wire.drcp.yprotocols import Step, Type

MALFORMED = bytes.fromhex("fea69968")
HOSTILE_VECTOR = bytes.fromhex("8080808001")


@conforms("open-is-one-round-trip", "3.2")
async def one_round_trip(table: Table) -> None:
    """Everything is in `opened`, with epoch, right and state vector."""
    ann = await table.editor()
    ann.edits("hello")
    await ann.hears(Type.SYNC_STATUS)
    bob, _ = await table.enter(await table.seats.editor())
    opened = await bob.opens(table.note)
    check(str(bob.text) == "hello", f"opened holds {str(bob.text)!r}")
    check(bool(opened.epoch), "opened has no epoch")
    check(opened.write, "opened does not let an editor write")
    check(opened.state_vector == ann.doc.get_state(), "another state vector")


@conforms("open-with-a-state-vector", "3.2")
async def with_a_state_vector(table: Table) -> None:
    """Only what is lacking comes."""
    ann = await table.editor()
    ann.edits("x" * 2000)
    await ann.hears(Type.SYNC_STATUS)
    ann.say(client.close_channel(1))
    opened = await ann.opens(table.note, channel=2)
    check(len(opened.update) < 200, f"{len(opened.update)} bytes for who has it all")


@conforms("open-bad-names", "3.2")
async def bad_names(table: Table) -> None:
    """4404 on the channel, which may be opened again."""
    peer, _ = await table.enter(await table.seats.editor())
    for name in ("", "secrets", "notes/", "notes/../x", "notes/" + "a" * 65, "Board"):
        peer.say(client.open_document(1, name))
        await peer.fails(1, 4404)
    await peer.opens(table.note)


@conforms("open-twice", "5")
async def open_twice(table: Table) -> None:
    """4400 on the channel, which stays open."""
    peer = await table.editor()
    peer.say(client.open_document(1, "board"))
    await peer.fails(1, 4400)
    peer.edits("x")
    check((await peer.hears(Type.SYNC_STATUS)).value, "not saved")


@conforms("open-hostile-state-vector", "12")
async def hostile_state_vector(table: Table) -> None:
    """Five bytes that announce billions: 4400."""
    peer, _ = await table.enter(await table.seats.editor())
    peer.say(client.open_document(1, table.note, HOSTILE_VECTOR))
    await peer.fails(1, 4400)


@conforms("open-long-state-vector", "3.2")
async def long_state_vector(table: Table) -> None:
    """4413, and an empty one brings everything."""
    peer, welcome = await table.enter(await table.seats.editor())
    limit = int(welcome["limits"]["max_state_vector_bytes"])
    count = limit // 2 + 1
    vector = var_uint(count) + b"".join(
        var_uint(2**20 + number) + b"\x01" for number in range(count)
    )
    peer.say(client.open_document(1, table.note, vector))
    await peer.fails(1, 4413)
    await peer.opens(table.note, state=b"")


@conforms("close-and-open-again", "5")
async def close_and_open_again(table: Table) -> None:
    """A closed channel hears nothing, and is free."""
    peer = await table.editor()
    peer.say(client.close_channel(1))
    peer.edits("x")
    await peer.fails(1, 4404)
    await peer.opens(table.note, channel=1)


@conforms("sync-step-1", "3.1")
async def sync_step_1(table: Table) -> None:
    """Answered by what is lacking, and by the server's own vector."""
    peer = await table.editor()
    peer.edits("text")
    await peer.hears(Type.SYNC_STATUS)
    peer.say(client.sync(1, Step.STATE_VECTOR, b"\0"))
    answer = await peer.hears(Type.SYNC, lambda m: m.value[0] is Step.ANSWER)
    fresh = Peer(table.reactor)
    fresh.doc.apply_update(answer.value[1])
    check(str(fresh.text) == "text", f"the answer holds {str(fresh.text)!r}")
    own = await peer.hears(Type.SYNC, lambda m: m.value[0] is Step.STATE_VECTOR)
    check(own.value[1] == peer.doc.get_state(), "another state vector")


@conforms("sync-reply", "3.1")
async def sync_reply(table: Table) -> None:
    """A state vector in syncReply is answered without the server's own."""
    peer = await table.editor()
    peer.say(var_uint(1) + bytes((Type.SYNC_REPLY, 0)) + var_bytes(b"\0"))
    answers = [m for m in await peer.lives() if m.type in (0, 4)]
    steps = [m.value[0] for m in answers]
    check(steps == [Step.ANSWER], f"answered by the steps {steps}")


@conforms("edits-reach-everybody", "6")
async def edits_reach_everybody(table: Table) -> None:
    """Both ways."""
    ann, bob = await table.editor(), await table.editor()
    ann.edits("ann ")
    await bob.has("ann ")
    bob.edits("bob")
    await ann.has("ann bob")


@conforms("every-update-is-acknowledged", "6")
async def every_update_is_acknowledged(table: Table) -> None:
    """Once each; not for what is empty."""
    peer = await table.editor()
    for number in range(5):
        peer.edits(f"{number}")
    peer.say(client.sync(1, Step.ANSWER, b"\0\0"))
    for _ in range(5):
        status = await peer.hears(Type.SYNC_STATUS)
        check(status.value, "an update was not saved")
    await _pause(table, 0.3)
    extra = [m for m in await peer.lives() if m.type == Type.SYNC_STATUS]
    check(not extra, f"{len(extra)} acknowledgements too many")


@conforms("acknowledged-is-there", "6")
async def acknowledged_is_there(table: Table) -> None:
    """Who comes after the acknowledgement sees the edit."""
    peer = await table.editor()
    peer.edits("kept")
    await peer.hears(Type.SYNC_STATUS)
    peer.cut()
    late = await table.editor()
    check(str(late.text) == "kept", f"it holds {str(late.text)!r}")


@conforms("offline-edits-merge", "6")
async def offline_edits_merge(table: Table) -> None:
    """What was made without a connection, or sent twice, is there once."""
    ann, bob = await table.editor(), await table.editor()
    ann.edits("base ")
    await bob.has("base ")
    bob.cut()
    lost = bob.types("offline ")
    ann.edits("meanwhile ")
    await ann.hears(Type.SYNC_STATUS)
    table.seats.again()
    await table.seats.editor()
    again, _ = await table.enter(await table.seats.editor())
    again.doc, again.text = bob.doc, bob.text
    opened = await again.opens(table.note)
    again.say(client.sync(1, Step.ANSWER, again.doc.get_update(opened.state_vector)))
    again.say(client.sync(1, Step.UPDATE, lost))
    await ann.has(str(again.text))
    for words in ("base ", "offline ", "meanwhile "):
        check(str(ann.text).count(words) == 1, f"{words!r} in {str(ann.text)!r}")


@conforms("malformed-update", "6")
async def malformed_update(table: Table) -> None:
    """4400, syncStatus 0, and nobody else hears of it."""
    ann, bob = await table.editor(), await table.editor()
    ann.say(client.sync(1, Step.UPDATE, MALFORMED))
    error = await ann.hears(Type.ERROR)
    check((error.channel, error.value["code"]) == (1, 4400), f"error {error.value}")
    check(not (await ann.hears(Type.SYNC_STATUS)).value, "it was acknowledged")
    await _pause(table, 0.2)
    check(not _updates(await bob.lives()), "it was passed on")


@conforms("viewers-do-not-edit", "5")
async def viewers_do_not_edit(table: Table) -> None:
    """4403, syncStatus 0, whether as update or as answer; the channel stays."""
    token = await table.seats.viewer()
    ann = await table.editor()
    eve, _ = await table.enter(token)
    opened = await eve.opens(table.note)
    check(not opened.write, "opened lets a viewer write")
    for step in (Step.UPDATE, Step.ANSWER):
        eve.say(client.sync(1, step, eve.types("no")))
        error = await eve.hears(Type.ERROR)
        check((error.channel, error.value["code"]) == (1, 4403), f"{error.value}")
        check(not (await eve.hears(Type.SYNC_STATUS)).value, "it was acknowledged")
    await _pause(table, 0.2)
    check(not _updates(await ann.lives()), "it was passed on")
    ann.edits("yes")
    await eve.hears(Type.SYNC)


@conforms("snapshot-ref", "3.2")
async def snapshot_ref(table: Table) -> None:
    """A large document comes by HTTP to those who can, inline to others."""
    token = await table.seats.editor()
    ann, welcome = await table.enter(token)
    if SNAPSHOT_REF not in welcome["caps"]:
        raise NoSeat("the server does not have this capability")
    size = int(welcome["limits"].get("snapshot_ref_bytes", 262144))
    await table.opens(ann)
    ann.edits("".join(f"{number:>9}\n" for number in range(size // 10 + 1)))
    await ann.hears(Type.SYNC_STATUS)
    other = await table.seats.editor()
    bob, _ = await table.enter(other)
    inline = await bob.opens(table.note)
    check(inline.reference is None, "a reference for who did not ask")
    check(str(bob.text) == str(ann.text), "not all of it came inline")
    cid, _ = await table.enter(other, caps=[SNAPSHOT_REF])
    opened = await cid.opens(table.note)
    check(opened.reference is not None, "no reference")
    reference = opened.reference or {}
    policy = table.seats.http.policy
    state = await fetch_state(
        table.reactor, table.url, str(reference.get("url")), other, policy=policy
    )
    check(sha256(state).hexdigest() == reference.get("etag"), "another SHA-256")
    check(len(state) == reference.get("size"), "another size")
    cid.doc.apply_update(state)
    cid.doc.apply_update(opened.update)
    check(str(cid.text) == str(ann.text), "state and update are not the document")
    status, _ = await table.seats.http.call(
        "GET", str(reference.get("url")).removeprefix("/api/v1")
    )
    check(status == 401, f"without a token: HTTP {status}")


def _updates(messages: list[Message]) -> list[Message]:
    return [m for m in messages if m.type == Type.SYNC and m.value[0] != 0]


async def _pause(table: Table, seconds: float) -> None:
    """For what must not come."""
    from twisted.internet.task import deferLater

    await deferLater(table.reactor, seconds)
