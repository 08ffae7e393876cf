"""Strangers who check the network: what they get, and what they cannot do."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mosaic.auth.turn_credentials import TurnSecrets, owner_of
from mosaic.wire.stun import attributes as stun
from mosaic.wire.stun.address import Address, FiveTuple
from mosaic.wire.stun.credentials import long_term_key
from mosaic.wire.stun.message import Class, Method, encode, parse
from mosaic.wire.turn import attributes as turn
from mosaic.wire.turn.asking import AllocateClient, TurnRefusal
from mosaic.wire.turn.events import Answer, OpenRelay, Permit, Vouch
from mosaic.wire.turn.known import KnownAsk
from mosaic.wire.turn.limits import Limits
from mosaic.wire.turn.peers import PeerPolicy
from mosaic.wire.turn.server import TurnServer
from mosaic.wire.turn.visitors import (
    LIFETIME_S,
    PER_VISITOR,
    TOTAL,
    is_visitor,
    visitor,
)
from tests.support.rest import RestCase

SERVER = Address("203.0.113.1", 3478)
RELAY = "203.0.113.1"


class House:
    """A core whose relays open at once."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.vouched: list[Vouch] = []
        self.secrets = TurnSecrets([b"k" * 32], ttl_s=3600)
        self.core = TurnServer(
            realm="mosaic",
            passwords_for=self.secrets.passwords_for,
            policy=PeerPolicy(),
            nonce_key=b"n" * 32,
            limits=limits,
            owner_of=lambda name: owner_of(name) or name,
        )
        self._count = 0
        self.permits: list[Permit] = []

    def transaction(self) -> bytes:
        """Another one each time."""
        self._count += 1
        return self._count.to_bytes(12, "big")

    def send(self, data: bytes, client: Address, now: float) -> bytes:
        """The answer to one message."""
        five_tuple = FiveTuple("udp", client, SERVER)
        events = list(self.core.datagram_received(data, five_tuple, now))
        for event in list(events):
            if isinstance(event, OpenRelay):
                at = Address(RELAY, 50000 + event.relay)
                events += self.core.relay_opened(event.relay, at, now)
            if isinstance(event, Permit):
                self.permits.append(event)
        self.vouched += [event for event in events if isinstance(event, Vouch)]
        return next(event.data for event in events if isinstance(event, Answer))

    def allocate(
        self, client: Address, owner: str, now: float = 1000.0
    ) -> tuple[Address, tuple[str, str]]:
        """A relay for somebody; raises TurnRefusal."""
        made = self.secrets.mint(owner, now, LIFETIME_S)
        asking = AllocateClient(made.username, made.password, self.transaction)
        request: bytes | None = asking.begin()
        while request is not None:
            request = asking.receive(self.send(request, client, now))
        assert asking.relayed is not None
        return asking.relayed, (made.username, made.password)

    def signed(
        self, method: Method, login: tuple[str, str], client: Address, *rows: Any
    ) -> Any:
        """An authenticated request and its answer."""
        key, nonce = long_term_key(login[0], "mosaic", login[1]), "x"
        for _ in range(2):
            sent = [
                *rows,
                (stun.USERNAME, login[0]),
                (stun.REALM, "mosaic"),
                (stun.NONCE, nonce),
            ]
            data = encode(method, Class.REQUEST, self.transaction(), sent, key=key)
            answer = parse(self.send(data, client, 1001.0))
            nonce = answer.first(stun.NONCE) or nonce
            error = answer.first(stun.ERROR_CODE)
            if error is None or error.code != 438:
                return answer
        return answer


class VisitorTests(SynchronousTestCase):
    """The relay's side."""

    HERE = Address("198.51.100.7", 4000)
    OWNER = visitor("198.51.100.7")

    def test_a_relay_for_a_minute(self) -> None:
        """LIFETIME is a minute, also when an hour is asked for."""
        house = House()
        _, login = house.allocate(self.HERE, self.OWNER)
        answer = house.signed(Method.REFRESH, login, self.HERE, (turn.LIFETIME, 3600))
        self.assertEqual(answer.first(turn.LIFETIME), LIFETIME_S)
        house.core.expire(1001.0 + LIFETIME_S + 1)
        self.assertEqual(len(house.core), 0)

    def test_public_peers_are_refused_and_our_relays_are_not(self) -> None:
        """It is no relay to anywhere: that is why strangers may have it."""
        house = House()
        relayed, login = house.allocate(self.HERE, self.OWNER)
        for host, code in (("8.8.8.8", 403), (relayed.host, None)):
            peer = Address(host, relayed.port)
            answer = house.signed(
                Method.CREATE_PERMISSION,
                login,
                self.HERE,
                (turn.XOR_PEER_ADDRESS, peer),
            )
            error = answer.first(stun.ERROR_CODE)
            self.assertEqual(None if error is None else error.code, code)
            answer = house.signed(
                Method.CHANNEL_BIND,
                login,
                self.HERE,
                (turn.CHANNEL_NUMBER, 0x4000),
                (turn.XOR_PEER_ADDRESS, peer),
            )
            error = answer.first(stun.ERROR_CODE)
            self.assertEqual(None if error is None else error.code, code)
        self.assertTrue(house.permits)
        self.assertTrue(all(permit.own_only for permit in house.permits))

    def test_few_for_one_address_and_few_for_all(self) -> None:
        """Whoever asks for many credentials has no more."""
        house = House()
        for port in range(PER_VISITOR):
            house.allocate(Address("198.51.100.7", 5000 + port), self.OWNER)
        with self.assertRaises(TurnRefusal) as caught:
            house.allocate(Address("198.51.100.7", 6000), self.OWNER)
        self.assertEqual(caught.exception.code, 486)
        for number in range(TOTAL - PER_VISITOR):
            host = f"198.51.{number // 200}.{number % 200}"
            house.allocate(Address(host, 1), visitor(host))
        with self.assertRaises(TurnRefusal):
            house.allocate(Address("192.0.2.1", 1), visitor("192.0.2.1"))
        house.allocate(Address("192.0.2.1", 2), "a-participant")
        house.core.expire(1000.0 + LIFETIME_S + 1)
        house.allocate(Address("192.0.2.1", 3), visitor("192.0.2.1"), 1070.0)

    def test_the_data_plane_admits_no_visitor_by_itself(self) -> None:
        """It is never vouched for, and a batch has no room for it: the limits above
        are the full way's."""
        house = House(Limits(admission=True))
        house.allocate(self.HERE, self.OWNER)
        self.assertEqual(house.vouched, [])
        house.allocate(Address("198.51.100.7", 4001), "a-participant")
        self.assertEqual(len(house.vouched), 1)
        ask = KnownAsk(
            1,
            FiveTuple("udp", Address("198.51.100.7", 4002), SERVER),
            b"",
            bytes(12),
            None,
            False,
            b"",
        )
        name = house.secrets.mint(self.OWNER, 1000.0).username
        self.assertEqual(house.core.admit(name, [ask], 1000.0), [None])

    def test_ipv6_addresses_make_a_name(self) -> None:
        """No colon and no slash: both mean something in a username."""
        owner = visitor("2001:db8::/64")
        self.assertTrue(is_visitor(owner))
        self.assertEqual(owner_of(f"1:{owner}/ab"), owner)


class OperationTests(RestCase):
    """The API's side."""

    def test_anybody_learns_what_to_try(self) -> None:
        """No login; the credentials say whose they are and live for a minute."""
        reply = self.ask("POST", "/api/v1/netcheck")
        self.assertEqual(reply.status, 200)
        made = reply.json()
        self.assertEqual(made["ttl"], LIFETIME_S)
        self.assertTrue(is_visitor(owner_of(made["username"])))
        self.assertIn("udp_ports", made)

    def test_one_address_cannot_ask_for_ever(self) -> None:
        """429 with the time to wait."""
        replies = [self.ask("POST", "/api/v1/netcheck").status for _ in range(8)]
        self.assertEqual(replies[0], 200)
        self.assertEqual(replies[-1], 429)

    def test_noise_is_bounded(self) -> None:
        """In size and in number."""
        path = "/api/v1/netcheck/noise"
        reply = self.ask("GET", f"{path}?size_bytes=1000")
        self.assertEqual((reply.status, len(reply.body)), (200, 1000))
        self.problem(self.ask("GET", f"{path}?size_bytes=99999999"), 422)
        statuses = [self.ask("GET", f"{path}?size_bytes=1").status for _ in range(8)]
        self.assertEqual(statuses[-1], 429)
