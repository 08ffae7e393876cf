"""Agents of hubs over XMPP: how they come in, what they may, when they go."""

from __future__ import annotations

from mosaic.auth.hubenrol import Enrolment
from mosaic.auth.hubfleet import Live
from mosaic.wire.xmpp.xml import Node
from tests.support.hubbox import HubBox
from tests.support.xmpp import MemoryClient, condition
from tests.support.xmpp_house import XmppCase

PING = "<ping xmlns='urn:xmpp:ping'/>"
INFO = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
ROSTER = "<query xmlns='jabber:iq:roster'/>"


class AgentTests(XmppCase):
    """One hub beside the people of the house."""

    def setUp(self) -> None:
        """Enrol it."""
        super().setUp()
        self.desk = self.door.hubs
        self.run_steps(self.desk.start())
        self.box = HubBox()
        _, code = self.run_steps(self.desk.enrolment.make_code())
        asked = Enrolment(**self.box.enrolment(code, name="Lisbon"))
        hub = self.run_steps(self.desk.enrolment.enrol(asked, address="192.0.2.9"))
        self.hub_id = hub.hub_id
        self.account = f"hub-{hub.hub_id}"
        self.ann.receive()

    def password(self) -> str:
        """A fresh one."""
        proof = self.box.proof(self.hub_id, int(self.wall))
        return self.desk.login.log_in(self.hub_id, **proof).password

    def agent(self) -> MemoryClient:
        """The agent, bound."""
        client = self.house.connect()
        client.start()
        answer = client.auth(self.account, self.password())
        self.assertEqual(answer.name, "success")
        client.start()
        client.bind("agent")
        return client

    def iq(self, client: MemoryClient, inner: str, kind: str, to: str = "") -> Node:
        """The answer."""
        addressed = f" to='{to}'" if to else ""
        [answer] = client.send(f"<iq id='q' type='{kind}'{addressed}>{inner}</iq>")
        return answer

    def test_the_short_lived_password_lets_it_in(self) -> None:
        """Not an older one, not one that is over, and no other account by it."""
        old = self.password()
        new = self.password()
        for account, password in ((self.account, old), ("ann", new)):
            client = self.house.connect()
            client.start()
            self.assertEqual(client.auth(account, password).name, "failure")
        self.wall += 901
        client = self.house.connect()
        client.start()
        self.assertEqual(client.auth(self.account, new).name, "failure")
        self.agent()

    def test_wrong_passwords_make_no_hub_wait(self) -> None:
        """Neither its own nor those of people behind the same address."""
        for account in (self.account, "bob"):
            for _ in range(6):
                client = self.house.connect()
                client.start()
                client.auth(account, "wrong")
        self.agent()

    def test_what_an_agent_may(self) -> None:
        """Presence, pings, questions to the domain."""
        agent = self.agent()
        self.assertEqual(agent.send("<presence/>"), [])
        for to in ("", "localhost"):
            self.assertEqual(
                self.iq(agent, PING, "get", to).attributes["type"], "result"
            )
        answer = self.iq(agent, INFO, "get", "localhost")
        self.assertEqual(answer.attributes["type"], "result")

    def test_everything_else_is_refused(self) -> None:
        """People, rooms, rosters, and questions about others."""
        agent = self.agent()
        for stanza in (
            "<message to='ann@localhost' type='chat'><body>hello</body></message>",
            "<message><body>to myself</body></message>",
            "<presence to='ann@localhost' type='subscribe'/>",
            "<presence to='room@rooms.localhost/me'/>",
            f"<iq id='q' type='get'>{ROSTER}</iq>",
            f"<iq id='q' type='get' to='ann@localhost'>{INFO}</iq>",
            f"<iq id='q' type='get' to='ann@localhost/a'>{PING}</iq>",
            "<iq id='q' type='set'><enable xmlns='urn:xmpp:carbons:2'/></iq>",
            "<iq id='q' type='set'><query xmlns='jabber:iq:register'/></iq>",
        ):
            answers = agent.send(stanza)
            if stanza.startswith("<presence to='ann"):
                self.assertEqual(answers, [])  # RFC 6120 8.3: no such errors
                continue
            [answer] = answers
            self.assertEqual(condition(answer), "forbidden", stanza)
        self.assertEqual(self.ann.receive(), [])

    def test_nobody_sees_it_and_it_sees_nobody(self) -> None:
        """It is no contact, and has none."""
        agent = self.agent()
        agent.send("<presence/>")
        self.assertEqual(self.ann.receive(), [])
        self.ann.send("<presence><show>away</show></presence>")
        self.assertEqual(agent.receive(), [])
        roster = self.result(self.ann, ROSTER)
        listed = [child.attributes["jid"] for child in roster.children]
        self.assertNotIn(f"{self.account}@localhost", listed)

    def test_people_do_not_reach_it(self) -> None:
        """Neither its bare nor its full address."""
        agent = self.agent()
        for to in (f"{self.account}@localhost", f"{self.account}@localhost/agent"):
            sent = f"<message to='{to}' type='chat'><body>hello</body></message>"
            [answer] = self.ann.send(sent)
            self.assertEqual(answer.attributes["type"], "error")
            answer = self.ask(self.ann, PING, to)
            self.assertEqual(answer.attributes["type"], "error")
        self.assertEqual(agent.receive(), [])

    def test_it_is_poked_when_there_is_news(self) -> None:
        """It reads its feed at once then."""
        agent = self.agent()
        self.run_steps(self.desk.rooms.go(self.live(), self.hub_id, pin=None))
        [poke] = agent.receive()
        self.assertEqual(poke.attributes["type"], "headline")
        self.assertEqual(poke.attributes["from"], "localhost")
        [look] = poke.children
        self.assertEqual((look.ns, look.name), ("urn:mosaic:hub:1", "look"))

    def live(self) -> Live:
        """The hub as it is now."""
        live = self.desk.fleet.get(self.hub_id)
        assert live is not None
        return live

    def test_its_word_keeps_it_online(self) -> None:
        """And silence does not."""
        agent = self.agent()
        for _ in range(20):
            self.house.clock.advance(5)
            self.iq(agent, PING, "get")
        self.assertTrue(self.live().online)
        for _ in range(13):
            self.house.clock.advance(5)
        self.assertFalse(self.live().online)

    def test_removal_ends_its_stream(self) -> None:
        """At once."""
        agent = self.agent()
        self.run_steps(self.desk.rooms.remove(self.hub_id))
        self.house.clock.advance(0)
        self.assertFalse(agent.open)

    def test_it_stays_when_accounts_change(self) -> None:
        """It is in no list of accounts."""
        agent = self.agent()
        self.run_steps(self.door.add_account("new", "secret one", admin=False))
        self.bus.publish("store", {"type": "changed"})
        self.house.clock.advance(0)
        self.assertTrue(agent.open)
        answer = self.iq(agent, PING, "get")
        self.assertEqual(answer.attributes["type"], "result")
