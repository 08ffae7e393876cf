"""Fuzz what strangers may send over DRCP: updates, state vectors, frames.

    python -m tests.fuzz.drcp_fuzz [SECONDS [SEED]]

Real Yjs updates and frames of all three doors are mutated and given to the
same objects that a server uses: the structural check, the fenced CRDT, and
whole connections over the service in memory. Nothing may raise, no call may
take more than 50 ms of CPU, and memory may not grow. Prints one JSON object;
exit status 1 if something was found.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from pycrdt import Array, Doc, Map, Text, XmlElement, XmlFragment, XmlText

from mosaic.services.drcp.replica import CrdtError, Replica, merged
from mosaic.wire.drcp import client, hocuspocus
from mosaic.wire.drcp.lib0 import ProtocolError, var_bytes, var_uint
from mosaic.wire.drcp.yprotocols import Step, decode_awareness, encode_sync
from mosaic.workspace.documents import (
    MalformedUpdate,
    check_state_vector,
    check_update,
)
from tests.support.drcp import HUB, HocuspocusPeer, Hub, Peer, YPeer

T = TypeVar("T")

LIMIT_S = 0.050
MAX_GROWTH_MB = 200
VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "drcp.json").read_text())
NUMBERS = [0, 127, 128, 2**14, 2**31, 2**53 - 1]
INTERESTING = [0, 1, 2, 7, 10, 0x1F, 0x21, 0x7F, 0x80, 0x81, 0x84, 0xFF]


def real_updates(random: Random) -> list[bytes]:
    """What editors write: texts, marks, maps, lists, trees, deletions."""
    updates: list[bytes] = []
    for number in range(4):
        doc: Doc[Any] = Doc(client_id=[1, 300, 2**31 + 5, 2**32 - 1][number])
        doc.observe(lambda event: updates.append(event.update))
        text = doc.get("t", type=Text)
        items = doc.get("a", type=Array)
        board = doc.get("m", type=Map)
        tree = doc.get("x", type=XmlFragment)
        for step in range(12):
            text.insert(random.randrange(len(text) + 1), "héllo 🐴"[: step % 8 + 1])
            text.format(0, min(3, len(text)), {"bold": step % 2 == 0})
            items.append([step, 1.5, None, True, "x", {"k": [step]}])
            board[f"k{step % 5}"] = {"x": step, "y": [1, {"deep": "er"}], "b": b"\0\1"}
            if step % 4 == 3:
                del text[0:2]
                del items[0]
        board["nested"] = Map({"t": Text("inner"), "a": Array([1, 2])})
        paragraph = tree.children.append(XmlElement("p", {"class": "c"}))
        paragraph.children.append(XmlText("words"))
        updates.append(doc.get_update())
    return updates


def mutate(data: bytes, others: list[bytes], random: Random) -> bytes:
    """A few changes of the kinds that parsers dislike."""
    out = bytearray(data)
    for _ in range(random.choice([1, 1, 1, 2, 3, 8])):
        at = random.randrange(len(out) + 1)
        match random.randrange(8):
            case 0 if out:
                out[at % len(out)] ^= 1 << random.randrange(8)
            case 1 if out:
                out[at % len(out)] = random.choice(INTERESTING)
            case 2:
                out[at:at] = bytes([random.choice(INTERESTING)])
            case 3:
                del out[at : at + random.choice([1, 1, 2, 4, 16])]
            case 4:
                out[at:at] = var_uint(
                    random.choice([0, 127, 128, 2**14, 2**31, 2**53 - 1])
                )
            case 5:
                other = random.choice(others)
                start = random.randrange(len(other) + 1)
                out[at:at] = other[start : start + random.randrange(32)]
            case 6:
                out[at:at] = out[at : at + random.randrange(1, 24)] * random.choice(
                    [1, 1, 30]
                )
            case _:
                out[at:] = out[at : at + random.randrange(64)]
    return bytes(out[:70_000])


class Fuzz:
    """Counts what was tried, and keeps what was wrong."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.counts: Counter[str] = Counter()
        self.found: list[dict[str, Any]] = []
        self.slowest_ms: dict[str, float] = {}
        self.updates = real_updates(self.random)
        self.vectors = [
            bytes.fromhex(text) for text in VECTORS["state_vectors"]["valid"]
        ] + [_state_of(update) for update in self.updates[-4:]]
        self.replica = Replica()
        self.frames = self._frames()
        self.hub = self._house()
        self._peers: dict[str, Any] = {}
        self._uses = 0

    def timed(self, what: str, data: bytes, call: Callable[[], T]) -> T:
        """The result of a call that must be quick."""
        before = time.thread_time()
        try:
            return call()
        finally:
            took = time.thread_time() - before
            self.counts[what] += 1
            self.slowest_ms[what] = max(self.slowest_ms.get(what, 0.0), took * 1000)
            if took > LIMIT_S:
                self.note("slow", what, data, f"{took * 1000:.0f} ms")

    def note(self, kind: str, what: str, data: bytes, detail: str) -> None:
        """Something was wrong."""
        if len(self.found) < 50:
            found = {"kind": kind, "what": what, "detail": detail}
            self.found.append({**found, "hex": data[:2000].hex()})

    # Updates and state vectors ----------------------------------------------
    def update(self) -> None:
        """Through the check, and if that lets it pass, into the CRDT."""
        data = mutate(self.random.choice(self.updates), self.updates, self.random)
        try:
            summary = self.timed("check_update", data, lambda: check_update(data))
        except MalformedUpdate:
            self.counts["updates refused"] += 1
            return
        if not self.replica.accepts(summary):
            self.replica = Replica()
        try:
            batch = [(data, summary)]
            self.timed("apply", data, lambda: self.replica.apply(batch, data))
            self.timed("merge", data, lambda: merged([data, self.updates[0]]))
        except CrdtError as error:
            self.counts["panics" if error.panicked else "CRDT refusals"] += 1
            if error.panicked:
                self.replica = Replica()
        if self.counts["apply"] % 400 == 0:
            self.replica = Replica()

    def state_vector(self) -> None:
        """The same."""
        data = mutate(self.random.choice(self.vectors), self.vectors, self.random)
        data = data[:4096]
        try:
            self.timed("check_state_vector", data, lambda: check_state_vector(data))
            self.timed("diff", data, lambda: self.replica.diff(data))
        except MalformedUpdate:
            self.counts["state vectors refused"] += 1
        except CrdtError as error:
            self.counts["panics" if error.panicked else "CRDT refusals"] += 1
            self.replica = Replica()

    def awareness(self) -> None:
        """Decoding alone; the table behind it is reached by frames."""
        data = mutate(bytes.fromhex("010701027b7d"), self.vectors, self.random)
        try:
            self.timed("decode_awareness", data, lambda: decode_awareness(data))
        except ProtocolError:
            self.counts["awareness refused"] += 1

    # Frames -------------------------------------------------------------------
    def _frames(self) -> dict[str, list[bytes]]:
        native = [
            bytes.fromhex(v["hex"])
            for v in VECTORS["frames"]
            if v["from"] != "server" and v["messages"][0]["type"] != "hello"
        ]
        native += [client.sync(1, Step.UPDATE, update) for update in self.updates]
        address = f"{HUB}/board"
        stock = [encode_sync(Step.UPDATE, update) for update in self.updates]
        stock += [
            b"\x00\x00\x01\x00",
            b"\x03",
            b"\x01" + var_bytes(b"\x01\x07\x01\x02{}"),
        ]
        head = var_bytes(address.encode())
        pocus = [head + frame for frame in stock]
        pocus += [hocuspocus.token_message(address, "f-hocuspocus"), b"\x09"]
        return {"native": native, "y": stock, "hocuspocus": pocus}

    def _house(self) -> Hub:
        return Hub(messages_per_s=1e9, message_burst=10**9, bytes_per_s=1e12)

    def peer(self, door: str) -> Any:
        """A connection of the door with the document open."""
        peer = self._peers.get(door)
        if peer is not None and peer.wire.closed is None:
            return peer
        if peer is not None:
            peer.drop()
        token = self.hub.token(
            f"f-{door}", participant_id=f"{door:0>16}", expires_at=1e12
        )
        if door == "native":
            peer = Peer(self.hub, token)
            peer.say(client.hello(token, client="fuzz"))
            peer.say(client.open_document(1, "board"))
        elif door == "y":
            peer = YPeer(self.hub, token, "board")
        else:
            peer = HocuspocusPeer(self.hub)
            peer.say(hocuspocus.token_message(f"{HUB}/board", token))
        self._peers[door] = peer
        return peer

    def frame(self) -> None:
        """To a whole connection, over the service in memory."""
        door = self.random.choice(["native", "y", "hocuspocus"])
        frames = self.frames[door]
        data = mutate(self.random.choice(frames), frames, self.random)
        peer = self.peer(door)
        try:
            self.timed(f"{door} frame", data, lambda: peer.say(data))
            self.timed("tick", data, lambda: self.hub.clock.advance(0.05))
        except Exception as error:
            self.note("raised", f"{door} frame", data, repr(error))
        if peer.wire.closed is not None:
            self.counts[f"closed {peer.wire.closed[0]}"] += 1
        peer.wire.writes.clear()
        peer.wire._at = 0
        self._uses += 1
        if self._uses % 2000 == 0:
            # The document is full of rubbish by now: another house.
            for other in self._peers.values():
                other.drop()
            self._peers.clear()
            self.hub.service.stopService()
            self.hub.clock.advance(5)
            self.hub = self._house()

    def run(self, seconds: float) -> None:
        """All of it in turn, for so long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for _ in range(50):
                self.update()
                self.state_vector()
                self.awareness()
                self.frame()


def _state_of(update: bytes) -> bytes:
    doc: Doc[Any] = Doc()
    doc.apply_update(update)
    return doc.get_state()


def rss_mb() -> float:
    """The most that this process has ever used."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(seconds: float = 60.0, seed: int | None = None) -> int:
    """Fuzz, and say what came out."""
    if seed is None:
        seed = int(time.time())
    fuzz = Fuzz(seed)
    fuzz.run(min(5.0, seconds / 4))
    before = rss_mb()
    fuzz.run(seconds)
    growth = rss_mb() - before
    if growth > MAX_GROWTH_MB:
        fuzz.note("memory", "all", b"", f"{growth:.0f} MB")
    report = {
        "seed": seed,
        "counts": dict(sorted(fuzz.counts.items())),
        "slowest_ms": {k: round(v, 1) for k, v in sorted(fuzz.slowest_ms.items())},
        "rss_mb": round(rss_mb()),
        "growth_mb": round(growth),
        "found": fuzz.found,
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    return 1 if fuzz.found else 0


if __name__ == "__main__":
    sys.exit(
        main(
            float(sys.argv[1]) if len(sys.argv) > 1 else 60.0,
            int(sys.argv[2]) if len(sys.argv) > 2 else None,
        )
    )
