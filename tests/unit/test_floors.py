"""The floors of the house: who may import whom (docs/architecture.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from unittest import TestCase

import mosaic

PACKAGE = Path(mosaic.__file__).parent

FLOORS = {
    "wire": 1,
    "workspace": 1,
    "config": 2,
    "store": 2,
    "bus": 2,
    "tls": 2,
    "relay": 2,
    "metrics": 2,
    "proxy": 2,
    "render": 2,
    "export": 3,
    "drcpclient": 2,
    "auth": 3,
    "services": 4,
    "hub": 4,
    "netcheck": 3,
    "release": 4,
    "app": 5,
    "cli": 6,
    "tap": 6,
    "static": 0,
}
"""Higher may import lower, and its own folder; `services/*` not each other."""

PURE = {"wire", "workspace", "render"}
IMPURE_MODULES = {
    "twisted", "asyncio", "socket", "logging", "time", "threading", "autobahn",
    "klein", "wokkel", "sqlalchemy", "OpenSSL", "select", "selectors",
}  # fmt: skip


def room_of(path: Path) -> str:
    """The top folder below mosaic/ (services count one level deeper)."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    if parts[0] == "services" and len(parts) > 2:
        return f"services.{parts[1]}"
    return parts[0]


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Absolute names imported by a file, and whether at module level."""
    tree = ast.parse(path.read_text())
    top = {id(node) for node in ast.walk(tree) if isinstance(node, ast.Module)}
    for parent in ast.walk(tree):
        for node in ast.iter_child_nodes(parent):
            at_top = id(parent) in top
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield alias.name, at_top
            elif isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    yield f"{node.module}.{alias.name}", at_top


class FloorTests(TestCase):
    """One rule for each test, checked from the AST of every module."""

    def files(self) -> Iterator[Path]:
        """Every module but the empty package files."""
        for path in sorted(PACKAGE.rglob("*.py")):
            if path.parent != PACKAGE or path.stem == "tap":
                yield path

    def test_lower_floors_only(self) -> None:
        """A module imports its own folder and lower floors, never sideways."""
        faults = []
        for path in self.files():
            here = room_of(path)
            floor = FLOORS[here.split(".")[0]]
            for name, _ in imports(path):
                parts = name.split(".")
                if parts[0] != "mosaic" or len(parts) < 2 or parts[1] == "__version__":
                    continue
                there = parts[1]
                if there == "services" and len(parts) > 2:
                    there = f"services.{parts[2]}"
                same = there == here
                if not same and FLOORS[there.split(".")[0]] >= floor:
                    faults.append(f"{path.relative_to(PACKAGE)} imports {name}")
        self.assertEqual(faults, [])

    def test_cores_are_pure(self) -> None:
        """Floor 1 knows no socket, clock, log, thread or framework."""
        faults = []
        for path in self.files():
            if room_of(path).split(".")[0] in PURE:
                for name, _ in imports(path):
                    if name.split(".")[0] in IMPURE_MODULES:
                        faults.append(f"{path.relative_to(PACKAGE)} imports {name}")
        self.assertEqual(faults, [])

    def test_reactor_is_never_imported_at_module_level(self) -> None:
        """Importing Mosaic must not choose a reactor."""
        faults = [
            f"{path.relative_to(PACKAGE)} imports {name}"
            for path in self.files()
            for name, at_top in imports(path)
            if at_top and name in {"twisted.internet.reactor"}
        ]
        self.assertEqual(faults, [])
