#!/usr/bin/env python3
"""What a peer that sends byte by byte costs the server before it is refused.

    python tests/bench/xmpp/crumbs.py [--seconds 5] [--bytes 70000]

Starts a throwaway Mosaic and prints a line for each attack: bytes that were sent
until the connection was gone, seconds, and the server's CPU time. Exit status 1 if
one of the strangers' cost more than 50 ms, or was not refused.
"""

import argparse
import base64
import contextlib
import hashlib
import hmac
import pathlib
import re
import socket
import ssl
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))

import benchlib as bl
from servers import ROUNDS, SALT, Mosaic

LIMIT_MS = 50
HEADER = (
    b"<?xml version='1.0'?><stream:stream to='localhost' version='1.0' "
    b"xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
)
SASL = b"urn:ietf:params:xml:ns:xmpp-sasl"


def plain(port):
    """A TCP connection whose bytes leave one by one."""
    made = socket.create_connection(("127.0.0.1", port), 5)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def secure(port):
    """The same with TLS."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["xmpp-client"])
    return context.wrap_socket(plain(port), server_hostname="localhost")


def until(line, wanted):
    """Read up to some text."""
    heard = b""
    while not re.search(wanted, heard):
        more = line.recv(65536)
        if not more:
            raise RuntimeError(f"the server said {heard[-200:]!r}")
        heard += more
    return heard


def stranger(port, start):
    """A stream with the start of an element that never ends."""
    line = secure(port)
    line.sendall(HEADER)
    until(line, b"</stream:features>")
    line.sendall(start)
    return line


def member(port):
    """A session, and the start of a message."""
    line = stranger(port, b"")
    first = b"n=u1,r=abcdefgh"
    said = base64.b64encode(b"n,," + first)
    line.sendall(b"<auth xmlns='%b' mechanism='SCRAM-SHA-256'>%b</auth>" % (SASL, said))
    challenge = base64.b64decode(
        re.search(b">([^<]+)<", until(line, b"</challenge>"))[1]
    )
    nonce = re.match(b"r=([^,]+)", challenge)[1]
    salted = hashlib.pbkdf2_hmac("sha256", b"pw", SALT, ROUNDS)
    key = hmac.digest(salted, b"Client Key", "sha256")
    bare = b"c=biws,r=" + nonce
    message = b",".join((first, challenge, bare))
    signature = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
    proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
    final = base64.b64encode(bare + b",p=" + base64.b64encode(proof))
    line.sendall(b"<response xmlns='%b'>%b</response>" % (SASL, final))
    until(line, b"<success")
    line.sendall(HEADER)
    until(line, b"</stream:features>")
    line.sendall(
        b"<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
    )
    until(line, b"</jid>")
    line.sendall(b"<message to='u2@localhost'><body>")
    return line


def half_a_hello(port):
    """The beginning of a ClientHello of 16 KiB."""
    line = plain(port)
    line.sendall(b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03")
    return line


ATTACKS = {
    "a TLS handshake": (half_a_hello, b"x"),
    "an attribute": (lambda port: stranger(port, b"<message a='"), b"x"),
    "text": (lambda port: stranger(port, b"<message><body>"), b"x"),
    "white space": (lambda port: stranger(port, b""), b" "),
    "new elements": (lambda port: stranger(port, b"<message>"), b"<a>"),
    "a message of somebody who has logged in": (member, b"x"),
}


def drip(line, what, args):
    """Send bytes one by one; how many left, and the seconds."""
    begin, sent = time.monotonic(), 0
    with contextlib.suppress(OSError):
        for sent in range(args.bytes):
            line.sendall(what[sent % len(what) :][:1])
            ahead = begin + args.seconds * sent / args.bytes - time.monotonic()
            if ahead > 0.001:
                time.sleep(ahead)
    return sent, time.monotonic() - begin


def main():
    """Each attack on the same server, with a moment between."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--bytes", type=int, default=70_000)
    args = parser.parse_args()
    failed = False
    with Mosaic().running(0) as (pid, port):
        secure(port).close()
        for name, (connect, what) in ATTACKS.items():
            time.sleep(0.3)
            begin = bl.cpu_seconds([pid])
            line = connect(port)
            sent, wall = drip(line, what, args)
            time.sleep(0.3)
            cpu_ms = 1000 * (bl.cpu_seconds([pid]) - begin)
            line.close()
            refused = sent + 1 < args.bytes
            bad = connect is not member and (cpu_ms > LIMIT_MS or not refused)
            failed |= bad
            print(
                f"{name:40} {'refused' if refused else 'not refused'} after {sent:6} "
                f"bytes, {wall:5.2f} s: {cpu_ms:6.1f} ms of CPU{'  TOO MUCH' * bad}",
                flush=True,
            )
    sys.exit(failed)


if __name__ == "__main__":
    main()
