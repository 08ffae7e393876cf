"""Read the configuration file and the flags into Settings."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from mosaic.config.checks import check_values
from mosaic.config.errors import ConfigError
from mosaic.config.settings import Settings


def load_settings(
    file: str | Path | None, overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Settings from a TOML file (None: all defaults) and overriding keys.

    overrides: nested like the file; what flags say goes over what it says.

    Raises ConfigError.
    """
    data = _read(Path(file)) if file else {}
    settings = _convert(_merge(data, overrides or {}))
    check_values(settings)
    return settings


def state_folder(settings: Settings) -> Path:
    """The state folder: the setting, systemd's, or the user's own."""
    if settings.state:
        return Path(settings.state).expanduser().absolute()
    if given := os.environ.get("STATE_DIRECTORY"):
        return Path(given.split(":")[0])
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "mosaic"


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            str(file), f"cannot be read ({error.strerror}); check --config"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(file), f"is not valid TOML: {error}") from error


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            value = _merge(below, value)
        merged[key] = value
    return merged


_UNKNOWN = re.compile(r"unknown field `(?P<field>[^`]*)`(?: - at `(?P<at>[^`]*)`)?")
_WRONG = re.compile(r"(?P<what>.*?)(?: - at `(?P<at>[^`]*)`)?$", re.DOTALL)


def _convert(data: dict[str, Any]) -> Settings:
    try:
        return msgspec.convert(data, Settings)
    except msgspec.ValidationError as error:
        raise _explain(str(error), data) from error


def _explain(text: str, data: dict[str, Any]) -> ConfigError:
    """Turn msgspec's sentence into one that names the key and the value."""
    if unknown := _UNKNOWN.search(text):
        table = _dotted(unknown["at"])
        key = f"{table}.{unknown['field']}" if table else unknown["field"]
        return ConfigError(key, "unknown key" + _suggest(key))
    wrong = _WRONG.match(text)
    path = _dotted(wrong["at"]) if wrong else ""
    what = (wrong["what"] if wrong else text).replace("`", "")
    return ConfigError(
        path or "configuration",
        f"{what[:1].lower()}{what[1:]}: {_value_at(data, path)!r}; "
        "see etc/mosaic.toml for what belongs here",
    )


def _dotted(at: str | None) -> str:
    """`$.turn.relay_ports[0]` as `turn.relay_ports[0]`."""
    return (at or "").removeprefix("$").removeprefix(".")


def _value_at(data: Any, path: str) -> Any:
    for part in re.findall(r"[^.\[\]]+", path):
        try:
            data = data[int(part)] if isinstance(data, list | tuple) else data[part]
        except (KeyError, IndexError, ValueError, TypeError):
            return None
    return data


def _suggest(key: str) -> str:
    close = difflib.get_close_matches(key, list(all_keys()), n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}?" if close else "see etc/mosaic.toml"
    return f"; {hint}"


def all_keys() -> dict[str, Any]:
    """Every key in dotted form with its default."""
    return dict(walk(Settings(), ""))


def walk(section: msgspec.Struct, prefix: str = "") -> list[tuple[str, Any]]:
    """Dotted keys and values of a section and those below it."""
    found: list[tuple[str, Any]] = []
    for name in section.__struct_fields__:
        value = getattr(section, name)
        if isinstance(value, msgspec.Struct):
            found.extend(walk(value, f"{prefix}{name}."))
        else:
            found.append((prefix + name, value))
    return found
