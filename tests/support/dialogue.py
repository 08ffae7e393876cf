"""Conversations with an XMPP server, written down as one reads them.

A script:

    # XEP-0199: anybody may ask whether the server is there
    also: prosody

    [client] ann phone

    ann connects
    ann sends:
      <iq type='get' id='1' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>
    ann receives:
      <iq type='result' id='1' from='localhost'/>

The first line is what the script shows. `also: prosody` means that Prosody does
the same (the test against the oracle plays it there too). `admins: NAME` may
administer; `strangers: NAME` are in nobody's roster, as all others are (Mosaic
knows that of all of them or of none). `[client] NAME
RESOURCE` has an account of that name; `[client] NAME = ACCOUNT RESOURCE` is one
more connection of an account.

What can be said of a client:

    connects             login and bind; no presence
    logs in              login alone: the features are there to be received
    binds                the resource
    logs in with SASL2:  the XML goes into <authenticate/>
    logs in with token {t}:        the same with the token {t} (XEP-0484)
    sends:               XML as it is
    receives:            each element arrives, in any order; others are left alone
    receives no:         none of that kind came, after everybody has had an answer
    forgets              what came so far
    cuts                 the network fails; {NAME_handled} had arrived (XEP-0198)
    disconnects          with a goodbye

and of the web: `put {url}: TEXT`, `get {url}: TEXT`.

In what is received, attributes and text that are given have to be so, others may
be anything; each child has to be there, in any order, others may be too, unless
the text has `{only}`. `{any}` stands for any text that is not empty, `{none}` as
an attribute for its absence, `{name}` is remembered at its first use, and holds
ever after. Addresses like ann@localhost and tea@rooms.localhost are the script's
own: each play has fresh ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.etree import ElementTree

from mosaic.wire.xmpp.stanza import NS_CLIENT
from mosaic.wire.xmpp.stream import NS_STREAM

Element = ElementTree.Element

_CLIENT = re.compile(r"\[client\] (\w+)(?: = (\w+))? (\w+)")
_WEB = re.compile(r"(put|get) (\{\w+\}): (.*)")
_SAID = re.compile(
    r"(\w+) (connects|logs in with SASL2|logs in with token \{\w+\}|logs in|binds"
    r"|sends|receives no|receives|forgets|cuts|disconnects)(:?)"
)
_NAME = re.compile(r"\{(\w+)\}")
WITH_XML = frozenset({"sends", "receives", "receives no", "logs in with SASL2"})
MAY_HAVE_XML = WITH_XML | {"logs in with token"}
SPECIAL = frozenset({"any", "none", "only"})


class ScriptError(Exception):
    """A script that cannot be read. line: where, from 1."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}")
        self.line = line


@dataclass(frozen=True, slots=True)
class Client:
    """A connection: the account's name and the wished resource."""

    account: str
    resource: str


@dataclass(frozen=True, slots=True)
class Step:
    """Something happens. who: the client, or "" for the web. argument: the
    name of a variable, or ""; xml: what is sent, or the patterns; text: of the
    web."""

    line: int
    who: str
    what: str
    argument: str = ""
    xml: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Script:
    """A dialogue. title: what it shows. also: other servers that do the same."""

    title: str
    also: frozenset[str]
    admins: frozenset[str]
    strangers: frozenset[str]
    clients: dict[str, Client]
    steps: tuple[Step, ...]

    @property
    def accounts(self) -> list[str]:
        """Who takes part."""
        return sorted({client.account for client in self.clients.values()})


def parse_script(text: str) -> Script:
    """Read a script. Raises ScriptError."""
    title = ""
    lists = {"also": frozenset[str](), "admins": frozenset(), "strangers": frozenset()}
    clients: dict[str, Client] = {}
    steps: list[Step] = []
    for number, head, body in _statements(text):
        if head.startswith("#"):
            title = title or head.lstrip("# ")
        elif (found := head.partition(":"))[0] in lists:
            lists[found[0]] |= frozenset(found[2].split())
        elif match := _CLIENT.fullmatch(head):
            name, account, resource = match.groups()
            clients[name] = Client(account or name, resource)
        else:
            steps.append(_step(number, head, body, clients))
    if not title or not steps:
        raise ScriptError(1, "a script has a title and at least one step")
    return Script(title, clients=clients, steps=tuple(steps), **lists)


def _statements(text: str) -> list[tuple[int, str, str]]:
    """Lines at the margin, each with the indented lines below it."""
    found: list[tuple[int, str, list[str]]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        if line[0] not in " \t":
            found.append((number, line.strip(), []))
        elif not found:
            raise ScriptError(number, "an indented line belongs to nothing")
        else:
            found[-1][2].append(line)
    return [(number, head, "\n".join(body)) for number, head, body in found]


def _step(number: int, head: str, body: str, clients: Mapping[str, Client]) -> Step:
    if match := _WEB.fullmatch(head):
        what, url, text = match.groups()
        return Step(number, "", what, url[1:-1], text=text)
    match = _SAID.fullmatch(head)
    if match is None:
        raise ScriptError(number, f"not understood: {head}")
    who, what, colon = match.groups()
    if who not in clients:
        raise ScriptError(number, f"there is no [client] {who}")
    argument = ""
    if what.startswith("logs in with token"):
        argument = what.split()[-1][1:-1]
        what = "logs in with token"
    if (what in WITH_XML and not body) or (body and what not in MAY_HAVE_XML):
        raise ScriptError(number, "XML is missing, or not wanted here")
    if bool(body) != bool(colon):
        raise ScriptError(number, "a colon announces XML")
    if body and what.startswith("receives"):
        read_xml(body, number)
    return Step(number, who, what, argument, xml=body)


def read_xml(text: str, line: int = 0) -> list[Element]:
    """The elements of a client's stream. Raises ScriptError."""
    wrapped = f"<w xmlns='{NS_CLIENT}' xmlns:stream='{NS_STREAM}'>{text}</w>"
    try:
        return list(ElementTree.fromstring(wrapped))
    except ElementTree.ParseError as error:
        raise ScriptError(line, f"{error} in {text}") from error


@dataclass(slots=True)
class Memory:
    """What the `{names}` of a play stand for, and whose addresses are whose.

    tag: put behind each local part, so that no two plays meet.
    """

    tag: str = ""
    accounts: tuple[str, ...] = ()
    values: dict[str, str] = field(default_factory=dict)

    def outward(self, text: str) -> str:
        """As the server is to hear it."""

        def value(match: re.Match[str]) -> str:
            return self.values.get(match[1], match[0])

        text = re.sub(
            r"\b(\w+)@(?=(?:rooms\.)?localhost)",
            lambda match: f"{match[1]}{self.tag}@",
            text,
        )
        return _NAME.sub(value, text)

    def inward(self, text: str) -> str:
        """As the script says it."""
        if not self.tag:
            return text
        return re.sub(
            rf"\b(\w+?){self.tag}@(?=(?:rooms\.)?localhost)",
            lambda match: f"{match[1]}@",
            text,
        )


def matches(
    pattern: Element, found: Element, known: Mapping[str, str]
) -> dict[str, str] | None:
    """The names that an element gives a value, or None if it does not fit."""
    if pattern.tag != found.tag:
        return None
    learned: dict[str, str] = {}
    for name, wanted in pattern.attrib.items():
        if wanted == "{none}":
            if name in found.attrib:
                return None
            continue
        if name not in found.attrib:
            return None
        if not _fits(wanted, found.attrib[name], known, learned):
            return None
    text = _text(pattern)
    only = "{only}" in text
    text = text.replace("{only}", "").strip()
    if text and not _fits(text, _text(found).strip(), known, learned):
        return None
    if only and len(pattern) != len(found):
        return None
    below = _children(list(pattern), list(found), {**known, **learned})
    return None if below is None else {**learned, **below}


def _children(
    patterns: list[Element], found: list[Element], known: Mapping[str, str]
) -> dict[str, str] | None:
    """Each pattern takes an element of its own, whichever way that works."""
    if not patterns:
        return {}
    for place, candidate in enumerate(found):
        learned = matches(patterns[0], candidate, known)
        if learned is None:
            continue
        others = found[:place] + found[place + 1 :]
        rest = _children(patterns[1:], others, {**known, **learned})
        if rest is not None:
            return {**learned, **rest}
    return None


def _text(element: Element) -> str:
    return "".join([element.text or "", *(child.tail or "" for child in element)])


def _fits(
    wanted: str, found: str, known: Mapping[str, str], learned: dict[str, str]
) -> bool:
    """Whether a text fits; new names go into learned."""
    names: list[str] = []
    expression = ""
    for place, piece in enumerate(_NAME.split(wanted)):
        if place % 2 == 0:
            expression += re.escape(piece)
        elif piece == "any":
            expression += "(?:.+)"
        elif piece in known or piece in learned:
            expression += re.escape({**learned, **known}[piece])
        elif piece in names:
            expression += f"(?P={piece})"
        else:
            names.append(piece)
            expression += f"(?P<{piece}>.+)"
    match = re.fullmatch(expression, found, re.DOTALL)
    if match is None:
        return False
    learned.update(match.groupdict())
    return True
