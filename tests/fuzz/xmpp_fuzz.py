"""Fuzz whole XMPP streams in memory: what strangers and people may send.

    python -m tests.fuzz.xmpp_fuzz [STREAMS [SEED]]

Each stream is a connection to a service in memory: over TCP or WebSocket, left
at the header, or taken through a login (RFC 6120 or SASL2), bound, with or
without acknowledgements. Then comes what a real client would say, mutated, in
pieces of any size, some of it while the house ends or resumes sessions. Nothing
may be logged as an error, nobody may get in without a proof, no read may take
more than 50 ms of CPU, and memory may not grow. Prints one JSON object; exit
status 1 if something was found.
"""

from __future__ import annotations

import base64
import gc
import hashlib
import json
import resource
import sys
import time
import traceback
from collections import Counter
from functools import lru_cache
from random import Random
from typing import Any, cast

from twisted.logger import LogLevel, globalLogPublisher

from mosaic.wire.sasl.client import ScramClient
from mosaic.wire.xmpp.xml import element
from tests.support.websocket import CLOSE, TEXT, fragments, frame
from tests.support.xmpp import HEADER, NS_BIND, MemoryClient, MemoryXmpp, sasl
from tests.support.xmpp_websocket import END, OPEN, MemorySocket

LIMIT_S = 0.050
MAX_GROWTH_MB = 60
HOUSE_STREAMS = 2000
NS_SM = "urn:xmpp:sm:3"
_SASL2 = (
    "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='%s'><initial-response>%s"
    "</initial-response><user-agent id='x'/><bind xmlns='urn:xmpp:bind:0'><tag>t</tag>"
    "<enable xmlns='urn:xmpp:sm:3' resume='true'/></bind>"
    "<fast xmlns='urn:xmpp:fast:0' count='1'/>"
    "<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/></authenticate>"
)
LOGINS = [
    HEADER,
    sasl("auth", b"n,,n=ann,r=abc", "SCRAM-SHA-256"),
    sasl("auth", b"p=tls-exporter,,n=ann,r=abc", "SCRAM-SHA-256-PLUS"),
    sasl("response", b"c=biws,r=abc,p=AAAA"),
    sasl("abort", b""),
    _SASL2 % ("HT-SHA-256-NONE", base64.b64encode(b"ann\0" + bytes(32)).decode()),
    _SASL2.replace("<fast xmlns='urn:xmpp:fast:0' count='1'/>", "")
    % ("SCRAM-SHA-256", base64.b64encode(b"n,,n=ann,r=abc").decode()),
    "<response xmlns='urn:xmpp:sasl:2'>Yz1iaXdzLHI9YWJjLHA9QUFBQQ==</response>",
    "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
    "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]><x>&b;</x>",
    "<?xml version='1.1'?>",
    f"<iq type='set' id='1'><bind xmlns='{NS_BIND}'/></iq>",
]
STANZAS = [
    "<message to='bob@localhost/r' type='chat' id='1'><body>h\u00e9 &amp; 1 &lt; 2"
    "</body><thread parent='a'>t</thread></message>",
    "<message to='bob@localhost'><x:y xmlns:x='urn:x' x:z='&#x1F40E;'/></message>",
    "<message to='ann@localhost/r'/>",
    "<message to='no@localhost' type='error'><body><![CDATA[<&>]]></body></message>",
    "<message from='ann@localhost' to='mosaic.localhost'><a><b><c/></b></a></message>",
    "<presence><priority>5</priority><show>away</show></presence>",
    "<presence to='bob@localhost' type='subscribe'/>",
    "<presence type='unavailable'/>",
    "<iq type='get' id='2'><ping xmlns='urn:xmpp:ping'/></iq>",
    "<iq type='get' id='3' to='localhost'>"
    "<query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
    "<iq type='get' id='4'><query xmlns='jabber:iq:roster'/></iq>",
    "<iq type='set' id='5' to='bob@localhost/r'><q xmlns='x'/></iq>",
    "<iq type='result' id='6'/>",
    f"<enable xmlns='{NS_SM}' resume='true' max='20'/>",
    f"<r xmlns='{NS_SM}'/>",
    f"<a xmlns='{NS_SM}' h='0'/>",
    f"<a xmlns='{NS_SM}' h='3'/>",
    f"<resume xmlns='{NS_SM}' previd='x' h='0'/>",
    "</stream:stream>",
    " ",
]
PIECES = [
    b"<", b">", b"/>", b"</", b"'", b'"', b"&", b"&#0;", b"&#x110000;", b"<![CDATA[",
    b"]]>", b"<!--", b"<?x ", b"\xff\xfe", b"\xc0\x80", b"\xed\xa0\x80", b"\0", b"=",
    b"xmlns=''", b"xmlns:a='b' a:c='d'", b"a='1' a='2'", b"stream:", b" ", b"\r\n",
    b"</w>", b"<w>", b"urn:xmpp:sm:3", b"h='4294967295'", b"<a>" * 70,
    b" b='c'" * 70, b"x" * 5000, b"<a b='" + b"y" * 3000,
]  # fmt: skip


class Fuzz:
    """Counts what was tried, and keeps what was wrong."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.counts: Counter[str] = Counter()
        self.found: list[dict[str, Any]] = []
        self.slowest_ms = 0.0
        self.said: list[bytes] = []
        self.new_house()
        self._observer = cast(Any, self.logged)
        globalLogPublisher.addObserver(self._observer)

    def stop(self) -> None:
        """Listen to the log no more, and let the house go."""
        globalLogPublisher.removeObserver(self._observer)
        self.house.service.stopService()

    def new_house(self) -> None:
        """Fresh, with Bob in it."""
        self.house = MemoryXmpp(unacked_stanzas=50, unacked_bytes=100_000)
        self.bob = self.house.client("bob")

    def logged(self, event: Any) -> None:
        """An error in the log is a fault of ours."""
        if event.get("log_level") in (LogLevel.error, LogLevel.critical):
            failure = event.get("log_failure")
            text = failure.getTraceback()[-1500:] if failure else str(event)[:500]
            self.note("logged", text)

    def note(self, kind: str, detail: str) -> None:
        """Something was wrong."""
        if len(self.found) < 20:
            said = [part[:3000].hex() for part in self.said]
            self.found.append({"kind": kind, "detail": detail, "said": said})

    # Material ---------------------------------------------------------------
    def mutated(self, text: str) -> bytes:
        """Changes of the kinds that parsers dislike; or none."""
        out = bytearray(text.encode())
        for _ in range(self.random.choice([0, 0, 0, 1, 1, 2, 4])):
            at = self.random.randrange(len(out) + 1)
            match self.random.randrange(6):
                case 0 if out:
                    out[at % len(out)] ^= 1 << self.random.randrange(8)
                case 1:
                    out[at:at] = self.random.choice(PIECES)
                case 2:
                    del out[at : at + self.random.choice([1, 1, 2, 8, 40])]
                case 3:
                    other = self.random.choice(STANZAS + LOGINS).encode()
                    start = self.random.randrange(len(other))
                    out[at:at] = other[start : start + self.random.randrange(40)]
                case 4:
                    out[at:at] = out[at : at + 30] * self.random.choice([1, 3])
                case _:
                    out[at:] = b""
        return bytes(out)

    def speech(self, known: list[str]) -> list[bytes]:
        """Some elements, mutated."""
        return [
            self.mutated(self.random.choice(known))
            for _ in range(self.random.choice([1, 2, 3, 6]))
        ]

    # Streams ----------------------------------------------------------------
    def say(self, protocol: Any, data: bytes) -> None:
        """One read, which must be quick and raise nothing."""
        self.said.append(data)
        before = time.thread_time()
        try:
            protocol.dataReceived(data)
        except Exception as error:
            self.note("raised", repr(error))
        took = time.thread_time() - before
        self.counts["reads"] += 1
        self.slowest_ms = max(self.slowest_ms, took * 1000)
        if took > LIMIT_S:
            self.note("slow", f"{took * 1000:.0f} ms")

    def tcp(self) -> None:
        """A stream of bytes."""
        client = self.house.connect()
        inside = self.random.random() < 0.6
        if inside:
            self.enter(client)
        data = b"".join(self.speech(STANZAS if inside else LOGINS))
        if not inside and self.random.random() < 0.7:
            data = HEADER.encode() + data
        size = self.random.choice([1, 7, 64, 4096, 1 << 20])
        if len(data) > 2000:
            size = max(size, 64)
        for at in range(0, len(data), size):
            if not client.open:
                break
            self.say(client.protocol, data[at : at + size])
        self.judge(client.transport.value(), inside)
        if self.random.random() < 0.3:
            self.house.clock.advance(self.random.choice([0, 8, 31]))
        if client.open:
            client.drop()

    def enter(self, client: MemoryClient) -> None:
        """Log in, by one profile or the other, and bind."""
        if self.random.random() < 0.5:
            client.log_in("ann", f"r{self.random.randrange(3)}")
        else:
            self.enter_by_sasl2(client)
        if self.random.random() < 0.4:
            client.send(f"<enable xmlns='{NS_SM}' resume='true'/>")
        client.transport.clear()

    def enter_by_sasl2(self, client: MemoryClient) -> None:
        """In one breath, with a token sometimes asked for."""
        client.start()
        scram = ScramClient("ann", "secret", nonce="mine")
        initial = base64.b64encode(scram.first()).decode()
        wishes = element("bind", ns="urn:xmpp:bind:0")
        [challenge] = client.send(
            "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='SCRAM-SHA-256'>"
            f"<initial-response>{initial}</initial-response>{wishes}</authenticate>"
        )
        final = base64.b64encode(scram.final(base64.b64decode(challenge.text)))
        client.send(f"<response xmlns='urn:xmpp:sasl:2'>{final.decode()}</response>")

    def websocket(self) -> None:
        """Messages, whole and in fragments."""
        client = MemorySocket(self.house)
        inside = self.random.random() < 0.5
        if inside:
            client.log_in("ann", f"w{self.random.randrange(3)}")
        elif self.random.random() < 0.8:
            client.send(OPEN)
        for part in self.speech(STANZAS if inside else [*LOGINS, OPEN, END]):
            for name in (b"message", b"presence", b"iq"):
                begin = b"<" + name
                if self.random.random() < 0.9:
                    part = part.replace(begin, begin + b" xmlns='jabber:client'", 1)
            if client.transport.gone:
                break
            if self.random.random() < 0.2:
                for piece in fragments(TEXT, part, self.random.choice([1, 9, 99])):
                    self.say(client.protocol, piece)
            else:
                self.say(client.protocol, frame(TEXT, part))
        self.judge(client.transport.value(), inside)
        if self.random.random() < 0.5:
            client.frames(frame(CLOSE, b"\x03\xe8"))
        client.transport.drop()

    def judge(self, answered: bytes, inside: bool) -> None:
        """Nobody gets in by rubbish."""
        if not inside and b"<success" in answered:
            self.note("logged in", repr(answered[-300:]))
        for condition in (b"not-well-formed", b"restricted-xml", b"policy-violation"):
            if condition in answered:
                self.counts[condition.decode()] += 1
        if b"internal-server-error" in answered:
            self.note("internal", repr(answered[-300:]))

    def one(self) -> None:
        """One stream of either kind."""
        self.said.clear()
        self.counts["streams"] += 1
        try:
            if self.random.random() < 0.7:
                self.tcp()
            else:
                self.websocket()
        except Exception:
            self.note("raised", traceback.format_exc()[-1500:])
        self.listen()
        if not self.bob.open:
            self.counts["bob closed"] += 1
            self.bob = self.house.client("bob")
        if self.counts["streams"] % 100 == 0:
            gc.collect(1)  # where no read is being timed
        if self.counts["streams"] % HOUSE_STREAMS == 0:
            self.close_house()
            gc.collect()

    def listen(self) -> None:
        """What came through to Bob: whole stanzas, whatever their sender did."""
        try:
            self.counts["stanzas for others"] += len(self.bob.receive_stanzas())
        except AssertionError as error:
            self.note("forwarded", repr(error))
            self.bob.drop()

    def close_house(self) -> None:
        """Nothing may be left when everybody has gone."""
        self.house.clock.pump([301.0])
        self.house.service.stopService()
        self.house.clock.pump([10.0])
        left = self.house.service.counters
        levels = (left.streams, left.sessions, left.detached)
        if any(levels) or self.house.household.resumable:
            self.note("left behind", str(levels))
        self.new_house()

    def run(self, streams: int) -> None:
        """So many."""
        for _ in range(streams):
            self.one()


def without_pbkdf2() -> None:
    """Every login here has the same password; to derive it once is enough."""
    vars(hashlib)["pbkdf2_hmac"] = lru_cache(hashlib.pbkdf2_hmac)


def rss_mb() -> float:
    """The most that this process has ever used."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(streams: int = 20_000, seed: int | None = None) -> int:
    """Fuzz, and say what came out."""
    if seed is None:
        seed = int(time.time())
    without_pbkdf2()
    gc.disable()
    fuzz = Fuzz(seed)
    fuzz.run(min(4 * HOUSE_STREAMS, streams // 4))
    gc.collect()
    before = rss_mb()
    fuzz.run(streams - fuzz.counts["streams"])
    growth = rss_mb() - before
    if growth > MAX_GROWTH_MB:
        fuzz.note("memory", f"{growth:.0f} MB")
    report = {
        "seed": seed,
        "counts": dict(sorted(fuzz.counts.items())),
        "slowest_ms": round(fuzz.slowest_ms, 1),
        "rss_mb": round(rss_mb()),
        "growth_mb": round(growth),
        "found": fuzz.found,
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    return 1 if fuzz.found else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:3])))
