"""`mosaic user`: accounts."""

from __future__ import annotations

import argparse
import getpass
import sys
from typing import Any

from mosaic.cli.errors import Refused
from mosaic.cli.office import open_office
from mosaic.cli.output import add_json_flag, show, show_table
from mosaic.config.settings import Settings
from mosaic.workspace.model import Account


def add_to(verbs: Any) -> None:
    """Add the verb and its actions."""
    parser = verbs.add_parser("user", help="accounts: add, list, passwd, remove")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    add = actions.add_parser("add", help="make an account")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--admin", action="store_true", help="an administrator")
    _add_password_flag(add)
    add_json_flag(add)
    add.set_defaults(run=_add)
    everyone = actions.add_parser("list", help="show all accounts")
    add_json_flag(everyone)
    everyone.set_defaults(run=_list)
    passwd = actions.add_parser("passwd", help="change a password")
    passwd.add_argument("name", metavar="NAME")
    _add_password_flag(passwd)
    passwd.set_defaults(run=_passwd)
    remove = actions.add_parser("remove", help="remove an account and its logins")
    remove.add_argument("name", metavar="NAME")
    remove.set_defaults(run=_remove)


def _add_password_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--password-stdin",
        action="store_true",
        help="read the password from standard input instead of asking",
    )


def _password(options: argparse.Namespace) -> str:
    if options.password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        password = getpass.getpass(f"Password for {options.name}: ")
        if getpass.getpass("Again: ") != password:
            raise Refused("the two passwords differ")
    else:
        raise Refused("no terminal to ask at; use --password-stdin")
    if not password:
        raise Refused("the password is empty")
    return password


def _add(settings: Settings, options: argparse.Namespace) -> None:
    password = _password(options)
    with open_office(settings) as office:
        account = office.wait(
            office.door.add_account(options.name, password, admin=options.admin)
        )
    show(_record(account), as_json=options.json)


def _list(settings: Settings, options: argparse.Namespace) -> None:
    with open_office(settings) as office:
        accounts = office.wait(office.store.accounts())
    show_table(
        [_record(each) for each in accounts],
        ("name", "admin", "created_at"),
        as_json=options.json,
    )


def _passwd(settings: Settings, options: argparse.Namespace) -> None:
    password = _password(options)
    with open_office(settings) as office:
        office.wait(office.door.set_password(options.name, password))


def _remove(settings: Settings, options: argparse.Namespace) -> None:
    with open_office(settings) as office:
        office.wait(office.door.remove_account(options.name, last_admin=True))


def _record(account: Account) -> dict[str, Any]:
    return {
        "name": account.name,
        "admin": account.admin,
        "created_at": round(account.created_at, 3),
    }
