"""Checks of the doors for stock clients (section 10)."""

from __future__ import annotations

from mosaic.drcpclient.conformance.peer import Failed, Peer, check
from mosaic.drcpclient.conformance.run import Table, conforms
from mosaic.drcpclient.conformance.seats import NoSeat
from mosaic.wire.drcp import hocuspocus
from mosaic.wire.drcp.lib0 import Reader
from mosaic.wire.drcp.yprotocols import Step, Type, encode_sync, read_sync


def _hub(table: Table) -> str:
    if table.seats.hub_id is None:
        raise NoSeat("needs the Hub ID")
    return table.seats.hub_id


async def _sync(peer: Peer, wanted: Step) -> bytes:
    """The next y-websocket sync message of that step."""
    while True:
        frame = await peer.next_frame()
        if frame[0] == Type.SYNC:
            step, data = read_sync(Reader(frame, 1))
            if step is wanted:
                return data


@conforms("y-websocket", "10")
async def y_websocket(table: Table) -> None:
    """The same document, both ways."""
    hub_id = _hub(table)
    ann = await table.editor()
    ann.edits("native ")
    await ann.hears(Type.SYNC_STATUS)
    token = await table.seats.editor()
    url = table.door(f"/y/{hub_id}/{table.note}?token={token}")
    peer = await table.socket(url, subprotocol=None, native=False)
    await _sync(peer, Step.STATE_VECTOR)
    peer.say(encode_sync(Step.STATE_VECTOR, b"\0"))
    peer.doc.apply_update(await _sync(peer, Step.ANSWER))
    check(str(peer.text) == "native ", f"it holds {str(peer.text)!r}")
    peer.say(encode_sync(Step.UPDATE, peer.types("stock")))
    await ann.has("native stock")


@conforms("y-websocket-refuses-at-the-handshake", "10")
async def y_refuses(table: Table) -> None:
    """So that the stock client's back-off works."""
    url = table.door(f"/y/{_hub(table)}/board?token=bad")
    try:
        await table.socket(url, subprotocol=None, native=False)
    except Failed:
        return
    raise Failed("a bad token opened a socket")


@conforms("hocuspocus", "10")
async def hocus_pocus(table: Table) -> None:
    """Token, scope, update, acknowledgement."""
    address = f"{_hub(table)}/{table.note}"
    ann = await table.editor()
    token = await table.seats.editor()
    url = table.door("/hocuspocus")
    peer = await table.socket(url, subprotocol=None, native=False)
    peer.say(hocuspocus.token_message(address, token))
    answer = hocuspocus.authenticated(address, write=True)
    while (frame := await peer.next_frame()) != answer:
        check(frame[-3:] != b"\x02\x02\x00", "the token was refused")
    update = peer.types("hocus")
    peer.say(hocuspocus.client_sync(address, Step.UPDATE, update))
    await ann.has("hocus")
    while True:
        _, kind, reader = hocuspocus.read_address(await peer.next_frame())
        if kind == Type.SYNC_STATUS:
            check(reader.var_uint() == 1, "not saved")
            return


@conforms("hocuspocus-bad-token", "10")
async def hocuspocus_bad_token(table: Table) -> None:
    """Permission denied for that document."""
    address = f"{_hub(table)}/{table.note}"
    url = table.door("/hocuspocus")
    peer = await table.socket(url, subprotocol=None, native=False)
    peer.say(hocuspocus.token_message(address, "bad"))
    _, kind, reader = hocuspocus.read_address(await peer.next_frame())
    got = (kind, reader.var_uint())
    check(got == (Type.AUTH, 1), f"answered by {got}")
