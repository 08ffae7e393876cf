"""Two builds of this project, with all that a hub needs, from one to the next.

It takes minutes and fetches dependencies as any installation does, so it runs
only with MOSAIC_RELEASE_RUN=1; test_hub_updates walks the same way with releases
that hold next to nothing.
"""

from __future__ import annotations

import sys
import time

from tests.interop.test_hub_updates import FeedCase
from tests.support.running import run_command
from tests.support.supervised import REAL_RELEASES, build_release


class ReleaseRunTests(FeedCase):
    """Built by `mosaic release build`, installed by the agent itself."""

    if not REAL_RELEASES:
        skip = "set MOSAIC_RELEASE_RUN=1"
    timeout = 1200

    def build(self, version: str) -> None:
        """A release of this tree under another version, signed and published."""
        began = time.monotonic()
        said = build_release(self.publisher, self.folder / f"tree-{version}", version)
        self.say(f"built {version} in {time.monotonic() - began:.0f} s: {said}")

    def say(self, line: str) -> None:
        """A figure."""
        sys.stdout.write(f"\n{line.strip()}\n")

    def install(self, version: str) -> None:
        """By command; how long it took and how much was fetched."""
        words = [*("--state", str(self.hub), "--server", self.server.tls_url)]
        words += [*("--ca", self.ca, "--json")]
        looked = run_command("hub", "update-check", *words)
        self.assertEqual(looked.returncode, 0, looked.stderr)
        self.say(f"to be fetched for {version}: {looked.stdout}")
        began = time.monotonic()
        done = run_command("hub", "update-install", *words, seconds=600)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.say(f"installed {version} in {time.monotonic() - began:.1f} s")

    def test_two_builds(self) -> None:
        """The second one is healthy, and only one wheel was fetched for it."""
        self.build("1.0.0")
        code = self.server.command_json("hub", "enrol-code")["code"]
        self.install("1.0.0")
        self.supervise(
            *("--", "--server", self.server.tls_url, "--ca", self.ca, "--headless"),
            *("--proxy", "direct", "--no-announce", "--enrol-code", code),
        )
        report = self.report_on("1.0.0")
        self.assertTrue(report.ok, report)
        wheels = {p.name for p in (self.hub / "updates" / "wheels").iterdir()}
        self.build("1.0.1")
        self.install("1.0.1")
        report = self.report_on("1.0.1")
        self.assertTrue(report.ok, report)
        self.assertEqual(self.files.current(), "b")
        after = {p.name for p in (self.hub / "updates" / "wheels").iterdir()}
        self.assertEqual(len(after - wheels), 1)
