"""The small parts of the composition root."""

from __future__ import annotations

import io
import json
import re
import stat
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from mosaic.app.addresses import Addresses
from mosaic.app.banner import banner
from mosaic.app.keys import load_or_make_key, load_or_make_keys
from mosaic.app.logs import LevelledLog, json_log, one_line, plain_log
from mosaic.app.runfile import RunFile, read_run_file, write_run_file
from mosaic.workspace.model import Room

ROOM = Room(hub_id="412907338", name="Lisbon", pin="615801", created_at=0.0)


class AddressTests(SynchronousTestCase):
    """URLs that scripts and people use."""

    def test_local_name_leads_to_the_local_listener(self) -> None:
        """On localhost plain HTTP is a secure context without a warning."""
        here = Addresses(public_host="localhost", tls_port=8443, http_port=8080)
        self.assertEqual(
            here.join_url("412907338", "615801"),
            "http://localhost:8080/join/412907338#pin=615801",
        )

    def test_public_name_leads_to_tls(self) -> None:
        """Port 443 is not written."""
        there = Addresses(public_host="meet.example", tls_port=443, http_port=8080)
        self.assertEqual(there.base_url, "https://meet.example")
        other = Addresses(public_host="meet.example", tls_port=8443)
        self.assertEqual(other.join_url("1"), "https://meet.example:8443/join/1")

    def test_turn_urls_name_every_transport(self) -> None:
        """UDP first, TLS last; IPv6 in brackets."""
        urls = Addresses(public_host="x", turn_port=3478, turn_tls_port=443).turn_urls(
            "2001:db8::1"
        )
        self.assertEqual(
            urls,
            (
                "stun:[2001:db8::1]:3478",
                "turn:[2001:db8::1]:3478?transport=udp",
                "turn:[2001:db8::1]:3478?transport=tcp",
                "turns:[2001:db8::1]:443?transport=tcp",
            ),
        )

    def test_further_udp_ports_come_before_tls(self) -> None:
        """UDP 53 where 3478 is shut: worse than 3478, better than TLS."""
        here = Addresses(
            public_host="x", turn_port=3478, turn_tls_port=443, more_udp_ports=(53,)
        )
        self.assertEqual(
            here.turn_urls("x")[-2:],
            ("turn:x:53?transport=udp", "turns:x:443?transport=tcp"),
        )

    def test_nothing_listens_nothing_is_promised(self) -> None:
        """A service that is off has no URL: browsers would wait for it."""
        self.assertEqual(Addresses(public_host="x").turn_urls("x"), ())
        udp = Addresses(public_host="x", turn_port=53, turn_tcp=False)
        self.assertEqual(udp.turn_urls("x"), ("stun:x:53", "turn:x:53?transport=udp"))
        tcp = Addresses(public_host="x", turn_port=80, turn_udp=False)
        self.assertEqual(tcp.turn_urls("x"), ("turn:x:80?transport=tcp",))


class BannerTests(SynchronousTestCase):
    """How to come in, in a few lines."""

    def test_room_links_and_code(self) -> None:
        """Hub ID, PIN, join link, QR code and the one-time link are there."""
        text = banner(
            Addresses(public_host="localhost", tls_port=8443, http_port=8080),
            version="1",
            state="/s",
            room=ROOM,
            setup_code="abc",
            qr=True,
        )
        self.assertIn("412 907 338", text)
        self.assertIn("615801", text)
        self.assertIn("http://localhost:8080/join/412907338#pin=615801", text)
        self.assertIn("http://localhost:8080/admin#setup=abc", text)
        self.assertTrue(re.search("[█▀▄]", text))


class KeyTests(SynchronousTestCase):
    """Secrets are made once and are the owner's alone."""

    def test_made_once_and_private(self) -> None:
        """The second start reads what the first made."""
        state = Path(self.mktemp())
        first = load_or_make_key(state, "server")
        self.assertEqual(first, load_or_make_key(state, "server"))
        self.assertEqual(stat.S_IMODE((state / "keys/server").stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE((state / "keys").stat().st_mode), 0o700)

    def test_rotation_reads_every_line(self) -> None:
        """The first signs, all verify."""
        state = Path(self.mktemp())
        old = load_or_make_key(state, "turn")
        file = state / "keys" / "turn"
        file.write_text("ab" * 32 + "\n" + file.read_text())
        self.assertEqual(load_or_make_keys(state, "turn"), [b"\xab" * 32, old])

    def test_rubbish_names_the_file(self) -> None:
        """A damaged secret is an error, never a weak key."""
        state = Path(self.mktemp())
        load_or_make_key(state, "turn")
        for text in ("zz", "", "abcd"):
            (state / "keys" / "turn").write_text(text)
            with self.assertRaisesRegex(ValueError, "keys/turn"):
                load_or_make_keys(state, "turn")


class RunFileTests(SynchronousTestCase):
    """What the command reads while the server runs."""

    def test_round_trip(self) -> None:
        """Written in one step, read back whole."""
        state = Path(self.mktemp())
        state.mkdir()
        self.assertIsNone(read_run_file(state))
        run = RunFile(
            pid=1,
            public_host="h",
            tls_port=1,
            http_port=None,
            turn_port=3,
            turn_tls_port=1,
            version="x",
        )
        write_run_file(state, run)
        self.assertEqual(read_run_file(state), run)
        (state / "run.json").write_text('{"pid": 1}')
        self.assertIsNone(read_run_file(state))


class LogTests(SynchronousTestCase):
    """One event is one line, whatever is in it."""

    def log_to(self, kind: object, level: str = "info") -> tuple[Logger, io.StringIO]:
        """A logger that writes to a string."""
        stream = io.StringIO()
        log = LevelledLog(kind(stream), level)  # type: ignore[operator]
        return Logger(observer=log.observer, namespace="n"), stream

    @given(st.text())
    def test_json_lines_parse_whatever_is_logged(self, text: str) -> None:
        """No field can begin a line or a record of its own."""
        log, stream = self.log_to(json_log)
        log.info("said {text}", text=text)
        lines = stream.getvalue().splitlines()
        self.assertEqual(len(lines), 1)
        self.assertIn("text", json.loads(lines[0]))

    @given(st.text())
    @example("one\u2028two\u2029three")
    def test_plain_lines_hold_no_control_characters(self, text: str) -> None:
        """Terminals obey escape sequences; ours sees none."""
        self.assertEqual(len(one_line(text).splitlines()), 1 if one_line(text) else 0)
        self.assertNotIn("\x1b", one_line(text))

    def test_level_can_change(self) -> None:
        """SIGHUP turns debugging on without a restart."""
        stream = io.StringIO()
        leveled = LevelledLog(plain_log(stream), "warn")
        log = Logger(observer=leveled.observer)
        log.info("quiet")
        leveled.set_level("debug")
        log.debug("loud")
        self.assertNotIn("quiet", stream.getvalue())
        self.assertIn("debug loud", stream.getvalue())
