"""What importing the store costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from unittest import TestCase

import mosaic

CHECKOUT = Path(mosaic.__file__).parent.parent


class ImportTests(TestCase):
    """In an interpreter of its own."""

    def loaded(self, *modules: str) -> set[str]:
        """Everything that importing these brings in."""
        code = f"import sys, {', '.join(modules)}; print(*sys.modules, sep='\\n')"
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
        return set(done.stdout.split())

    def test_interfaces_are_light(self) -> None:
        """Those who only name the store need no database library."""
        found = self.loaded("mosaic.store.interface", "mosaic.auth.interface")
        self.assertFalse(found & {"sqlalchemy", "alembic", "twisted.internet.reactor"})

    def test_alembic_waits_until_it_is_needed(self) -> None:
        """A database that is up to date starts without it; no reactor is chosen."""
        found = self.loaded(
            "mosaic.store.sql", "mosaic.store.direct", "mosaic.auth.door"
        )
        self.assertFalse(found & {"alembic", "mako", "twisted.internet.reactor"})
