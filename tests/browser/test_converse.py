"""converse.js, a stock XMPP client, in one room with Mosaic's own page."""

from __future__ import annotations

from playwright.sync_api import Page, Route, expect

from tests.browser.test_meeting import open_panel, say
from tests.support.browser import BrowserTestCase, keep_screenshot
from tests.support.converse import ConversePage
from tests.support.cutter import Cutter
from tests.support.node import PEERS, node_with
from tests.support.running import RunningMosaic, run_command

DIST = PEERS / "node_modules" / "converse.js" / "dist"
PASSWORD = "correct horse"
CONNECTED = "window.peek?.api.connection.connected() && peek.session.get('jid')"
STREAM_ID = "window.peek.session.get('smacks_stream_id')"
CUT_MS = 5000
ENTER = "([jid]) => { peek.api.rooms.open(jid, {nick: 'Ann'}, true); }"


def only_here(route: Route) -> None:
    """converse.js shows logos of its sponsors; nothing leaves this machine."""
    if route.request.url.startswith(("http://localhost:", "http://127.0.0.1:")):
        route.continue_()
    else:
        route.abort()


class ConverseTests(BrowserTestCase):
    """Over the websocket, through a network that the test can take away."""

    def make_server(self) -> RunningMosaic:
        """A Mosaic that lets the page of converse.js in, and that page."""
        node_with("converse.js")
        server = RunningMosaic()
        self.cutter = Cutter(server.http_port)
        self.addCleanup(self.cutter.close)
        self.converse = ConversePage(
            DIST,
            jid="ann@localhost",
            password=PASSWORD,
            websocket_url=f"ws://localhost:{self.cutter.port}/xmpp-websocket",
        )
        self.addCleanup(self.converse.close)
        config = server.state / "mosaic.toml"
        config.write_text(f'[http]\nallowed_origins = ["{self.converse.url}"]\n')
        server.flags = ("--config", str(config))
        words = ("--state", str(server.state), "user", "add", "ann", "--password-stdin")
        done = run_command(*words, text=PASSWORD)
        assert done.returncode == 0, done.stderr
        return server

    def log_in(self) -> Page:
        """A page with converse.js that is connected."""
        page = self.context().new_page()
        page.route("**/*", only_here)
        page.goto(self.converse.url)
        page.wait_for_function(CONNECTED)
        return page

    def test_chat_cut_and_resume(self) -> None:
        """Log in, enter with the PIN, chat with a page of Mosaic's; the network is
        away for 5 s; the session is resumed, and what was said meanwhile is there
        once."""
        room = self.room()
        ben = self.page()
        self.join(ben, room, "Ben")
        ann = self.log_in()
        ann.evaluate(ENTER, [f"{room['hub_id']}@rooms.localhost"])
        ann.locator("converse-muc input[type=password]").fill(room["pin"])
        ann.locator("converse-muc input[type=password]").press("Enter")
        box = ann.locator("converse-muc textarea.chat-textarea")
        box.fill("Hello from XMPP")
        box.press("Enter")
        open_panel(ben, "Chat")
        expect(ben.get_by_text("Hello from XMPP")).to_be_visible()
        say(ben, "Hello from the browser")
        heard = ann.locator(".chat-msg__text")
        expect(heard.filter(has_text="Hello from the browser")).to_be_visible()
        keep_screenshot(ann, "converse-room")

        session = ann.evaluate(STREAM_ID)
        self.assertTrue(session)
        self.cutter.cut()
        say(ben, "Is anybody there?")
        ann.wait_for_timeout(CUT_MS)
        self.cutter.mend()
        missed = heard.filter(has_text="Is anybody there?")
        expect(missed).to_be_visible()
        self.assertEqual(ann.evaluate(STREAM_ID), session, "begun anew, not resumed")
        box.fill("Back again")
        box.press("Enter")
        expect(ben.get_by_text("Back again")).to_be_visible()
        expect(missed).to_have_count(1)
        keep_screenshot(ann, "converse-resumed")
