"""Addresses of XMPP (RFC 6122: nodeprep, nameprep, resourceprep)."""

from __future__ import annotations

import re
import stringprep
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address

from mosaic.wire.sasl.saslprep import SaslprepError, check_direction

MAX_PART_BYTES = 1023
"""Each of the three parts (RFC 6122 section 2.1)."""

_FORBIDDEN: tuple[Callable[[str], bool], ...] = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)
_NODE_FORBIDDEN = frozenset("\"&'/:<>@ ")
_PLAIN_NODE = re.compile(r"[a-z0-9._+-]{1,255}\Z", re.ASCII)
_PLAIN_DOMAIN = re.compile(r"[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*\Z", re.ASCII)
_PLAIN_RESOURCE = re.compile(r"[ -~]{1,1023}\Z")
_LABEL_FORBIDDEN = re.compile(r"[\x00-\x2c\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]")


class JidError(ValueError):
    """The text is no address. The stanza error is jid-malformed."""


@dataclass(frozen=True, slots=True)
class Jid:
    """A prepared address: local@domain/resource. local and resource: "" if
    there is none. Make one with parse_jid."""

    local: str
    domain: str
    resource: str

    def __str__(self) -> str:
        return f"{self.bare}/{self.resource}" if self.resource else self.bare

    @property
    def bare(self) -> str:
        """The text without the resource."""
        return f"{self.local}@{self.domain}" if self.local else self.domain

    @property
    def bare_jid(self) -> Jid:
        """The address without the resource."""
        return Jid(self.local, self.domain, "")


@lru_cache(maxsize=4096)
def parse_jid(text: str) -> Jid:
    """Split and prepare an address. Raises JidError."""
    if len(text) > 3 * MAX_PART_BYTES + 2:
        raise JidError("the address is too long")
    rest, slash, resource = text.partition("/")
    local, at, domain = rest.rpartition("@") if "@" in rest else ("", "", rest)
    if (slash and not resource) or (at and not local):
        raise JidError("a part of the address is empty")
    return Jid(
        prepare_local(local) if at else "",
        prepare_domain(domain),
        prepare_resource(resource) if slash else "",
    )


def prepare_local(text: str) -> str:
    """Nodeprep (RFC 6122 appendix A): folds case. Raises JidError."""
    if _PLAIN_NODE.match(text):
        return text
    prepared = _prepared(
        stringprep.map_table_b2(char) for char in text if not _is_nothing(char)
    )
    bad = _NODE_FORBIDDEN.intersection(prepared)
    if bad:
        raise JidError(f"{min(bad)!r} is not allowed in a name")
    return prepared


def is_prepared_local(text: str) -> bool:
    """Whether a name stands in an address as it is."""
    try:
        return prepare_local(text) == text
    except JidError:
        return False


def prepare_domain(text: str) -> str:
    """Nameprep of each label, or an IPv6 address in brackets. Raises JidError."""
    if _PLAIN_DOMAIN.match(text):
        return text
    if text.startswith("[") and text.endswith("]"):
        try:
            return f"[{IPv6Address(text[1:-1])}]"
        except AddressValueError as error:
            raise JidError("not an IPv6 address") from error
    prepared = _prepared(
        stringprep.map_table_b2(char) for char in text if not _is_nothing(char)
    )
    prepared = prepared.replace("\u3002", ".").removesuffix(".")
    labels = prepared.split(".")
    if any(not label or len(label) > 63 for label in labels):
        raise JidError("a label of the domain is empty or too long")
    if _LABEL_FORBIDDEN.search(prepared.replace("_", "")):
        raise JidError("a character is not allowed in a domain")
    return prepared


def prepare_resource(text: str) -> str:
    """Resourceprep (RFC 6122 appendix B): keeps case. Raises JidError."""
    if _PLAIN_RESOURCE.match(text):
        return text
    return _prepared(char for char in text if not _is_nothing(char))


def _is_nothing(char: str) -> bool:
    return stringprep.in_table_b1(char)


def _prepared(characters: Iterable[str]) -> str:
    """Normalise, then check prohibited output, direction and length."""
    prepared = unicodedata.ucd_3_2_0.normalize("NFKC", "".join(characters))
    for char in prepared:
        if stringprep.in_table_a1(char) or any(bad(char) for bad in _FORBIDDEN):
            raise JidError(f"U+{ord(char):04X} is not allowed")
    try:
        check_direction(prepared)
    except SaslprepError as error:
        raise JidError(str(error)) from error
    if not prepared or len(prepared.encode()) > MAX_PART_BYTES:
        raise JidError("a part of the address is empty or too long")
    return prepared
