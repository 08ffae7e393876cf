"""`mosaic release`: make, sign and publish what hubs install."""

from __future__ import annotations

import argparse
import getpass
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mosaic.cli.errors import Refused
from mosaic.cli.output import show, show_table
from mosaic.cli.release_words import add_words
from mosaic.config.load import state_folder
from mosaic.config.settings import Settings

if TYPE_CHECKING:
    from securesystemslib.signer import SSlibKey

    from mosaic.release.online import OnlineKeys, OnlineSigner
    from mosaic.release.workshop import Workshop

Verb = Callable[[Settings, argparse.Namespace], None]


def add_to(verbs: Any) -> None:
    """Add the verb and its actions."""
    parser = verbs.add_parser(
        "release",
        help="updates for hubs: keys, builds, signatures, publishing",
        description="docs/updates.md shows the whole way.",
    )
    add_words(parser, {name: _guarded(verb) for name, verb in VERBS.items()})


def _guarded(verb: Verb) -> Verb:
    """Say what is missing or refused in one line."""

    def run(settings: Settings, options: argparse.Namespace) -> None:
        try:
            import tuf  # noqa: F401 (say so before anything is done)

            from mosaic.release.errors import ReleaseRefused
            from mosaic.workspace.releases import ReleaseError
        except ImportError as error:
            raise Refused(
                f"{error.name} is not installed: pip install 'mosaic-meetings[release]'"
            ) from error
        try:
            verb(settings, options)
        except (ReleaseRefused, ReleaseError) as error:
            raise Refused(str(error)) from error
        except OSError as error:
            raise Refused(f"{error.filename}: {error.strerror}") from error

    return run


def _keygen(settings: Settings, options: argparse.Namespace) -> None:
    from mosaic.release.keys import load_public, make_key

    file = Path(options.file)
    public = make_key(file, passphrase=_new_passphrase(options))
    key = load_public(public)
    show(
        {"private": str(file), "public": str(public), "key": key.keyid[:8]},
        as_json=options.json,
    )


def _online_keys(settings: Settings, options: argparse.Namespace) -> None:
    made = _online(settings).make(another=options.another)
    show({role: str(file) for role, file in made.items()}, as_json=options.json)


def _init(settings: Settings, options: argparse.Namespace) -> None:
    from mosaic.release.workshop import Ceremony

    channels: dict[str, list[SSlibKey]] = {}
    for name, file in options.channel_key:
        channels.setdefault(name, []).append(_public(file))
    online = {
        "snapshot": options.snapshot_key,
        "timestamp": options.timestamp_key,
    }
    if not all(online.values()):
        online = {k: str(v) for k, v in _online(settings).make().items()}
    _workshop(options).begin(
        Ceremony(
            root=[_public(file) for file in options.root_key],
            targets=[_public(file) for file in options.targets_key],
            channels=channels,
            snapshot=_public(online["snapshot"]),
            timestamp=_public(online["timestamp"]),
            root_threshold=options.root_threshold,
            targets_threshold=options.targets_threshold,
            channel_thresholds=dict(options.channel_threshold),
        )
    )
    _show_waiting(options)


def _build(settings: Settings, options: argparse.Namespace) -> None:
    from mosaic.release.channel import Channel
    from mosaic.release.wheels import (
        architectures_of,
        build_wheels,
        describe_wheels,
        version_of,
    )
    from mosaic.workspace.releases import Manifest

    channel = Channel(_workshop(options), options.channel)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(options.wheels or scratch)
        if not options.wheels:
            build_wheels(
                Path(options.source),
                folder,
                constraints=Path(options.constraint) if options.constraint else None,
                dependencies=not options.no_deps,
                extras=options.extras,
                isolated=not options.no_build_isolation,
            )
        wheels = describe_wheels(folder)
        version = version_of(wheels, options.project)
        if version in channel.versions() and not options.replace:
            raise Refused(f"{options.channel} has {version} already; --replace")
        manifest = Manifest(
            version=version,
            channel=options.channel,
            python=options.python,
            architectures=architectures_of(list(wheels)),
            imports=tuple(options.imports or ("mosaic.cli",)),
            security_epoch=options.security_epoch,
            percent=options.percent,
            notes=_notes(options),
            wheels=tuple(wheels),
        )
        channel.put(manifest, {one.name: path for one, path in wheels.items()})
    show(
        {
            "version": version,
            "channel": options.channel,
            "wheels": len(wheels),
            "size_bytes": sum(one.size_bytes for one in wheels),
            "architectures": list(manifest.architectures),
            "waiting_for": _waiting_for(options),
        },
        as_json=options.json,
    )


def _sign(settings: Settings, options: argparse.Namespace) -> None:
    from mosaic.release.keys import load_signer, needs_passphrase

    file = Path(options.key)
    passphrase = _given_passphrase(options)
    if passphrase is None and needs_passphrase(file):
        passphrase = getpass.getpass(f"passphrase of {file}: ").encode()
    signed = _workshop(options).sign(load_signer(file, passphrase=passphrase))
    rows = [
        {
            "role": one.role,
            "version": one.version,
            "signatures": f"{one.have} of {one.want}",
            "done": one.have >= one.want,
        }
        for one in signed
    ]
    show_table(rows, ("role", "version", "signatures", "done"), as_json=options.json)


def _publish(settings: Settings, options: argparse.Namespace) -> None:
    done = _signer(settings).publish(_workshop(options), now=time.time())
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(done.until))
    waiting = _waiting_for(options)
    show(
        {
            "feed": str(feed_folder(settings)),
            "timestamp_until": until,
            "still_waiting": waiting,
        },
        as_json=options.json,
    )


def _status(settings: Settings, options: argparse.Namespace) -> None:
    from mosaic.release.status import standing_rows

    rows = standing_rows(
        _workshop(options), _signer(settings).feed, channel=options.channel
    )
    columns = ("role", "where", "version", "ends", "signatures", "keys", "releases")
    show_table(rows, columns, as_json=options.json)


def _renew(settings: Settings, options: argparse.Namespace) -> None:
    _workshop(options).renew(options.role, days=options.days)
    _show_waiting(options)


def _rotate(settings: Settings, options: argparse.Namespace) -> None:
    _workshop(options).rotate(
        options.role,
        add=[_public(file) for file in options.add],
        remove=options.remove,
    )
    _show_waiting(options)


def _add_channel(settings: Settings, options: argparse.Namespace) -> None:
    keys = [_public(file) for file in options.key]
    _workshop(options).add_channel(options.name, keys, options.threshold)
    _show_waiting(options)


def _withdraw(settings: Settings, options: argparse.Namespace) -> None:
    from mosaic.release.channel import Channel

    Channel(_workshop(options), options.channel).withdraw(options.version)
    _show_waiting(options)


def _percent(settings: Settings, options: argparse.Namespace) -> None:
    from mosaic.release.channel import Channel

    channel = Channel(_workshop(options), options.channel)
    channel.set_percent(options.version, options.percent)
    _show_waiting(options)


VERBS: dict[str, Verb] = {
    "keygen": _keygen,
    "online-keys": _online_keys,
    "init": _init,
    "build": _build,
    "sign": _sign,
    "publish": _publish,
    "status": _status,
    "renew": _renew,
    "rotate": _rotate,
    "add-channel": _add_channel,
    "withdraw": _withdraw,
    "percent": _percent,
}


def feed_folder(settings: Settings) -> Path:
    """What is served at /updates/."""
    folder = settings.updates.folder
    return Path(folder) if folder else state_folder(settings) / "updates"


def _online(settings: Settings) -> OnlineKeys:
    from mosaic.release.online import OnlineKeys

    return OnlineKeys(state_folder(settings) / "keys")


def _signer(settings: Settings) -> OnlineSigner:
    from mosaic.release.feed import Feed
    from mosaic.release.online import OnlineSigner

    return OnlineSigner(
        Feed(feed_folder(settings)),
        _online(settings),
        life_s=settings.updates.timestamp_life_s,
        resign_s=settings.updates.resign_s,
    )


def _workshop(options: argparse.Namespace) -> Workshop:
    from mosaic.release.workshop import Workshop

    return Workshop(Path(options.folder), now=time.time())


def _public(file: str) -> SSlibKey:
    from mosaic.release.keys import load_public

    return load_public(Path(file))


def _notes(options: argparse.Namespace) -> str:
    if options.notes_file:
        return Path(options.notes_file).read_text(encoding="utf-8")
    return str(options.notes)


def _new_passphrase(options: argparse.Namespace) -> bytes | None:
    if options.ask_passphrase:
        first = getpass.getpass("passphrase: ")
        if not first or first != getpass.getpass("the same again: "):
            raise Refused("the two are not the same, or empty")
        return first.encode()
    return _given_passphrase(options)


def _given_passphrase(options: argparse.Namespace) -> bytes | None:
    if not options.passphrase_file:
        return None
    return Path(options.passphrase_file).read_bytes().rstrip(b"\r\n")


def _waiting_for(options: argparse.Namespace) -> list[str]:
    return [
        f"{one.role}: {one.want - one.have} of "
        + ", ".join(key[:8] for key in one.keys)
        for one in _workshop(options).waiting()
    ]


def _show_waiting(options: argparse.Namespace) -> None:
    show({"waiting_for": _waiting_for(options)}, as_json=options.json)
