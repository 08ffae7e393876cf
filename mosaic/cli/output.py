"""What verbs print: tables for people, JSON with --json."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import Any


def add_json_flag(parser: argparse.ArgumentParser) -> None:
    """Every verb that prints data takes --json."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def show(record: Mapping[str, Any], *, as_json: bool) -> None:
    """One thing: a line for each field."""
    if as_json:
        print(json.dumps(record))
        return
    width = max(len(name) for name in record)
    for name, value in record.items():
        print(f"{name.replace('_', ' '):<{width}}  {_text(value)}")


def show_table(
    records: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool
) -> None:
    """Many things: a row for each."""
    if as_json:
        print(json.dumps(list(records)))
        return
    rows = [[_text(record[name]) for name in columns] for record in records]
    titles = [name.replace("_", " ") for name in columns]
    widths = [max(map(len, cells)) for cells in zip(titles, *rows, strict=True)]
    for row in [titles, *rows]:
        print("  ".join(map(str.ljust, row, widths)).rstrip())


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)
