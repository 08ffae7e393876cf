"""Rules for the values of [xmpp]."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mosaic.config.errors import ConfigError
from mosaic.config.settings import Xmpp

CONTACTS = ("abuse", "admin", "feedback", "sales", "security", "status", "support")
"""Kinds of addresses (XEP-0157 and its registry)."""

OWN_PARTS = ("mosaic", "upload", "rooms")
"""Components of ours, by what comes before the domain."""

_DOMAIN = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
    r"(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*"
)
_SAFE_LISTEN = re.compile(
    r"unix:.*|mosaic-tls:.*|ssl:.*|tcp6?:(.*:)?interface=(127\.[0-9.]+|\\:\\:1)(:.*)?"
)
_SAFE_CONNECT = re.compile(
    r"unix:.*|tls:.*|tcp:(host=)?(127\.[0-9.]+|localhost|\\:\\:1)(:.*)?"
)


def check_xmpp(xmpp: Xmpp, public_host: str) -> None:
    """Raise ConfigError for the first value that cannot work."""
    for line in xmpp.contact_addresses:
        kind, _, uri = line.partition(" ")
        if kind not in CONTACTS or ":" not in uri:
            raise ConfigError(
                "xmpp.contact_addresses",
                f"{line!r} is no kind ({', '.join(CONTACTS)}) and URI; "
                "for example 'admin mailto:ops@example.org'",
            )
    _check_own_component(xmpp)
    _check_others(xmpp, xmpp.domain or public_host)


def _check_own_component(xmpp: Xmpp) -> None:
    if not xmpp.component:
        return
    if not _SAFE_CONNECT.fullmatch(xmpp.component):
        raise ConfigError(
            "xmpp.component",
            f"{xmpp.component!r} would send stanzas in the clear to another machine; "
            "use tls:HOST:PORT, tcp:127.0.0.1:PORT or unix:PATH",
        )
    _check_domain("xmpp.component_domain", xmpp.component_domain)
    if xmpp.component_accounts:
        _check_domain("xmpp.component_accounts", xmpp.component_accounts)
    if not xmpp.component_secret_file:
        raise ConfigError(
            "xmpp.component_secret_file", "'' names no file; xmpp.component needs one"
        )


def _check_others(xmpp: Xmpp, domain: str) -> None:
    listen = xmpp.components_listen
    if listen and not _SAFE_LISTEN.fullmatch(listen):
        raise ConfigError(
            "xmpp.components_listen",
            f"{listen!r} would take components in the clear from other machines; "
            "use mosaic-tls:PORT, tcp:PORT:interface=127.0.0.1 or unix:PATH",
        )
    ours = {domain, *(f"{part}.{domain}" for part in OWN_PARTS)}
    for at, one in enumerate(xmpp.components):
        key = f"xmpp.components[{at}].domain"
        _check_domain(key, one.domain)
        if one.domain in ours or one.domain == xmpp.component_accounts:
            raise ConfigError(key, f"{one.domain!r} is in use already")
        ours.add(one.domain)
    if xmpp.components and not listen:
        raise ConfigError(
            "xmpp.components_listen",
            "'' is nowhere, but xmpp.components has some that would connect",
        )


def _check_domain(key: str, text: str) -> None:
    if not _DOMAIN.fullmatch(text):
        raise ConfigError(
            key, f"{text!r} is no domain in small letters, such as rooms.example.org"
        )


def secret_files(xmpp: Xmpp) -> Iterator[tuple[str, str]]:
    """Keys and paths of the files that hold secrets."""
    if xmpp.component:
        yield "xmpp.component_secret_file", xmpp.component_secret_file
    for at, one in enumerate(xmpp.components):
        yield f"xmpp.components[{at}].secret_file", one.secret_file


def read_secret(key: str, path: str) -> str:
    """The one line of a file. Raises ConfigError."""
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise ConfigError(key, f"{path!r} cannot be read: {why}") from error
    if not text or "\n" in text:
        raise ConfigError(key, f"{path!r} does not hold one line with a secret")
    return text
