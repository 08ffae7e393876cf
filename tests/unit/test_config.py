"""Settings from file and flags, and what is said when they are wrong."""

from __future__ import annotations

import itertools
import tomllib
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mosaic.config.errors import ConfigError
from mosaic.config.flags import settings_from_flags
from mosaic.config.load import all_keys, load_settings, state_folder
from mosaic.config.settings import Settings
from mosaic.config.xmpp import read_secret

MANUAL = Path(__file__).parents[2] / "etc" / "mosaic.toml"


def flatten(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = tuple(value) if isinstance(value, list) else value
    return flat


class ManualTests(SynchronousTestCase):
    """etc/mosaic.toml is the manual, and it is true."""

    def test_file_and_code_have_the_same_keys_and_defaults(self) -> None:
        """Neither can be changed without the other."""
        self.assertEqual(flatten(tomllib.loads(MANUAL.read_text())), all_keys())

    def test_every_key_has_a_comment(self) -> None:
        """The line above a key, or the paragraph before it, explains it."""
        lines = MANUAL.read_text().splitlines()
        bare = [
            line
            for before, line in itertools.pairwise(lines)
            if " = " in line and line[0] != "#" and not before.startswith("#")
        ]
        self.assertEqual(bare, [])

    def test_the_manual_loads_as_the_defaults(self) -> None:
        """Starting with the manual is starting without a file."""
        self.assertEqual(load_settings(MANUAL), Settings())


class RefusalTests(SynchronousTestCase):
    """One line that names the key, the value and what to do."""

    def refuse(self, text: str) -> ConfigError:
        """The error for a configuration file with this text."""
        file = Path(self.mktemp())
        file.write_text(text)
        error: ConfigError = self.assertRaises(ConfigError, load_settings, file)
        return error

    def assert_one_line(self, error: ConfigError, *parts: str) -> None:
        """One line that holds each of the parts."""
        self.assertNotIn("\n", str(error))
        for part in parts:
            self.assertIn(part, str(error))

    def test_unknown_key(self) -> None:
        """A slip of the pen is named, with the key that was meant."""
        self.assert_one_line(
            self.refuse("[turn]\nrelay_port = [1, 2]\n"),
            "turn.relay_port:",
            "did you mean turn.relay_ports?",
        )

    def test_hubs(self) -> None:
        """Commands that there are; and no sleep between two words is absence."""
        self.assert_one_line(
            self.refuse("[hubs]\ncommands = ['reboot']\n"),
            "hubs.commands:",
            "'reboot' is no command",
        )
        self.assert_one_line(
            self.refuse("[hubs]\noffline_after_s = 20\n"), "hubs.offline_after_s:"
        )

    def test_regions_and_the_redirect(self) -> None:
        """Names that differ, URLs of relays, and a port that is plain and alone."""
        good = 'turn:in.example.org:53?transport=udp", "turns:[2001:db8::1]:443'
        region = '[[regions]]\nname = "%s"\nurls = ["%s"]\n'
        loaded = Path(self.mktemp())
        loaded.write_text(region % ("Mumbai", good))
        self.assertEqual(load_settings(loaded).regions[0].name, "Mumbai")
        for text, key in (
            (region % ("", good), "regions[0].name:"),
            ('region = "A"\n' + region % ("A", good), "regions[0].name:"),
            (region % ("A", good) + region % ("A", good), "regions[1].name:"),
            ('[[regions]]\nname = "A"\nurls = []\n', "regions[0].urls:"),
            (region % ("A", "https://in.example.org"), "regions[0].urls:"),
            (region % ("A", "turn:u@in.example.org"), "regions[0].urls:"),
        ):
            self.assert_one_line(self.refuse(text), key)
        for text in ("mosaic-tls:80", "tcp:3478", "udp:80"):
            error = self.refuse(f'[endpoints]\nredirect = ["{text}"]\n')
            self.assert_one_line(error, "endpoints.redirect:", text)

    def test_unknown_table(self) -> None:
        """A table that is none of ours is refused too."""
        self.assert_one_line(self.refuse("[trun]\nrealm = 'x'\n"), "trun: unknown key")

    def test_wrong_type(self) -> None:
        """The value that was found is shown."""
        self.assert_one_line(
            self.refuse("[http]\nmax_body_bytes = 'big'\n"),
            "http.max_body_bytes:",
            "'big'",
        )

    def test_wrong_type_in_a_list(self) -> None:
        """The place in the list is shown."""
        self.assert_one_line(
            self.refuse("[turn]\nrelay_ports = [1, 'x']\n"), "turn.relay_ports", "'x'"
        )

    def test_wrong_choice(self) -> None:
        """An enumeration says what was given."""
        self.assert_one_line(self.refuse("log_format = 'xml'"), "log_format", "'xml'")

    def test_values_that_cannot_work(self) -> None:
        """Rules beyond the type."""
        for text, key in (
            ("[turn]\nrelay_ports = [50000, 49152]", "turn.relay_ports"),
            ("[turn]\nrelay_ports = [1, 2]", "turn.relay_ports"),
            ("[turn]\nallow_peers = ['10.0.0.1/8']", "turn.allow_peers"),
            ("[turn]\nrelay_address_v4 = '::1'", "turn.relay_address_v4"),
            ("[auth]\ntries = 0", "auth.tries"),
            ("[store]\ncommit_window_s = 5.0", "store.commit_window_s"),
            ("[updates]\nresign_s = 50000.0", "updates.resign_s"),
            ("public_host = 'https://x'", "public_host"),
            ("[turn]\ndeny_peers = ['x']", "turn.deny_peers"),
            ("[turn]\ncredential_hash = 'md5'", "turn.credential_hash"),
            ("[turn]\nbytes_per_s_user = -1.0", "turn.bytes_per_s_user"),
            ("[turn]\nalternate_server = 'b.example:1'", "turn.alternate_server"),
            ("[turn]\nalternate_server = '::1:3478'", "turn.alternate_server"),
            ("[turn]\nalternate_server = '192.0.2.1:0'", "turn.alternate_server"),
            ("[endpoints]\nturn_udp = ['tcp:1']", "endpoints.turn_udp"),
            ("[endpoints]\nturn_dtls = ['udp:1']", "endpoints.turn_dtls"),
            ("[endpoints]\nturn_tcp = ['dtls:1']", "endpoints.turn_tcp"),
            ("[endpoints]\nrest = ['8443']", "endpoints.rest"),
        ):
            self.assert_one_line(self.refuse(text), f"{key}:")

    def test_not_toml(self) -> None:
        """The file and the place in it are named."""
        self.assert_one_line(self.refuse("a = ["), "is not valid TOML")

    def test_missing_file(self) -> None:
        """The file is named."""
        error = self.assertRaises(ConfigError, load_settings, "/nonexistent.toml")
        self.assert_one_line(error, "/nonexistent.toml", "cannot be read")

    @settings(max_examples=200)
    @given(
        st.dictionaries(
            st.sampled_from([*Settings.__struct_fields__, "x"]),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                lambda inner: (
                    st.lists(inner, max_size=3)
                    | st.dictionaries(st.text(max_size=5), inner, max_size=3)
                ),
                max_leaves=5,
            ),
        )
    )
    def test_whatever_is_given_it_loads_or_is_refused_in_one_line(
        self, data: dict[str, Any]
    ) -> None:
        """No other exception leaves the loader."""
        try:
            load_settings(None, data)
        except ConfigError as error:
            self.assertTrue(error.message)


class FlagTests(SynchronousTestCase):
    """Flags go over the file."""

    def test_port_moves_the_shared_port_of_every_service(self) -> None:
        """--port is for the TLS port as a whole."""
        chosen = settings_from_flags({"port": "443"}).endpoints
        self.assertEqual(
            {chosen.rest, chosen.drcp, chosen.xmpp, chosen.turn_tls},
            {("mosaic-tls:443",)},
        )
        self.assertEqual(chosen.turn_udp, ("udp:3478",))

    def test_http_and_turn_ports(self) -> None:
        """Both families of the local listener, both transports of TURN."""
        chosen = settings_from_flags({"http-port": 81, "turn-port": 3500}).endpoints
        self.assertEqual(
            chosen.http,
            ("tcp:81:interface=127.0.0.1", "tcp:81:interface=\\:\\:1"),
        )
        self.assertEqual(chosen.turn_udp, ("udp:3500",))
        self.assertEqual(chosen.turn_tcp, ("tcp:3500",))

    def test_one_service_can_have_its_own_endpoint(self) -> None:
        """An endpoint flag replaces the list of that service alone."""
        chosen = settings_from_flags({"xmpp": ["tcp:5222", "tcp:5223"]}).endpoints
        self.assertEqual(chosen.xmpp, ("tcp:5222", "tcp:5223"))
        self.assertEqual(chosen.rest, ("mosaic-tls:8443",))

    def test_bad_port_names_the_flag(self) -> None:
        """A usage that cannot work is refused before anything starts."""
        for value in ("x", "70000", "-1"):
            error = self.assertRaises(
                ConfigError, settings_from_flags, {"turn-port": value}
            )
            self.assertEqual(error.path, "--turn-port")

    def test_turn_allow_peer_takes_both_families(self) -> None:
        """The flag repeats."""
        chosen = settings_from_flags({"turn-allow-peer": ["10.0.0.0/8", "fd00::/8"]})
        self.assertEqual(chosen.turn.allow_peers, ("10.0.0.0/8", "fd00::/8"))

    def test_state_folder(self) -> None:
        """The flag, else systemd's, else the user's."""
        self.assertEqual(
            state_folder(settings_from_flags({"state": "/x/y"})), Path("/x/y")
        )
        self.patch(__import__("os"), "environ", {"STATE_DIRECTORY": "/var/lib/m"})
        self.assertEqual(state_folder(Settings()), Path("/var/lib/m"))


class XmppTests(SynchronousTestCase):
    """Components, ours elsewhere and others' here."""

    def refuse(self, key: str, **xmpp: Any) -> None:
        """The key is named."""
        with self.assertRaises(ConfigError) as caught:
            load_settings(None, {"xmpp": xmpp})
        self.assertTrue(str(caught.exception).startswith(f"xmpp.{key}"), key)

    def test_our_component(self) -> None:
        """A domain and a secret, and nothing in the clear to other machines."""
        good = {
            "component": "tcp:127.0.0.1:5347",
            "component_domain": "mosaic.example.org",
            "component_secret_file": "/etc/mosaic/secret",
        }
        for text in (
            "tcp:host=127.0.0.1:port=5347",
            "tcp:localhost:5347",
            "unix:/run/x",
            "tls:xmpp.example.org:5347",
        ):
            load_settings(None, {"xmpp": {**good, "component": text}})
        for text in ("tcp:192.0.2.1:5347", "tcp:xmpp.example.org:5347", "5347"):
            self.refuse("component:", **{**good, "component": text})
        self.refuse("component_domain", **{**good, "component_domain": ""})
        self.refuse("component_domain", **{**good, "component_domain": "Mosaic"})
        self.refuse("component_accounts", **{**good, "component_accounts": "a b"})
        self.refuse("component_secret_file", **{**good, "component_secret_file": ""})

    def test_others_components(self) -> None:
        """On this machine or with TLS, each of its own domain."""
        one = {"domain": "a.example.org", "secret_file": "/x"}
        for text in (
            "tcp:5347:interface=127.0.0.1",
            "tcp:5347:interface=\\:\\:1",
            "unix:/run/mosaic/components",
            "mosaic-tls:5347",
        ):
            loaded = load_settings(
                None, {"xmpp": {"components_listen": text, "components": [one]}}
            )
            self.assertEqual(loaded.xmpp.components[0].domain, "a.example.org")
        for text in ("tcp:5347", "tcp:5347:interface=192.0.2.1", "tcp:5347:backlog=9"):
            self.refuse("components_listen", components_listen=text)
        self.refuse("components_listen", components=[one])
        listen = "tcp:5347:interface=127.0.0.1"
        for domain in ("localhost", "rooms.localhost", "A.b", ""):
            bad = [one, {**one, "domain": domain}]
            self.refuse(
                "components[1].domain", components_listen=listen, components=bad
            )
        self.refuse(
            "components[1].domain", components_listen=listen, components=[one, one]
        )

    def test_secrets_are_one_line_of_a_file(self) -> None:
        """What is wrong is said before anything starts."""
        file = Path(self.mktemp())
        for text in ("", "a\nb", " \n"):
            file.write_text(text)
            with self.assertRaises(ConfigError):
                read_secret("xmpp.x", str(file))
        file.write_text("open sesame\n")
        self.assertEqual(read_secret("xmpp.x", str(file)), "open sesame")
        with self.assertRaises(ConfigError) as caught:
            read_secret("xmpp.x", f"{file}.none")
        self.assertIn("xmpp.x", str(caught.exception))
