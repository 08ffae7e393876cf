"""`mosaic release`, word by word, in one process."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from mosaic.cli.main import main
from tests.support.feeds import PROJECT, make_wheel


class ReleaseCommandTests(SynchronousTestCase):
    """An organisation with one root key."""

    def setUp(self) -> None:
        """A folder for everything."""
        self.folder = Path(self.mktemp()).absolute()
        self.keys = self.folder / "keys"
        self.pass_file = self.folder / "passphrase"
        self.folder.mkdir(parents=True)
        self.pass_file.write_text("open sesame\n")

    def run_words(self, *words: str) -> tuple[int, str, str]:
        """Exit status, what it prints and what it says."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            status = main(["--state", str(self.folder / "state"), "release", *words])
        return status, out.getvalue(), err.getvalue()

    def release(self, *words: str, folder: bool = True) -> Any:
        """What it prints as JSON; it must be accepted."""
        place = ["--folder", str(self.folder / "release")] if folder else []
        status, out, err = self.run_words(words[0], *place, "--json", *words[1:])
        self.assertEqual(status, 0, err)
        return json.loads(out)

    def refused(self, *words: str, folder: bool = True) -> str:
        """Its one line."""
        place = ["--folder", str(self.folder / "release")] if folder else []
        status, _, err = self.run_words(words[0], *place, *words[1:])
        self.assertEqual(status, 1)
        self.assertEqual(len(err.splitlines()), 1, err)
        return err

    def key(self, name: str, *more: str) -> str:
        """A private key's file."""
        made = self.release("keygen", str(self.keys / name), *more, folder=False)
        self.assertEqual(Path(made["private"]).stat().st_mode & 0o777, 0o600)
        return str(made["private"])

    def begin(self) -> str:
        """The ceremony; the one key's file."""
        key = self.key("all.pem")
        self.release(
            *("init", "--root-key", f"{key}.pub", "--root-threshold", "1"),
            *("--targets-key", f"{key}.pub", "--channel-key", f"stable={key}.pub"),
        )
        self.release("sign", "--key", key)
        return key

    def test_from_keys_to_the_feed(self) -> None:
        """Every word of the guide."""
        key = self.begin()
        wheels = self.folder / "wheels"
        make_wheel(wheels, PROJECT, "1.0")
        built = self.release(
            *("build", "--wheels", str(wheels), "--notes", "Hello"),
            *("--percent", "10", "--import", PROJECT),
        )
        self.assertEqual((built["version"], built["wheels"]), ("1.0", 1))
        [signed] = self.release("sign", "--key", key)
        self.assertTrue(signed["done"])
        published = self.release("publish")
        self.assertEqual(published["still_waiting"], [])
        self.assertTrue(
            (self.folder / "state" / "updates" / "metadata" / "timestamp.json").exists()
        )
        rows = self.release("status")
        self.assertEqual({row["where"] for row in rows}, {"published"})
        self.release("percent", "1.0", "100")
        self.release("withdraw", "1.0")
        self.release("renew", "stable", "--days", "30")
        [row] = self.release("status", "--channel", "stable")
        self.assertEqual((row["where"], row["releases"]), ("waiting", []))

    def test_what_is_refused(self) -> None:
        """In one line each."""
        self.assertIn("release init", self.refused("renew", "stable"))
        key = self.begin()
        wheels = self.folder / "wheels"
        wheels.mkdir()
        build = ("build", "--wheels", str(wheels))
        self.assertIn("holds no wheels", self.refused(*build))
        make_wheel(wheels, PROJECT, "1.0")
        unknown = self.refused(*build, "--channel", "nightly")
        self.assertIn("no channel nightly; there are: stable", unknown)
        self.release(*build)
        self.assertIn("--replace", self.refused(*build))
        self.release(*build, "--replace")
        self.assertIn("keys are never", self.refused("keygen", key, folder=False))
        self.assertIn("No such file", self.refused("sign", "--key", "/nowhere"))

    def test_a_passphrase_from_a_file(self) -> None:
        """For keys of a machine that signs at night."""
        given = ("--passphrase-file", str(self.pass_file))
        key = self.key("locked.pem", *given)
        self.release(
            *("init", "--root-key", f"{key}.pub", "--root-threshold", "1"),
            *("--targets-key", f"{key}.pub", "--channel-key", f"stable={key}.pub"),
        )
        with patch("getpass.getpass", return_value="close"):
            self.assertIn("not its passphrase", self.refused("sign", "--key", key))
        self.release("sign", "--key", key, *given)

    def test_online_keys_are_made_once(self) -> None:
        """And once more when asked."""
        first = self.release("online-keys", folder=False)
        self.assertEqual(self.release("online-keys", folder=False), first)
        second = self.release("online-keys", "--another", folder=False)
        self.assertNotEqual(second, first)

    def test_without_the_library(self) -> None:
        """A base installation has no TUF; it says what to install."""
        with patch.dict(sys.modules, {"tuf": None}):
            said = self.refused("status")
        self.assertIn("mosaic-meetings[release]", said)

    def test_wrong_words(self) -> None:
        """Usage, before anything is done."""
        for words in (
            ("init", "--root-key", "a", "--targets-key", "b", "--channel-key", "c"),
            ("percent", "1.0", "101"),
            ("nothing",),
        ):
            error = self.assertRaises(SystemExit, self.run_words, *words)
            self.assertEqual(error.code, 2)
