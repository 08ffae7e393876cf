"""What the ends of a call tell each other, and the servers' URLs: read safely."""

from __future__ import annotations

import json
from typing import Any
from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from mosaic.hub.media.servers import read_servers
from mosaic.hub.media.signals import (
    Body,
    CallSignal,
    Candidate,
    Description,
    Hello,
    Renew,
    read_signal,
    write_signal,
)
from mosaic.hub.participant import IceServer

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)
BODIES: st.SearchStrategy[Body] = st.one_of(
    st.just(Hello()),
    st.just(Renew()),
    st.builds(
        Description,
        st.sampled_from(["offer", "answer"]),
        st.text(),
        st.dictionaries(st.text(), st.sampled_from(["camera", "screen"])),
        st.booleans(),
    ),
    st.just(Candidate(None)),
    st.builds(
        Candidate,
        st.text(min_size=1).filter(lambda line: not line.startswith(("a=", "cand"))),
        st.none() | st.text(),
        st.none() | st.integers(0, 9),
    ),
)
SIGNALS = st.builds(
    CallSignal,
    instance=st.text(min_size=1),
    to=st.none() | st.text(),
    generation=st.integers(0, 2**53 - 1),
    relay=st.booleans(),
    body=BODIES,
)


def offer(**changes: Any) -> dict[str, Any]:
    """A browser's offer, as it arrives."""
    body = {
        "kind": "description",
        "description": {"type": "offer", "sdp": "v=0"},
        "streams": {"one": "camera", "two": "hologram"},
    }
    whole: dict[str, Any] = {
        "v": 1,
        "instance": "page",
        "to": None,
        "generation": 0,
        "relay": False,
        "body": body,
    }
    return whole | changes


class SignalTests(TestCase):
    """The browsers' format (web/src/session/call/signals.ts)."""

    @given(SIGNALS)
    def test_what_is_written_is_read(self, signal: CallSignal) -> None:
        """Through JSON, as on the wire."""
        self.assertEqual(
            read_signal(json.loads(json.dumps(write_signal(signal)))), signal
        )

    @given(ANYTHING)
    def test_anything_is_safe(self, data: Any) -> None:
        """Whatever another member sends is a signal or None."""
        read_signal(data)
        read_signal(offer(body=data))
        read_signal(offer(body={"kind": "description", "description": data}))
        read_signal(offer(body={"kind": "candidate", "candidate": data}))
        read_signal(offer(generation=data))

    def test_a_browsers_offer(self) -> None:
        """Kinds of streams that are not known are left out; no browser is strong."""
        signal = read_signal(offer())
        assert signal is not None
        self.assertEqual(signal.body, Description("offer", "v=0", {"one": "camera"}))

    def test_a_browsers_candidates(self) -> None:
        """With its prefix; an empty one says that there are no more."""
        for line, expected in (
            (
                "candidate:1 1 udp 9 10.0.0.1 5 typ host",
                "1 1 udp 9 10.0.0.1 5 typ host",
            ),
            ("", None),
        ):
            candidate = {"candidate": line, "sdpMid": "0", "sdpMLineIndex": 0}
            signal = read_signal(
                offer(body={"kind": "candidate", "candidate": candidate})
            )
            assert signal is not None
            assert isinstance(signal.body, Candidate)
            self.assertEqual(signal.body.line, expected)

    def test_others_are_refused(self) -> None:
        """Another version, nobody, a broken number, a description of a third kind."""
        for changes in (
            {"v": 2},
            {"instance": ""},
            {"generation": 0.5},
            {"generation": True},
            {"generation": float("nan")},
            {"to": 5},
            {"body": {"kind": "bye"}},
            {"body": {"kind": "description", "description": {"type": "rollback"}}},
        ):
            self.assertIsNone(read_signal(offer(**changes)), changes)


class ServerTests(TestCase):
    """RFC 7064 and 7065."""

    def test_ways_are_ranked(self) -> None:
        """UDP before TCP before TLS, each once, with its login; DTLS is left out."""
        found = read_servers(
            [
                IceServer(
                    urls=(
                        "turns:relay.example.org:443?transport=tcp",
                        "turn:relay.example.org?transport=tcp",
                        "turn:[2001:db8::1]:53",
                        "turn:relay.example.org:3478?transport=udp",
                        "turn:relay.example.org",
                        "turns:relay.example.org?transport=udp",
                        "stun:relay.example.org",
                        "http://relay.example.org",
                    ),
                    username="1:a",
                    credential="secret",
                )
            ]
        )
        self.assertEqual(found.stun, (("relay.example.org", 3478),))
        self.assertEqual(
            [relay.hop for relay in found.relays],
            [
                "relay [2001:db8::1]:53 over UDP",
                "relay relay.example.org:3478 over UDP",
                "relay relay.example.org:3478 over TCP",
                "relay relay.example.org:443 over TLS",
            ],
        )
        self.assertEqual({relay.password for relay in found.relays}, {"secret"})
        self.assertNotIn("secret", repr(found))

    @given(st.lists(st.text() | st.from_regex(r"(stun|turns?):.*", fullmatch=True)))
    def test_any_url_is_safe(self, urls: list[str]) -> None:
        """What is no URL of a server is left out."""
        for relay in read_servers([IceServer(urls=tuple(urls))]).relays:
            self.assertTrue(0 < relay.port < 65536)
