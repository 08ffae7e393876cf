"""What administrators may do over XMPP (XEP-0133), by the same rules as over
REST and on the command line. Shutting down is not offered: that is the
operator's, on the machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mosaic import __version__
from mosaic.auth.interface import Door, LastAdministrator
from mosaic.services.xmpp.exchange import Exchange, Undeliverable
from mosaic.services.xmpp.extras.asked import Known
from mosaic.services.xmpp.extras.commands import Answers, Command, Commands, Done
from mosaic.services.xmpp.extras.facts import ServerFacts
from mosaic.services.xmpp.extras.forms import Field, Questions, result_form
from mosaic.store.interface import NameTaken, NotFound, Store, StoreError
from mosaic.wire.xmpp.jid import parse_jid
from mosaic.wire.xmpp.xml import element

NS_ADMIN = "http://jabber.org/protocol/admin"
_JID = Field("accountjid", "jid-single", "The account's address", required=True)
_JIDS = Field("accountjids", "jid-multi", "The accounts' addresses", required=True)
_PASSWORD = Field("password", "text-private", "Password", required=True)
_AGAIN = Field("password-verify", "text-private", "The same again", required=True)


class Administration:
    """The commands and what they do. new_id: unguessable text."""

    def __init__(
        self,
        door: Door,
        store: Store,
        exchange: Exchange,
        known: Known,
        facts: ServerFacts,
        *,
        new_id: Callable[[], str],
    ) -> None:
        self._door = door
        self._store = store
        self._exchange = exchange
        self._known = known
        self._facts = facts
        self._new_id = new_id

    def offer(self, commands: Commands) -> None:
        """Add all of them."""
        for node, name, run, fields in (
            ("add-user", "Add a user", self._add, (_JID, _PASSWORD, _AGAIN)),
            ("delete-user", "Delete users", self._delete, (_JIDS,)),
            (
                "change-user-password",
                "Change a user's password",
                self._change_password,
                (_JID, _PASSWORD),
            ),
            ("end-user-session", "End users' sessions", self._end, (_JIDS,)),
            ("get-registered-users-list", "List the users", self._users, ()),
            ("get-registered-users-num", "Count the users", self._users_number, ()),
            ("get-online-users-list", "List who is online", self._online, ()),
            ("get-online-users-num", "Count who is online", self._online_number, ()),
            (
                "announce",
                "Write to everybody who is online",
                self._announce,
                (
                    Field("subject", "text-single", "Subject"),
                    Field("announcement", "text-multi", "Text", required=True),
                ),
            ),
        ):
            asks = Questions(NS_ADMIN, name, fields) if fields else None
            commands.add(
                Command(node=f"{NS_ADMIN}#{node}", name=name, run=run, questions=asks)
            )
        for node, name, run, fields in (
            ("statistics", "What the server does", self._statistics, ()),
            (
                "create-room",
                "Create a room",
                self._create_room,
                (
                    Field("name", "text-single", "Name", required=True),
                    Field("alias", "text-single", "Alias in its address"),
                ),
            ),
        ):
            asks = Questions("urn:mosaic:admin", name, fields) if fields else None
            commands.add(
                Command(node=f"mosaic#{node}", name=name, run=run, questions=asks)
            )

    async def _add(self, by: str, answers: Answers) -> Done:
        """XEP-0133 section 4.1."""
        password = answers["password"][0]
        if answers["password-verify"][0] != password:
            raise Undeliverable("not-acceptable", text="the two passwords differ")
        name = self._account(answers["accountjid"][0])
        with _told():
            await self._door.add_account(name, password, admin=False)
        return Done(f"{name} was added")

    async def _delete(self, by: str, answers: Answers) -> Done:
        """Section 4.2: all exist, or none is touched."""
        names = [self._account(text) for text in answers["accountjids"]]
        with _told():
            for name in names:
                await self._store.account(name)
        removed: list[str] = []
        for name in dict.fromkeys(names):
            try:
                await self._door.remove_account(name)
            except (LastAdministrator, NotFound) as error:
                told = f"; removed before: {', '.join(removed)}" if removed else ""
                return Done(f"{name}: {error}{told}", fault=True)
            removed.append(name)
        return Done(f"removed: {', '.join(removed)}")

    async def _change_password(self, by: str, answers: Answers) -> Done:
        """Section 4.6; every session of the account ends."""
        name = self._account(answers["accountjid"][0])
        with _told():
            await self._door.set_password(name, answers["password"][0])
        return Done(f"{name} has a new password")

    async def _end(self, by: str, answers: Answers) -> Done:
        """Section 4.5: of an account, or the one of a full address."""
        ended = 0
        for text in answers["accountjids"]:
            jid = parse_jid(text)
            name = self._account(text, full=True)
            for session in self._exchange.of_account(name):
                if jid.resource in ("", session.jid.resource):
                    session.close("policy-violation")
                    ended += 1
        return Done(f"sessions ended: {ended}")

    async def _users(self, by: str, answers: Answers) -> Done:
        """Section 4.20."""
        names = [account.name for account in await self._store.accounts()]
        jids = [f"{name}@{self._exchange.domain}" for name in names]
        return Done(form=result_form(NS_ADMIN, {"registereduserjids": jids}))

    async def _users_number(self, by: str, answers: Answers) -> Done:
        """Section 4.14."""
        number = str(len(await self._store.accounts()))
        return Done(form=result_form(NS_ADMIN, {"registeredusersnum": [number]}))

    async def _online(self, by: str, answers: Answers) -> Done:
        """Section 4.21."""
        jids = sorted(session.address for session in self._exchange.sessions())
        return Done(form=result_form(NS_ADMIN, {"onlineuserjids": jids}))

    async def _online_number(self, by: str, answers: Answers) -> Done:
        """Section 4.16."""
        accounts = {session.jid.local for session in self._exchange.sessions()}
        number = [str(len(accounts))]
        return Done(form=result_form(NS_ADMIN, {"onlineusersnum": number}))

    async def _announce(self, by: str, answers: Answers) -> Done:
        """Section 4.23; the text is neither kept nor logged."""
        sessions = self._exchange.everyone_available()
        subject = element("subject", None, *answers["subject"])
        body = element("body", None, "\n".join(answers["announcement"]))
        for session in sessions:
            facts = {
                "type": "headline",
                "id": self._new_id(),
                "from": self._exchange.domain,
                "to": session.address,
            }
            inner = (subject, body) if answers["subject"] else (body,)
            session.send(element("message", facts, *inner).encode())
        return Done(f"written to {len(sessions)} clients")

    async def _statistics(self, by: str, answers: Answers) -> Done:
        """Numbers, no names."""
        sessions = list(self._exchange.sessions())
        rooms = await self._store.rooms()
        found = {
            "version": __version__,
            "uptime_s": str(self._facts.uptime_s),
            "accounts": str(len(await self._store.accounts())),
            "online": str(len({session.jid.local for session in sessions})),
            "sessions": str(len(sessions)),
            "rooms": str(len(rooms)),
            "rooms_closed": str(sum(room.closed_at is not None for room in rooms)),
        }
        told = {name: [value] for name, value in found.items()}
        return Done(form=result_form("urn:mosaic:admin", told))

    async def _create_room(self, by: str, answers: Answers) -> Done:
        """The administrator who runs it owns it."""
        alias = answers["alias"][0] if answers["alias"] else None
        with _told():
            room = await self._door.create_room(
                answers["name"][0], owner=by, alias=alias
            )
        found = {"hub_id": [room.hub_id], "pin": [room.pin], "name": [room.name]}
        return Done(
            f"{room.name} is {room.hub_id}", result_form("urn:mosaic:admin", found)
        )

    def _account(self, text: str, *, full: bool = False) -> str:
        """The name in an address of ours. Raises Undeliverable."""
        jid = parse_jid(text)
        name = self._known.account(jid)
        if name is None or (jid.resource and not full):
            why = f"{text} is no account's address here"
            raise Undeliverable("not-acceptable", text=why)
        return name


@contextmanager
def _told() -> Iterator[None]:
    """The house's refusals in the words of XMPP, with their sentence."""
    try:
        yield
    except NameTaken as error:
        raise Undeliverable("conflict", text=str(error)) from error
    except NotFound as error:
        raise Undeliverable("item-not-found", text=str(error)) from error
    except LastAdministrator as error:
        raise Undeliverable("not-allowed", text=str(error)) from error
    except ValueError as error:
        raise Undeliverable("not-acceptable", text=str(error)) from error
    except StoreError as error:
        text = "nothing was saved: the database is away or full"
        raise Undeliverable("resource-constraint", text=text) from error
