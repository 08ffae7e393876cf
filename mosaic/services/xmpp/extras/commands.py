"""Ad-hoc commands (XEP-0050): their sessions, stages and errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mosaic.services.xmpp.about import About
from mosaic.services.xmpp.exchange import Undeliverable
from mosaic.services.xmpp.extras.asked import Asked, Known, Registry
from mosaic.services.xmpp.extras.disco import Facts, Identity, Item
from mosaic.services.xmpp.extras.forms import Questions
from mosaic.store.interface import NotFound, Store
from mosaic.wire.xmpp.forms import NS_FORM, FormError
from mosaic.wire.xmpp.jid import Jid
from mosaic.wire.xmpp.xml import Xml, element

NS_COMMANDS = "http://jabber.org/protocol/commands"
SESSION_S = 600.0
MAX_SESSIONS = 100
_ACTIONS = frozenset({"", "execute", "next", "complete", "prev", "cancel"})

Answers = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Done:
    """What a command did. note: for the person. form: what it found."""

    note: str = ""
    form: Xml | None = None
    fault: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command for administrators.

    questions: None if there is nothing to ask. run: gets the account that runs
    it and its answers; raises Undeliverable.
    """

    node: str
    name: str
    run: Callable[[str, Answers], Awaitable[Done]]
    questions: Questions | None = None


@dataclass(frozen=True, slots=True)
class _Open:
    """A command that waits for its form."""

    asker: Jid
    node: str
    ends_at: float


class Commands:
    """Commands, for administrators alone; others do not see them.

    wall: Unix seconds now. new_id: unguessable text.
    """

    def __init__(
        self,
        store: Store,
        known: Known,
        *,
        wall: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._store = store
        self._known = known
        self._wall = wall
        self._new_id = new_id
        self._commands: dict[str, Command] = {}
        self._open: dict[str, _Open] = {}

    def add(self, command: Command) -> None:
        """Offer one more."""
        self._commands[command.node] = command

    def register(self, registry: Registry) -> None:
        """For the domain, or for a component."""
        registry.add("set", NS_COMMANDS, "command", self._asked, About.DOMAIN)
        registry.add_nodes(self)

    # Discovery (XEP-0050 section 2).

    async def info(self, asked: Asked, node: str) -> Facts | None:
        """The list, or one command; only for those who may run it."""
        if node == NS_COMMANDS:
            return Facts((Identity("automation", "command-list", "Commands"),))
        command = self._commands.get(node)
        if command is None or await self._administrator(asked) is None:
            return None
        who = Identity("automation", "command-node", command.name)
        return Facts((who,), (NS_COMMANDS, NS_FORM))

    async def items(self, asked: Asked, node: str) -> list[Item] | None:
        """What may be run; nothing below a command."""
        if node != NS_COMMANDS:
            known = node in self._commands
            return [] if known and await self._administrator(asked) else None
        if await self._administrator(asked) is None:
            return []
        at = asked.stanza.to or ""
        return [Item(at, one.name, one.node) for one in self._commands.values()]

    # Running (section 3).

    async def _asked(self, asked: Asked) -> str:
        account = await self._administrator(asked)
        if account is None:
            raise Undeliverable("forbidden")
        command = self._commands.get(asked.node)
        if command is None:
            raise Undeliverable("item-not-found")
        action = asked.payload.attributes.get("action", "")
        if action not in _ACTIONS:
            raise _refused("malformed-action", "bad-request")
        session_id = asked.payload.attributes.get("sessionid")
        if session_id is None:
            return await self._begin(asked, command, account, action)
        self._check_session(asked, command, session_id)
        return await self._go_on(asked, command, account, action, session_id)

    async def _begin(
        self, asked: Asked, command: Command, account: str, action: str
    ) -> str:
        if action not in ("", "execute"):
            raise _refused("bad-action", "bad-request")
        session_id = self._new_id()
        if command.questions is None:
            done = await command.run(account, {})
            return _completed(command, session_id, done)
        self._remember(session_id, _Open(asked.asker, command.node, self._ends_at()))
        actions = element("actions", {"execute": "complete"}, element("complete"))
        return _command(
            command, session_id, "executing", actions, command.questions.xml()
        )

    async def _go_on(
        self,
        asked: Asked,
        command: Command,
        account: str,
        action: str,
        session_id: str,
    ) -> str:
        if action == "cancel":
            del self._open[session_id]
            return _command(command, session_id, "canceled")
        if action == "prev" or command.questions is None:
            raise _refused("bad-action", "bad-request")
        form = asked.payload.child(NS_FORM, "x")
        if form is None:
            raise _refused("bad-payload", "bad-request", "the form is missing")
        try:
            answers = command.questions.read(form)
        except FormError as error:
            # Section 3.4: the session goes on, so that it can be corrected.
            raise _refused("bad-payload", "bad-request", str(error)) from error
        # Whoever sends it twice at once has it done once.
        opened = self._open.pop(session_id)
        try:
            done = await command.run(account, answers)
        except Undeliverable:
            self._remember(session_id, opened)
            raise
        return _completed(command, session_id, done)

    def _check_session(self, asked: Asked, command: Command, session_id: str) -> None:
        opened = self._open.get(session_id)
        ours = opened is not None and opened.asker == asked.asker
        if opened is None or not ours or opened.node != command.node:
            raise _refused("bad-sessionid", "bad-request")
        if opened.ends_at <= self._wall():
            del self._open[session_id]
            raise _refused("session-expired", "not-allowed")

    def _remember(self, session_id: str, opened: _Open) -> None:
        while len(self._open) >= MAX_SESSIONS:
            del self._open[next(iter(self._open))]
        self._open[session_id] = opened

    def _ends_at(self) -> float:
        return self._wall() + SESSION_S

    async def _administrator(self, asked: Asked) -> str | None:
        """The account that asks, if it may administer now."""
        account = self._known.account(asked.asker)
        if account is None:
            return None
        try:
            found = await self._store.account(account)
        except NotFound:
            return None
        return account if found.admin else None


def _completed(command: Command, session_id: str, done: Done) -> Xml:
    kind = "error" if done.fault else "info"
    note = element("note", {"type": kind}, done.note) if done.note else Xml("")
    return _command(command, session_id, "completed", done.form or Xml(""), note)


def _command(command: Command, session_id: str, status: str, *inner: Xml) -> Xml:
    facts = {"node": command.node, "sessionid": session_id, "status": status}
    return element("command", facts, *inner, ns=NS_COMMANDS)


def _refused(what: str, condition: str, text: str = "") -> Undeliverable:
    """Section 4.4: a condition of XEP-0050 beside that of the stanza."""
    detail = element(what, ns=NS_COMMANDS)
    return Undeliverable(condition, text=text, detail=detail)
