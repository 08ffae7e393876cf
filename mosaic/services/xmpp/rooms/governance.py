"""Roles, affiliations, kicks and bans (XEP-0045 sections 8 and 9)."""

from __future__ import annotations

from collections.abc import Iterable

from mosaic.services.xmpp.exchange import Undeliverable
from mosaic.services.xmpp.rooms.front import Front
from mosaic.services.xmpp.rooms.muc import Muc
from mosaic.services.xmpp.rooms.names import NS_MUC_ADMIN, Status
from mosaic.services.xmpp.rooms.occupants import (
    MUC_ROLES,
    ROLES,
    Affiliation,
    Occupant,
    affiliation_of,
)
from mosaic.store.interface import NotFound
from mosaic.wire.xmpp.jid import Jid, JidError, parse_jid
from mosaic.wire.xmpp.xml import Node, Xml, element
from mosaic.workspace.model import Role

_STANDING = {"owner": Role.HOST, "admin": Role.HOST, "member": Role.EDITOR}
"""What a client may ask for. Mosaic has one kind of standing host: who is made
an admin is one, and is shown as an owner."""
_AFFILIATIONS = frozenset({"owner", "admin", "member", "none", "outcast"})


class Governance:
    """`muc#admin` queries."""

    def __init__(self, front: Front) -> None:
        self._front = front

    # Questions -------------------------------------------------------------------
    async def show(self, muc: Muc, asker: Jid, query: Node) -> str:
        """Lists of roles and affiliations. Raises Undeliverable."""
        items: list[Xml] = []
        for wanted in _items(query):
            role, affiliation = wanted.get("role"), wanted.get("affiliation")
            if role in ROLES:
                self._must_moderate(muc, asker)
                items += _role_items(muc, ROLES[role])
            elif affiliation in _AFFILIATIONS:
                await self._may_see_lists(muc, asker)
                items += await self._affiliation_items(muc, affiliation)
            else:
                raise Undeliverable("bad-request")
        return element("query", None, *items, ns=NS_MUC_ADMIN)

    async def _affiliation_items(self, muc: Muc, affiliation: str) -> list[Xml]:
        if affiliation == Affiliation.OUTCAST:
            accounts: Iterable[str] = await self._front.store.banned(muc.hub_id)
        else:
            members = await self._front.store.members(muc.hub_id)
            accounts = sorted(
                name
                for name, role in members.items()
                if affiliation_of(role) == affiliation
            )
        here = {o.account: o for o in muc.people.by_nick.values() if o.account}
        return [
            element(
                "item",
                {
                    "affiliation": affiliation,
                    "jid": f"{account}@{self._front.domain}",
                    "nick": here[account].nick if account in here else None,
                    "role": MUC_ROLES[here[account].role] if account in here else None,
                },
            )
            for account in accounts
        ]

    # Changes -----------------------------------------------------------------------
    async def change(self, muc: Muc, asker: Jid, query: Node) -> None:
        """Each item in turn; the first that cannot be is told. Raises
        Undeliverable."""
        for node in query.children:
            if node.name != "item":
                continue
            reason = node.child(NS_MUC_ADMIN, "reason")
            words = "" if reason is None else reason.text[:500]
            wanted = node.attributes
            if "affiliation" in wanted:
                await self._set_affiliation(muc, asker, wanted, words)
            elif "role" in wanted:
                await self._set_role(muc, asker, wanted, words)
            else:
                raise Undeliverable("bad-request")

    async def _set_role(
        self, muc: Muc, asker: Jid, wanted: dict[str, str], reason: str
    ) -> None:
        """XEP-0045 sections 8.2 to 8.5, 9.6 and 9.7."""
        self._must_moderate(muc, asker)
        target = muc.people.by_nick.get(wanted.get("nick", ""))
        if target is None:
            raise Undeliverable("item-not-found", text="nobody has this nickname")
        role = wanted["role"]
        mine = muc.people.seats[asker].occupant
        is_owner = mine.affiliation is Affiliation.OWNER
        touches_host = role == "moderator" or target.is_moderator
        if touches_host and not is_owner and target is not mine:
            raise Undeliverable("not-allowed", text="only owners do this to hosts")
        if target.affiliation is Affiliation.OWNER and target is not mine:
            raise Undeliverable("not-allowed", text="an owner is a host for good")
        try:
            if role == "none":
                muc.removals[target.id] = (Status.KICKED, reason)
                await self._front.door.kick(muc.hub_id, target.id)
            elif role in ROLES:
                await self._front.door.admit(muc.hub_id, target.id, ROLES[role])
            else:
                raise Undeliverable("bad-request")
        except NotFound:
            muc.removals.pop(target.id, None)
            raise Undeliverable("item-not-found", text="they have gone") from None

    async def _set_affiliation(
        self, muc: Muc, asker: Jid, wanted: dict[str, str], reason: str
    ) -> None:
        """XEP-0045 sections 9.1 to 9.5 and 10.3 to 10.8: of accounts alone."""
        await self.must_own(muc, asker)
        affiliation = wanted["affiliation"]
        if affiliation not in _AFFILIATIONS:
            raise Undeliverable("bad-request")
        account = await self._account_in(muc, wanted)
        standing = _STANDING.get(affiliation)
        if account == muc.room.owner and standing is not Role.HOST:
            raise Undeliverable("conflict", text="the room belongs to them")
        if standing is not Role.HOST and await self._is_admin(account):
            raise Undeliverable("not-allowed", text="they are an administrator")
        banned = affiliation == Affiliation.OUTCAST
        await self._front.store.set_banned(muc.hub_id, account, banned)
        if banned:
            self._put_out(muc, account, reason)
        await self._stand(muc, account, standing)

    async def _stand(self, muc: Muc, account: str, standing: Role | None) -> None:
        members = await self._front.store.members(muc.hub_id)
        before = members.get(account)
        same = affiliation_of(before) is affiliation_of(standing)
        if not same or (before is None) is not (standing is None):
            await self._front.store.set_member(muc.hub_id, account, standing)
        news = {"type": "member", "account": account}
        self._front.bus.publish(f"room.{muc.hub_id}.people", news)

    def _put_out(self, muc: Muc, account: str, reason: str) -> None:
        """Whoever is banned leaves by every door; their tokens have ended."""
        for occupant in list(muc.people.by_nick.values()):
            if occupant.account == account:
                muc.removals[occupant.id] = (Status.BANNED, reason)
                news = {"type": "kicked", "participant_id": occupant.id}
                self._front.bus.publish(f"room.{muc.hub_id}.people", news)

    # Rights --------------------------------------------------------------------------
    def _must_moderate(self, muc: Muc, asker: Jid) -> None:
        seat = muc.people.seats.get(asker)
        if seat is None or not seat.occupant.is_moderator:
            raise Undeliverable("forbidden", text="hosts do this")

    async def must_own(self, muc: Muc, asker: Jid) -> None:
        """A standing host, in the room or not. Raises Undeliverable."""
        if await self._front.role_of(asker, muc.hub_id) is not Role.HOST:
            raise Undeliverable("forbidden", text="standing hosts do this")

    async def _may_see_lists(self, muc: Muc, asker: Jid) -> None:
        if await self._front.role_of(asker, muc.hub_id) is None:
            raise Undeliverable("forbidden", text="members see this")

    async def _is_admin(self, account: str) -> bool:
        principal = await self._front.principal(Jid(account, self._front.domain, ""))
        return principal is not None and principal.admin

    async def _account_in(self, muc: Muc, wanted: dict[str, str]) -> str:
        """By address, or by the nick of somebody here. Raises Undeliverable."""
        if "jid" in wanted:
            try:
                account = self._front.account_of(parse_jid(wanted["jid"]))
            except JidError:
                raise Undeliverable("jid-malformed") from None
        else:
            occupant = muc.people.by_nick.get(wanted.get("nick", ""))
            account = None if occupant is None else occupant.account
        if account is None:
            raise Undeliverable("not-acceptable", text="that is no account here")
        try:
            return (await self._front.store.account(account)).name
        except NotFound:
            raise Undeliverable("item-not-found", text="no such account") from None


def _items(query: Node) -> list[dict[str, str]]:
    found = [node.attributes for node in query.children if node.name == "item"]
    if not found:
        raise Undeliverable("bad-request")
    return found


def _role_items(muc: Muc, role: Role) -> list[Xml]:
    def item(occupant: Occupant) -> Xml:
        return element(
            "item",
            {
                "affiliation": occupant.affiliation.value,
                "role": MUC_ROLES[occupant.role],
                "nick": occupant.nick,
                "jid": occupant.real or None,
            },
        )

    return [item(o) for o in muc.people.by_nick.values() if o.role is role]
