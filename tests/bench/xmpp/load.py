#!/usr/bin/env python3
"""Load generator for an XMPP server on loopback (direct TLS, SCRAM), one JSON line a result.

    load.py --port P --pid PID[,PID..] login|route|muc|idle

login  connections with TLS, SCRAM and resource binding, 8 at a time
route  chat messages between two users: in batches of 50, then one in flight
muc    101 users join a room, one writes 200 messages, then changes its presence 200 times
idle   1000 users log in and stay: memory per session

The accounts u0, u1, ... u1000 must exist (see --user and --password).
"""

import argparse
import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import os
import pathlib
import re
import ssl
import sys
import time
from typing import ClassVar

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import benchlib as bl

BODY = (
    "The quick brown fox jumps over the lazy dog and then some more text follows here "
    "to make a line of chat."
)
OCCUPANTS = 101
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"


class Session:
    """One logged-in client.  It searches the byte stream instead of parsing the XML."""

    # salted passwords: PBKDF2 once for each (hash, password, salt, count)
    keys: ClassVar[dict] = {}

    def __init__(self, args):
        self.args = args
        self.buffer = b""
        self.jid = ""
        self.reader = self.writer = None

    def send(self, text):
        self.writer.write(text.encode())

    async def until(self, token):
        """Everything up to and including token."""
        while token not in self.buffer:
            data = await self.reader.read(65536)
            if b"<failure" in data:
                raise RuntimeError("login refused: wrong account or password?")
            if not data:
                raise EOFError(self.buffer[-300:].decode(errors="replace"))
            self.buffer += data
        end = self.buffer.index(token) + len(token)
        out, self.buffer = self.buffer[:end], self.buffer[end:]
        return out

    async def count(self, token, wanted):
        """Read until token came wanted times; nothing else may be pending then."""
        data, self.buffer = self.buffer, b""
        seen, tail = 0, b""
        while True:
            data = tail + data
            seen += data.count(token)
            if seen >= wanted:
                return
            tail = data[-(len(token) - 1) :]
            data = await self.reader.read(262144)
            if not data:
                raise EOFError

    async def quiet(self):
        """Throw away what comes in until nothing came for a while."""
        with contextlib.suppress(TimeoutError):
            while await asyncio.wait_for(self.reader.read(262144), 0.3):
                pass
        self.buffer = b""

    async def open_stream(self):
        self.send(
            f"<?xml version='1.0'?><stream:stream to='{self.args.domain}' version='1.0' "
            "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
        )
        return await self.until(b"</stream:features>")

    async def login(self, number):
        """Connect with direct TLS, authenticate with SCRAM, bind a resource."""
        args = self.args
        user = f"{args.user}{number}"
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        tls.check_hostname, tls.verify_mode = (
            False,
            ssl.CERT_NONE,
        )  # loopback, self-signed
        tls.set_alpn_protocols(["xmpp-client"])
        self.reader, self.writer = await asyncio.open_connection(
            args.host, args.port, ssl=tls, server_hostname=args.domain, limit=1 << 20
        )
        features = await self.open_stream()
        name = "sha256" if b">SCRAM-SHA-256<" in features else "sha1"
        mechanism = "SCRAM-SHA-256" if name == "sha256" else "SCRAM-SHA-1"
        first = f"n={user},r={base64.b64encode(os.urandom(12)).decode()}"
        self.send(
            f"<auth xmlns='{SASL}' mechanism='{mechanism}'>"
            f"{base64.b64encode(b'n,,' + first.encode()).decode()}</auth>"
        )
        reply = re.search(rb">([^<]+)</challenge>", await self.until(b"</challenge>"))
        challenge = base64.b64decode(reply.group(1)).decode()
        values = dict(part.split("=", 1) for part in challenge.split(","))
        final = f"c=biws,r={values['r']}"
        message = f"{first},{challenge},{final}".encode()
        which = (name, args.password, values["s"], values["i"])
        if which not in self.keys:
            self.keys[which] = hashlib.pbkdf2_hmac(
                name,
                args.password.encode(),
                base64.b64decode(values["s"]),
                int(values["i"]),
            )
        client = hmac.digest(self.keys[which], b"Client Key", name)
        stored = hashlib.new(name, client).digest()
        proof = bytes(
            a ^ b
            for a, b in zip(client, hmac.digest(stored, message, name), strict=True)
        )
        final += f",p={base64.b64encode(proof).decode()}"
        self.send(
            f"<response xmlns='{SASL}'>{base64.b64encode(final.encode()).decode()}"
            "</response>"
        )
        await self.until(b"</success>")
        await self.open_stream()
        self.send(
            "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
            "<resource>bench</resource></bind></iq>"
        )
        bound = await self.until(b"</iq>")
        self.jid = re.search(rb"<jid>([^<]+)</jid>", bound).group(1).decode()
        return self


class Meter:
    """Server CPU from its creation to report()."""

    def __init__(self, args):
        self.args = args
        self.cpu, self.busy = bl.cpu_seconds(args.pid), bl.core_busy(args.core)
        self.start = time.monotonic()

    def report(self, name, work):
        """Print one result: work per CPU-second of the server."""
        wall = time.monotonic() - self.start
        cpu = bl.cpu_seconds(self.args.pid) - self.cpu
        busy = bl.core_busy(self.args.core) - self.busy
        print(
            json.dumps(
                {
                    "name": name,
                    "work": work,
                    "cpu": round(cpu, 4),
                    "wall": round(wall, 3),
                    "per_cpu_s": round(work / cpu, 1) if cpu else 0,
                    "util": round(cpu / wall, 3),
                    "avail": round(bl.core_available(busy, cpu, wall), 3),
                }
            ),
            flush=True,
        )


async def login(args):
    """300 logins, 8 at a time."""
    limit = asyncio.Semaphore(8)
    await Session(args).login(0)  # the first one may load things

    async def one(number):
        async with limit:
            session = await Session(args).login(number)
            session.send("</stream:stream>")
            session.writer.close()

    meter = Meter(args)
    await asyncio.gather(*(one(i) for i in range(1, 301)))
    meter.report("login", 300)


async def route(args):
    """Chat messages from one user to another."""
    alice, bob = await Session(args).login(1), await Session(args).login(2)
    for session in (alice, bob):
        session.send("<presence/>")
    await bob.quiet()

    def text(ident):
        return (
            f"<message to='{bob.jid}' type='chat' id='m{ident}'><body>{BODY}</body>"
            "</message>"
        )

    async def batches(total, size):
        async def send():
            for i in range(0, total, size):
                alice.send("".join(map(text, range(i, i + size))))
                await alice.writer.drain()

        await asyncio.gather(send(), bob.count(b"</message>", total))

    await batches(500, 10)  # warm-up
    total = args.messages
    meter = Meter(args)
    await batches(total, 50)
    meter.report("batch50", total)
    total //= 8
    meter = Meter(args)
    for i in range(total):
        alice.send(text(f"s{i}"))
        await bob.count(b"</message>", 1)
    meter.report("single", total)


async def muc(args):
    """A room with 101 occupants: joins, messages and presence changes."""
    room = f"bench{os.urandom(4).hex()}@{args.muc}"
    sessions = [await Session(args).login(100 + i) for i in range(OCCUPANTS)]
    meter = Meter(args)
    for i, session in enumerate(sessions):
        session.send(
            f"<presence to='{room}/n{i}'><x xmlns='http://jabber.org/protocol/muc'>"
            "<history maxstanzas='0'/></x></presence>"
        )
        joined = await asyncio.wait_for(session.until(b"110"), 20)
        if b"type='error'" in joined or b'type="error"' in joined:
            raise RuntimeError(f"join refused: {joined[-300:]}")
    # the i-th joiner is told of everybody and itself, and everybody of it
    meter.report("muc_join", sum(2 * i + 1 for i in range(OCCUPANTS)))
    await asyncio.gather(*(s.quiet() for s in sessions))
    speaker = sessions[0]

    async def repeat(stanza, token):
        async def send():
            for i in range(args.repeats):
                speaker.send(stanza(i))
                await asyncio.sleep(0.004)

        await asyncio.gather(send(), *(s.count(token, args.repeats) for s in sessions))

    meter = Meter(args)
    await repeat(
        lambda i: (
            f"<message to='{room}' type='groupchat' id='g{i}'><body>{BODY}"
            "</body></message>"
        ),
        b"</message>",
    )
    meter.report("muc_message", args.repeats * OCCUPANTS)
    meter = Meter(args)
    await repeat(
        lambda i: (
            f"<presence to='{room}/n0'><show>{('dnd', 'away')[i % 2]}</show>"
            f"<status>s{i}</status></presence>"
        ),
        b"</presence>",
    )
    meter.report("muc_presence", args.repeats * OCCUPANTS)


async def idle(args):
    """1000 sessions that do nothing."""
    before = bl.rss_kb(args.pid)
    meter = Meter(args)
    sessions = []
    for i in range(0, 1000, 10):
        sessions += await asyncio.gather(
            *(Session(args).login(j) for j in range(i, i + 10))
        )
    for session in sessions:
        session.send("<presence/>")
    meter.report("idle_login", len(sessions))
    await asyncio.sleep(3)
    print(
        json.dumps(
            {
                "name": "idle",
                "kb": round((bl.rss_kb(args.pid) - before) / len(sessions), 2),
            }
        )
    )


def main():
    """Run one of the loads, for three minutes at most."""
    loads = {"login": login, "route": route, "muc": muc, "idle": idle}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("load", choices=loads)
    parser.add_argument(
        "--pid",
        required=True,
        help="processes of the server, with commas",
        type=lambda text: [int(x) for x in text.split(",")],
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="direct TLS port")
    parser.add_argument("--domain", default="localhost")
    parser.add_argument("--muc", default="muc.localhost", help="domain of the rooms")
    parser.add_argument("--user", default="u", help="accounts are this and a number")
    parser.add_argument("--password", default="pw")
    parser.add_argument("--core", type=int, default=0, help="core of the server")
    parser.add_argument("--messages", type=int, default=16000, help="for route")
    parser.add_argument("--repeats", type=int, default=200, help="for muc")
    parser.add_argument(
        "--limit", type=float, default=180, help="give up after seconds"
    )
    args = parser.parse_args()
    bl.need_loopback(args.host)
    bl.raise_nofile()
    status = 0
    try:
        asyncio.run(asyncio.wait_for(loads[args.load](args), args.limit))
    except (
        OSError,
        EOFError,
        RuntimeError,
        AttributeError,
        KeyError,
        ValueError,
    ) as error:
        # refused, closed, too slow, or an answer that is not what it should be
        print(f"{args.load}: {type(error).__name__}: {error}", file=sys.stderr)
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # do not wait for a thousand TLS shutdowns


if __name__ == "__main__":
    main()
