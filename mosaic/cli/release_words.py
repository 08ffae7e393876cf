"""The words of `mosaic release`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from mosaic.cli.output import add_json_flag

Run = Callable[..., None]


def add_words(parser: argparse.ArgumentParser, runs: Mapping[str, Run]) -> None:
    """One subcommand for each action."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    def action(name: str, text: str, *, folder: bool = True) -> Any:
        made = actions.add_parser(name, help=text, description=text)
        if folder:
            made.add_argument(
                "--folder",
                default="release",
                metavar="DIR",
                help="where releases are made (default: ./release); no keys in it",
            )
        add_json_flag(made)
        made.set_defaults(run=runs[name])
        return made

    _keys(action)
    _contents(action)
    _signatures(action)


def _keys(action: Callable[..., Any]) -> None:
    keygen = action("keygen", "make an offline key: FILE and FILE.pub", folder=False)
    keygen.add_argument("file", metavar="FILE")
    _passphrase(keygen)
    keygen.add_argument("--ask-passphrase", action="store_true", help="ask for it")
    online = action(
        "online-keys",
        "make this server's snapshot and timestamp keys, or say where they are",
        folder=False,
    )
    online.add_argument(
        "--another", action="store_true", help="one more of each, to replace the old"
    )
    init = action("init", "say who may sign what; sign it next")
    init.add_argument("--root-key", action="append", required=True, metavar="PUB")
    init.add_argument("--root-threshold", type=int, default=2, metavar="N")
    init.add_argument("--targets-key", action="append", required=True, metavar="PUB")
    init.add_argument("--targets-threshold", type=int, default=1, metavar="N")
    init.add_argument(
        "--channel-key",
        action="append",
        required=True,
        type=_pair,
        metavar="CHANNEL=PUB",
    )
    init.add_argument(
        "--channel-threshold",
        action="append",
        default=[],
        type=_counted,
        metavar="CHANNEL=N",
        help="how many of its keys must sign; one by default",
    )
    init.add_argument(
        "--snapshot-key", metavar="PUB", help="the server's; this machine's by default"
    )
    init.add_argument("--timestamp-key", metavar="PUB", help="the same")


def _contents(action: Callable[..., Any]) -> None:
    build = action("build", "make the wheels of a version and put them in a channel")
    _channel(build)
    build.add_argument(
        "--source", default=".", metavar="DIR", help="the project's tree"
    )
    build.add_argument("--wheels", metavar="DIR", help="wheels that are built already")
    build.add_argument("--constraint", metavar="FILE", help="pinned versions, for pip")
    build.add_argument(
        "--no-deps", action="store_true", help="the project's wheel only"
    )
    build.add_argument(
        "--extra", dest="extras", action="append", default=[], metavar="NAME",
        help="of the project, beside `hub`, such as hub-kerberos; may be repeated",
    )  # fmt: skip
    build.add_argument("--no-build-isolation", action="store_true", help="as in pip")
    build.add_argument("--project", default="mosaic-meetings", help="whose version")
    build.add_argument("--python", default="3.11", metavar="3.N", help="the oldest")
    build.add_argument("--import", dest="imports", action="append", metavar="MODULE")
    build.add_argument("--notes", default="", metavar="TEXT")
    build.add_argument("--notes-file", metavar="FILE")
    build.add_argument("--security-epoch", type=int, default=0, metavar="N")
    build.add_argument("--percent", type=_percent, default=100, help="of the hubs")
    build.add_argument("--replace", action="store_true", help="a version that is there")
    percent = action("percent", "give a release to more or fewer hubs")
    _channel(percent)
    percent.add_argument("version")
    percent.add_argument("percent", type=_percent)
    withdraw = action("withdraw", "take a release out; hubs that have it keep it")
    _channel(withdraw)
    withdraw.add_argument("version")


def _signatures(action: Callable[..., Any]) -> None:
    sign = action("sign", "sign all that waits for a key")
    sign.add_argument("--key", required=True, metavar="FILE")
    _passphrase(sign)
    action("publish", "check all, copy it to the feed, say that it is the newest")
    status = action("status", "what is signed, what waits, what is published, how long")
    status.add_argument("--channel", metavar="NAME", help="this one only")
    renew = action("renew", "the same again with a later end; sign it next")
    renew.add_argument("role", help="root, targets or a channel")
    renew.add_argument("--days", type=float, default=365.0)
    rotate = action("rotate", "change who may sign as a role; sign it next")
    rotate.add_argument("role", help="root, targets, snapshot, timestamp or a channel")
    rotate.add_argument("--add", action="append", default=[], metavar="PUB")
    rotate.add_argument("--remove", action="append", default=[], metavar="KEY")
    channel = action("add-channel", "one more channel; sign it next")
    channel.add_argument("name")
    channel.add_argument("--key", action="append", required=True, metavar="PUB")
    channel.add_argument("--threshold", type=int, default=1, metavar="N")


def _channel(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--channel", default="stable", metavar="NAME")


def _passphrase(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--passphrase-file", metavar="FILE", help="its first line")


def _percent(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError("0 to 100")
    return value


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not CHANNEL=VALUE")
    return name, value


def _counted(text: str) -> tuple[str, int]:
    name, value = _pair(text)
    return name, int(value)
