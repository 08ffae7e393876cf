"""An account asks for what was written (XEP-0313, of one's own archive)."""

from __future__ import annotations

from mosaic.services.xmpp.answers import About, Answers, Question
from mosaic.services.xmpp.exchange import Undeliverable
from mosaic.services.xmpp.people.keeping import (
    Keeper,
    first_id_at,
    id_text,
    read_id,
    time_of,
)
from mosaic.services.xmpp.people.persons import Persons
from mosaic.services.xmpp.session import Session
from mosaic.store.errors import NotFound
from mosaic.store.people import Archived, ArchivePage, ArchiveQuestion, Preferences
from mosaic.store.people import People as PeopleStore
from mosaic.wire.xmpp.forms import NS_FORM, Form, FormError, field, form, read_form
from mosaic.wire.xmpp.jid import JidError, parse_jid
from mosaic.wire.xmpp.payloads import forwarded
from mosaic.wire.xmpp.rsm import NS_RSM, RsmError, read_page, write_page
from mosaic.wire.xmpp.stanza import quoted
from mosaic.wire.xmpp.times import read_time, write_time
from mosaic.wire.xmpp.xml import Node, Xml, element

NS_MAM = "urn:xmpp:mam:2"
EXTENDED = "urn:xmpp:mam:2#extended"
PAGE = 50
"""Messages on a page if the client does not say."""
MAX_PAGE = 250
PAGE_BYTES = 1 << 20
"""Past this a page ends early."""
MAX_IDS = 250
MAX_PREFERENCES = 1000
_FIELDS = frozenset({"with", "start", "end", "before-id", "after-id", "ids"})


class Archive:
    """Answers queries, and keeps the preferences."""

    def __init__(self, persons: Persons, store: PeopleStore, keeper: Keeper) -> None:
        self._persons = persons
        self._store = store
        self._keeper = keeper

    def register(self, answers: Answers) -> None:
        """Answer what clients ask of their archive."""
        own = About.OWN
        answers.add("get", NS_MAM, "query", self._form, own)
        answers.add("set", NS_MAM, "query", self._query, own)
        answers.add("get", NS_MAM, "metadata", self._metadata, own, feature=EXTENDED)
        answers.add("get", NS_MAM, "prefs", self._preferences, own, feature=None)
        answers.add("set", NS_MAM, "prefs", self._prefer, own, feature=None)
        for about in (About.OWN, About.DOMAIN):
            answers.announce("urn:xmpp:sid:0", about)

    # Queries.

    async def _form(self, question: Question) -> str:
        """Section 4.1.5: which fields there are."""
        return element(
            "query",
            None,
            form(
                NS_MAM,
                field("with", "jid-single"),
                field("start", "text-single"),
                field("end", "text-single"),
                field("before-id", "text-single"),
                field("after-id", "text-single"),
                field("ids", "list-multi"),
            ),
            ns=NS_MAM,
        )

    async def _query(self, question: Question) -> str:
        """Section 4: the messages, then what page they were."""
        node = question.payload
        if question.node:
            raise Undeliverable("item-not-found")
        asked, backwards = _read_query(node)
        session = question.session
        await self._keeper.written()
        try:
            page = await self._store.archive(session.jid.local, asked)
        except NotFound as error:
            raise Undeliverable("item-not-found") from error
        messages, complete = _within_bytes(page, backwards)
        shown = messages
        if node.child(NS_MAM, "flip-page") is not None:
            shown = messages[::-1]
        query_id = node.attributes.get("queryid")
        for one in shown:
            session.send(_result(session, one, query_id))
        index = page.index
        if index is not None and backwards:
            index += len(page.messages) - len(messages)
        written = write_page(
            first=id_text(messages[0].id) if messages else None,
            last=id_text(messages[-1].id) if messages else None,
            index=index,
            count=page.count,
        )
        whole = {"complete": "true"} if complete else None
        return element("fin", whole, written, ns=NS_MAM)

    async def _metadata(self, question: Question) -> str:
        """Section 5.1: the oldest and the newest message."""
        await self._keeper.written()
        ends = await self._store.archive_ends(question.session.jid.local)
        marks = [
            element(name, {"id": id_text(id), "timestamp": write_time(time_of(id))})
            for name, id in zip(("start", "end"), ends or (), strict=False)
        ]
        return element("metadata", None, *marks, ns=NS_MAM)

    # Preferences.

    async def _preferences(self, question: Question) -> str:
        person = question.session.person
        assert person is not None  # route_stanza has seen to it
        return _written(person.preferences)

    async def _prefer(self, question: Question) -> str:
        """Section 6: what is archived from now on."""
        person = question.session.person
        assert person is not None  # route_stanza has seen to it
        node = question.payload
        default = node.attributes.get("default", "")
        if default not in ("always", "never", "roster"):
            raise Undeliverable("bad-request")
        wanted = Preferences(
            default=default, always=_jids(node, "always"), never=_jids(node, "never")
        )
        await self._persons.set_preferences(person, wanted)
        return _written(wanted)


def _read_query(node: Node) -> tuple[ArchiveQuestion, bool]:
    """The question, and whether its page is counted from the end.

    Raises Undeliverable.
    """
    submitted = node.child(NS_FORM, "x")
    try:
        fields: Form = {}
        if submitted is not None:
            fields = read_form(submitted, of=NS_MAM)
        page = read_page(node.child(NS_RSM, "set"))
    except (FormError, RsmError) as error:
        raise Undeliverable("bad-request", text=str(error)) from error
    if not fields.keys() <= _FIELDS:
        raise Undeliverable("feature-not-implemented")
    peer, resource = None, ""
    if "with" in fields:
        try:
            jid = parse_jid(_one(fields["with"]))
        except JidError as error:
            raise Undeliverable("jid-malformed") from error
        peer, resource = jid.bare, jid.resource
    limit = PAGE if page.limit is None else min(page.limit, MAX_PAGE)
    asked = ArchiveQuestion(
        peer=peer,
        resource=resource,
        first=_moment(fields, "start"),
        last=_moment(fields, "end", to_its_end=True),
        above=_mark(fields, "after-id"),
        below=_mark(fields, "before-id"),
        ids=_ids(fields.get("ids")),
        after=None if page.after is None else _known(page.after),
        before=None if page.before is None else _known(page.before),
        newest=page.newest,
        skip=page.index or 0,
        limit=limit,
    )
    return asked, page.newest or page.before is not None


def _one(values: tuple[str, ...]) -> str:
    if len(values) != 1:
        raise Undeliverable("bad-request")
    return values[0]


def _moment(fields: Form, name: str, *, to_its_end: bool = False) -> int | None:
    if name not in fields:
        return None
    try:
        seconds = read_time(_one(fields[name]))
    except (ValueError, OverflowError) as error:
        raise Undeliverable("bad-request", text=f"{name} is not a time") from error
    # Both ends are included, to the microsecond.
    return first_id_at(seconds + 1e-6) - 1 if to_its_end else first_id_at(seconds)


def _mark(fields: Form, name: str) -> int | None:
    return _known(_one(fields[name])) if name in fields else None


def _ids(values: tuple[str, ...] | None) -> tuple[int, ...] | None:
    if values is None:
        return None
    if len(values) > MAX_IDS:
        raise Undeliverable("bad-request", text=f"at most {MAX_IDS} ids")
    return tuple(_known(text) for text in values)


def _known(text: str) -> int:
    id = read_id(text)
    if id is None:
        raise Undeliverable("item-not-found")
    return id


def _within_bytes(
    page: ArchivePage, backwards: bool
) -> tuple[tuple[Archived, ...], bool]:
    """As many of a page as fit, from the side where it begins; whether it is
    complete still."""
    size = 0
    ordered = page.messages[::-1] if backwards else page.messages
    for index, one in enumerate(ordered):
        size += len(one.raw)
        if index and size > PAGE_BYTES:
            some = ordered[:index]
            return (some[::-1] if backwards else some), False
    return page.messages, page.complete


def _result(session: Session, one: Archived, query_id: str | None) -> bytes:
    """Section 4.2: one message as it was."""
    named = b"" if query_id is None else b" queryid=%b" % quoted(query_id)
    inner = forwarded(
        one.raw, b"<delay xmlns='urn:xmpp:delay' stamp='%b'/>" % _stamp(one.id)
    )
    return (
        b"<message from=%b to=%b><result xmlns='urn:xmpp:mam:2'%b id='%016x'>"
        b"%b</result></message>"
        % (quoted(session.bare), quoted(session.address), named, one.id, inner)
    )


def _stamp(id: int) -> bytes:
    return write_time(time_of(id)).encode()


def _jids(node: Node, name: str) -> tuple[str, ...]:
    child = node.child(NS_MAM, name)
    if child is None:
        return ()
    if len(child.children) > MAX_PREFERENCES:
        raise Undeliverable("resource-constraint")
    try:
        return tuple(str(parse_jid(entry.text.strip())) for entry in child.children)
    except JidError as error:
        raise Undeliverable("jid-malformed") from error


def _written(wanted: Preferences) -> Xml:
    def listed(name: str, jids: tuple[str, ...]) -> Xml:
        return element(name, None, *(element("jid", None, jid) for jid in jids))

    return element(
        "prefs",
        {"default": wanted.default},
        listed("always", wanted.always),
        listed("never", wanted.never),
        ns=NS_MAM,
    )
