"""Where dialogues are played: one server for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from mosaic.cli.office import open_office
from mosaic.config.flags import settings_from_flags
from mosaic.wire.sasl.verifier import derive_verifier
from tests.support.dialogue import Script, parse_script
from tests.support.dialogue_play import PASSWORD, Play
from tests.support.prosody import RunningProsody
from tests.support.running import ROOT, RunningMosaic
from tests.support.xmpp_client import Address

FOLDER = ROOT / "tests" / "dialogues"


def read_scripts() -> dict[str, Script]:
    """All of them, by the names of their files."""
    return {
        path.stem: parse_script(path.read_text())
        for path in sorted(FOLDER.glob("*.txt"))
    }


class Stage:
    """Servers with the accounts of all scripts, started when they are needed.

    server: "mosaic" or "prosody". only: names of scripts, or None for all.
    """

    def __init__(self, server: str, only: Collection[str] | None = None) -> None:
        self.scripts = {
            name: script
            for name, script in read_scripts().items()
            if only is None or name in only
        }
        self._tags = {name: f"x{n}" for n, name in enumerate(self.scripts)}
        self._kind = server
        self._servers: dict[bool, RunningMosaic | RunningProsody] = {}

    def stop(self) -> None:
        """Let the curtain fall."""
        for server in self._servers.values():
            server.stop()

    def play(self, name: str) -> None:
        """One script. Raises dialogue_play.Unexpected, or RuntimeError if the
        server does not start."""
        address = Address(self._server(self.scripts[name]).port)
        play = Play(self.scripts[name], address, self._tags[name])
        asyncio.run(play.perform())

    def _tagged(self, kind: str) -> list[list[str]]:
        """Accounts for each script: "accounts", "admins" or "strangers"."""
        return [
            [f"{account}{self._tags[name]}" for account in getattr(script, kind)]
            for name, script in self.scripts.items()
        ]

    def _server(self, script: Script) -> RunningMosaic | RunningProsody:
        """Where strangers are strangers, or where all are contacts."""
        alone = bool(script.strangers) and self._kind == "mosaic"
        if alone not in self._servers:
            kind = self._kind
            server = self._prosody() if kind == "prosody" else self._mosaic(alone)
            self._servers[alone] = server
            server.start()
        return self._servers[alone]

    def _prosody(self) -> RunningProsody:
        accounts, strangers = self._tagged("accounts"), self._tagged("strangers")
        return RunningProsody(
            {name: PASSWORD for names in accounts for name in names},
            contacts=[
                sorted(set(known) - set(alone))
                for known, alone in zip(accounts, strangers, strict=True)
            ],
            admins=_flat(self._tagged("admins")),
        )

    def _mosaic(self, alone: bool) -> RunningMosaic:
        return mosaic_with_accounts(
            _flat(self._tagged("accounts")),
            admins=_flat(self._tagged("admins")),
            settings="[xmpp]\neveryone_is_contact = false\n" if alone else "",
        )


def mosaic_with_accounts(
    names: Collection[str], *, admins: Collection[str] = (), settings: str = ""
) -> RunningMosaic:
    """A Mosaic, not yet started, whose accounts all have PASSWORD.

    settings: TOML.
    """
    server = RunningMosaic()
    if settings:
        config = server.state / "mosaic.toml"
        config.write_text(settings)
        server.flags = ("--config", str(config))
    verifier = derive_verifier(PASSWORD, salt=b"salt of a test..")
    with open_office(settings_from_flags({"state": str(server.state)})) as office:
        for name in names:
            office.wait(office.store.add_account(name, verifier, admin=name in admins))
    return server


def _flat(lists: list[list[str]]) -> list[str]:
    return [name for names in lists for name in names]
