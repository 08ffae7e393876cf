"""The bytes that other implementations of DRCP/1 are built against."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mosaic.wire.drcp import client, hocuspocus, ywebsocket
from mosaic.wire.drcp import events as ev
from mosaic.wire.drcp.client import Message, Opened
from mosaic.wire.drcp.lib0 import var_bytes, var_string, var_uint
from mosaic.wire.drcp.native import (
    Session,
    close_message,
    json_message,
    open_message,
    opened_message,
)
from mosaic.wire.drcp.yprotocols import (
    AwarenessEntry,
    Step,
    Type,
    awareness_message,
    encode_sync,
)
from mosaic.workspace.documents import (
    MalformedUpdate,
    check_state_vector,
    check_update,
)
from tests.support.drcp import HocuspocusPeer, Hub, Peer

ROOT = Path(__file__).parents[2]
VECTORS = json.loads((ROOT / "tests" / "vectors" / "drcp.json").read_text())
DOCUMENT = ROOT / "docs" / "protocols" / "drcp.md"

NAMES = {
    "sync": Type.SYNC,
    "awareness": Type.AWARENESS,
    "queryAwareness": Type.QUERY_AWARENESS,
    "syncReply": Type.SYNC_REPLY,
    "stateless": Type.STATELESS,
    "broadcastStateless": Type.BROADCAST_STATELESS,
    "syncStatus": Type.SYNC_STATUS,
    "ping": Type.PING,
    "pong": Type.PONG,
    "hello": Type.HELLO,
    "welcome": Type.WELCOME,
    "open": Type.OPEN,
    "opened": Type.OPENED,
    "close": Type.CLOSE,
    "error": Type.ERROR,
    "perm": Type.PERM,
    "event": Type.EVENT,
    "rpc": Type.RPC,
    "rpcResult": Type.RPC_RESULT,
    "signal": Type.SIGNAL,
    "refresh": Type.REFRESH,
    "resync": Type.RESYNC,
}
"""As docs/protocols/drcp.md and the TypeScript client call them."""

Json = dict[str, Any]


def encoded(message: Json) -> bytes:
    """The bytes of a described message."""
    channel, kind = message["channel"], NAMES[message["type"]]
    head = var_uint(channel) + var_uint(kind)
    match kind:
        case Type.OPEN:
            known = bytes.fromhex(message["state_vector"])
            return open_message(channel, message["name"], known)
        case Type.OPENED:
            return opened_message(
                channel,
                epoch=message["epoch"],
                write=message["write"],
                update=bytes.fromhex(message["update"]),
                state_vector=bytes.fromhex(message["state_vector"]),
                reference=message.get("reference"),
            )
        case Type.CLOSE:
            return close_message(channel)
        case Type.SYNC:
            data = bytes.fromhex(message["data"])
            return var_uint(channel) + encode_sync(Step(message["step"]), data)
        case Type.SYNC_REPLY:
            data = bytes.fromhex(message["data"])
            return head + var_uint(message["step"]) + var_bytes(data)
        case Type.AWARENESS:
            entries = [AwarenessEntry(**entry) for entry in message["entries"]]
            return var_uint(channel) + awareness_message(entries)
        case Type.STATELESS | Type.BROADCAST_STATELESS:
            return head + var_string(message["text"])
        case Type.SYNC_STATUS:
            return head + var_uint(int(message["saved"]))
        case Type.QUERY_AWARENESS | Type.PING | Type.PONG:
            return head
        case _:
            return json_message(channel, kind, message["json"])


def described(message: Message) -> Json:
    """A message as the vectors describe it."""
    kind = Type(message.type)
    name = next(name for name, number in NAMES.items() if number == kind)
    return {"channel": message.channel, "type": name, **_members(kind, message.value)}


def _members(kind: Type, value: Any) -> Json:
    if isinstance(value, dict):
        return {"json": value}
    if isinstance(value, Opened):
        members: Json = {
            "epoch": value.epoch,
            "write": value.write,
            "update": value.update.hex(),
            "state_vector": value.state_vector.hex(),
        }
        if value.reference is not None:
            members["reference"] = value.reference
        return members
    match kind:
        case Type.OPEN:
            return {"name": value[0], "state_vector": value[1].hex()}
        case Type.SYNC | Type.SYNC_REPLY:
            return {"step": int(value[0]), "data": value[1].hex()}
        case Type.AWARENESS:
            return {
                "entries": [
                    {"client": e.client, "clock": e.clock, "state": e.state}
                    for e in value
                ]
            }
        case Type.STATELESS | Type.BROADCAST_STATELESS:
            return {"text": value}
        case Type.SYNC_STATUS:
            return {"saved": value}
        case _:
            return {}


class FrameTests(SynchronousTestCase):
    """Both directions, both ways."""

    def test_every_frame_is_written_and_read(self) -> None:
        """Byte for byte."""
        for vector in VECTORS["frames"]:
            wire = bytes.fromhex(vector["hex"])
            written = b"".join(encoded(message) for message in vector["messages"])
            self.assertEqual(written.hex(), vector["hex"], vector["name"])
            read = [described(message) for message in client.read_frame(wire)]
            self.assertEqual(read, vector["messages"], vector["name"])

    def test_every_type_has_a_vector(self) -> None:
        """A message without one would be built by guessing."""
        seen = {m["type"] for v in VECTORS["frames"] for m in v["messages"]}
        self.assertEqual(seen, set(NAMES))

    def test_the_server_takes_what_clients_send(self) -> None:
        """Nothing in a client's frame is a violation."""
        for vector in VECTORS["frames"]:
            if vector["from"] == "server":
                continue
            session = Session()
            if vector["messages"][0]["type"] != "hello":
                session.receive(client.hello("t", client="test"))
                if vector["messages"][0] != {"type": "open"}:
                    session.receive(client.open_document(1, "board"))
            events = session.receive(bytes.fromhex(vector["hex"]))
            bad = [e for e in events if isinstance(e, ev.Violation)]
            opening = vector["messages"][0]["type"] == "open"
            self.assertEqual([e for e in bad if not opening], [], vector["name"])

    def test_later_versions_are_skipped(self) -> None:
        """Types from 64 have a length, so that nobody stumbles over them."""
        for vector in VECTORS["skipped"]:
            wire = bytes.fromhex(vector["hex"])
            session = Session()
            session.receive(client.hello("t", client="test"))
            (ping,) = session.receive(wire + client.ping())
            self.assertEqual(ping, ev.Ping(0), vector["name"])
            read = client.read_frame(wire + client.ping())
            self.assertEqual(read[-1].type, Type.PING, vector["name"])

    def test_invalid_frames_have_their_codes(self) -> None:
        """On the channel, or by closing."""
        for vector in VECTORS["invalid"]:
            hub = Hub()
            peer = Peer(hub, hub.token("ann"))
            if vector["after"] == "open":
                peer.say(client.hello("ann", client="test"))
                peer.open()
            peer.say(bytes.fromhex(vector["hex"]))
            hub.tick()
            peer.hear()
            closed = peer.wire.closed
            if vector["channel"] is None:
                self.assertIsNotNone(closed, vector["name"])
                self.assertEqual(closed and closed[0], vector["code"], vector["name"])
            else:
                wanted = (vector["channel"], vector["code"])
                self.assertEqual(peer.errors, [wanted], vector["name"])
                self.assertIsNone(closed, vector["name"])


class PayloadTests(SynchronousTestCase):
    """What may come near the CRDT."""

    def test_updates_and_state_vectors(self) -> None:
        """The good ones pass, the bad ones do not."""
        checks: dict[str, Callable[[bytes], object]] = {
            "updates": check_update,
            "state_vectors": check_state_vector,
        }
        for key, check in checks.items():
            for good in VECTORS[key]["valid"]:
                check(bytes.fromhex(good))
            for bad in VECTORS[key]["invalid"]:
                with self.assertRaises(MalformedUpdate, msg=bad):
                    check(bytes.fromhex(bad))


class DoorTests(SynchronousTestCase):
    """The first words of stock clients, and ours to them."""

    ADDRESS = "412907338/board"

    def test_what_clients_send(self) -> None:
        """It is understood."""
        for vector in VECTORS["doors"]["y"]:
            if vector["from"] == "client":
                session = ywebsocket.YWebsocketSession()
                (event,) = session.receive(bytes.fromhex(vector["hex"]))
                self.assertFalse(isinstance(event, ev.Violation), vector["name"])
        for vector in VECTORS["doors"]["hocuspocus"]:
            if vector["from"] == "client":
                other = hocuspocus.HocuspocusSession()
                (event,) = other.receive(bytes.fromhex(vector["hex"]))
                self.assertFalse(isinstance(event, ev.Violation), vector["name"])

    def test_what_the_server_sends(self) -> None:
        """Byte for byte."""
        y, h, at = ywebsocket, hocuspocus, self.ADDRESS
        wanted = {
            door: {v["name"]: v["hex"] for v in vectors if v["from"] == "server"}
            for door, vectors in VECTORS["doors"].items()
        }
        self.assertEqual(
            wanted["y"],
            {
                "keep-alive: awareness of nobody": y.YWebsocketFraming()
                .keep_alive("")[0]
                .hex(),
                "permission denied": y.permission_denied("no").hex(),
            },
        )
        self.assertEqual(
            wanted["hocuspocus"],
            {
                "authenticated, may write": h.authenticated(at, write=True).hex(),
                "authenticated, read-only": h.authenticated(at, write=False).hex(),
                "permission denied": h.permission_denied(at, "no").hex(),
                "syncStatus saved": h.HocuspocusFraming().status(at, True, 1)[0].hex(),
                "closed": h.closed(at, "kicked").hex(),
            },
        )

    def test_a_token_opens_a_document(self) -> None:
        """The first vector of the Hocuspocus door, with our Hub ID."""
        hub = Hub()
        hub.token("t")
        peer = HocuspocusPeer(hub)
        peer.say(hocuspocus.token_message("123456782/board", "t"))
        answer = hocuspocus.authenticated("123456782/board", write=True)
        self.assertIn(answer, peer.wire.messages())


class DocumentTests(SynchronousTestCase):
    """docs/protocols/drcp.md shows the vectors of the file, all and no others."""

    def test_the_document_and_the_file_agree(self) -> None:
        """Name and bytes."""
        lines = re.findall(
            r"^- (?:vector|invalid|skipped|`/y`|`/hocuspocus`): (.+?):\s+`([0-9a-f]+)`",
            DOCUMENT.read_text(),
            re.MULTILINE,
        )
        inside = VECTORS["frames"] + VECTORS["skipped"] + VECTORS["invalid"]
        for vectors in VECTORS["doors"].values():
            inside = inside + vectors
        wanted = [(vector["name"], vector["hex"]) for vector in inside]
        self.assertEqual(sorted(lines), sorted(wanted))

    def test_the_document_names_every_type(self) -> None:
        """With its number."""
        text = DOCUMENT.read_text()
        for name, number in NAMES.items():
            self.assertIn(f"| {int(number)} | {name} |", text)
