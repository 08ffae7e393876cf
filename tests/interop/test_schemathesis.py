"""The API keeps its own description: schemathesis against a real server."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import TestCase

EXAMPLES = 15
MAX_S = 900
START_S = 120

# They end the token that the run is made with, so they are tried last.
REVOKING = ("/sessions/current", "/users/{name}/password")

UNSAYABLE = "positive_data_acceptance"
"""Names and passwords obey Unicode rules (SASLprep, categories) that no
pattern tells, so a value that fits the schema may still be a 422."""

FOLDER = Path(__file__).parents[2]


class SchemathesisTests(TestCase):
    """No 5xx, no undocumented status, header or body, whatever is asked."""

    def setUp(self) -> None:
        """Start a server in a process of its own."""
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.server = subprocess.Popen(
            [sys.executable, "-m", "tests.support.rest_server", self.folder / "state"],
            cwd=FOLDER,
            env={**os.environ, "PYTHONPATH": str(FOLDER)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(self.stop)
        assert self.server.stdout is not None
        readable, _, _ = select.select([self.server.stdout], [], [], START_S)
        self.assertTrue(readable, "the server did not start")
        self.ready: dict[str, Any] = json.loads(self.server.stdout.readline())

    def stop(self) -> None:
        """End the server and free its pipes."""
        self.server.terminate()
        self.server.communicate(timeout=60)

    def schemathesis(self, *options: str) -> None:
        """Run its command line; a room that exists stands for every Hub ID."""
        config = self.folder / "schemathesis.toml"
        config.write_text(f'[parameters]\n"path.hub_id" = "{self.ready["hub_id"]}"\n')
        url = f"http://127.0.0.1:{self.ready['port']}/api/v1/openapi.json"
        command = [
            *(sys.executable, "-m", "schemathesis.cli"),
            *("--config-file", str(config), "run", url),
            *("--header", f"Authorization: Bearer {self.ready['token']}"),
            *("--max-examples", str(EXAMPLES), "--exclude-checks", UNSAYABLE),
            "--generation-deterministic",
            *("--warnings", "off", "--no-color", *options),
        ]
        done = subprocess.run(
            command,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=MAX_S,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        generated = re.search(r"(\d+) generated", done.stdout)
        assert generated is not None, done.stdout
        self.assertGreater(int(generated[1]), EXAMPLES)

    def test_every_operation_keeps_its_description(self) -> None:
        """As an administrator, with a room that exists."""
        options = [f"--exclude-path={path}" for path in REVOKING]
        self.schemathesis(*options)

    def test_operations_that_end_tokens_keep_theirs(self) -> None:
        """These may revoke the token at any moment: 401 is documented."""
        self.schemathesis(*[f"--include-path={path}" for path in REVOKING])
