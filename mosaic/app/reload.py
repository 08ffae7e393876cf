"""SIGHUP: certificates, keys, and the settings that can change while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from twisted.logger import Logger

from mosaic.config.errors import ConfigError
from mosaic.config.load import walk
from mosaic.config.settings import Settings

_log = Logger()

Apply = Callable[[Any], None]


class Reloader:
    """Reads the settings again and applies what can be applied.

    read: loads the settings. appliers: key in dotted form to what takes its
    new value. files: each reloads files that are no settings (certificates,
    keys) and returns what is wrong.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        read: Callable[[], Settings],
        appliers: dict[str, Apply],
        files: Iterable[Callable[[], Sequence[Exception]]],
    ) -> None:
        self._settings = settings
        self._read = read
        self._appliers = appliers
        self._files = tuple(files)

    def reload(self) -> None:
        """Do it, and log what changed and what waits for a restart."""
        for read in self._files:
            for error in read():
                _log.error("not reloaded: {error}", error=str(error))
        try:
            fresh = self._read()
        except ConfigError as error:
            _log.error("settings not reloaded: {error}", error=str(error))
            return
        applied, waiting = [], []
        before = dict(walk(self._settings))
        for key, value in walk(fresh):
            if value == before[key]:
                continue
            if apply := self._appliers.get(key):
                apply(value)
                applied.append(key)
            else:
                waiting.append(key)
        self._settings = _with(self._settings, fresh, applied)
        _log.info(
            "reloaded certificates, keys and settings; changed: {applied}; "
            "after a restart: {waiting}",
            applied=", ".join(applied) or "none",
            waiting=", ".join(waiting) or "none",
        )


def _with(old: Settings, fresh: Settings, keys: list[str]) -> Settings:
    """The old settings with the applied keys of the fresh ones."""
    for key in keys:
        *tables, name = key.split(".")
        source: Any = fresh
        for table in tables:
            source = getattr(source, table)
        value = getattr(source, name)
        if tables:
            section = getattr(old, tables[0])
            value = msgspec.structs.replace(section, **{name: value})
            name = tables[0]
        old = msgspec.structs.replace(old, **{name: value})
    return old
