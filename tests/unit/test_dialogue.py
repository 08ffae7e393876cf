"""The little language of tests/dialogues."""

from __future__ import annotations

from hypothesis import given
from hypothesis.strategies import lists, sampled_from, text
from twisted.trial.unittest import SynchronousTestCase

from tests.support.dialogue import (
    Memory,
    ScriptError,
    matches,
    parse_script,
    read_xml,
)
from tests.support.dialogue_stage import read_scripts

SCRIPT = """\
# XEP-0000: it works
also: prosody
admins: boss
[client] ann phone
[client] desk = ann desk

ann connects
# a remark
ann sends:
  <a/>
  <b/>
desk receives no:
  <message id='{x}'/>
put {url}: some text
"""
LINES = sampled_from([*SCRIPT.split("\n"), "ann receives:", "  <a", "eve cuts", "ann"])


def fits(pattern: str, found: str, **known: str) -> dict[str, str] | None:
    """What one element learns from another."""
    return matches(read_xml(pattern)[0], read_xml(found)[0], known)


class ScriptTests(SynchronousTestCase):
    """Reading one."""

    def test_all_parts(self) -> None:
        """Title, servers, clients, steps with their lines."""
        script = parse_script(SCRIPT)
        self.assertEqual(script.title, "XEP-0000: it works")
        self.assertEqual(script.also, {"prosody"})
        self.assertEqual(script.admins, {"boss"})
        self.assertEqual(script.accounts, ["ann"])
        self.assertEqual(script.clients["desk"].resource, "desk")
        self.assertEqual(
            [(step.line, step.who, step.what) for step in script.steps],
            [
                (7, "ann", "connects"),
                (9, "ann", "sends"),
                (12, "desk", "receives no"),
                (14, "", "put"),
            ],
        )
        self.assertEqual(script.steps[3].text, "some text")

    def test_mistakes_name_their_line(self) -> None:
        """Whoever writes one wants to know where."""
        for wrong, line in (
            ("# x\n[client] ann a\nann jumps", 3),
            ("# x\nbob connects", 2),
            ("# x\n[client] ann a\nann sends:", 3),
            ("# x\n[client] ann a\nann connects:\n  <a/>", 3),
            ("# x\n[client] ann a\nann receives:\n  <a", 3),
            ("  <a/>", 1),
            ("# x", 1),
        ):
            with self.assertRaises(ScriptError) as caught:
                parse_script(wrong)
            self.assertEqual(caught.exception.line, line, wrong)

    @given(lists(LINES | text(max_size=20), max_size=20).map("\n".join))
    def test_any_text_is_a_script_or_an_error(self, script: str) -> None:
        """Nothing else comes out, and what comes out has steps."""
        try:
            self.assertTrue(parse_script(script).steps)
        except ScriptError as error:
            self.assertGreaterEqual(error.line, 1)

    def test_those_that_there_are(self) -> None:
        """Each can be read."""
        self.assertGreater(len(read_scripts()), 50)


class MatchTests(SynchronousTestCase):
    """What was received beside what was expected."""

    def test_more_is_welcome(self) -> None:
        """Attributes, children and text that the pattern does not name."""
        self.assertEqual(fits("<a><b/></a>", "<a x='1'>t<c/><b/></a>"), {})
        self.assertIsNone(fits("<a><b/></a>", "<a/>"))
        self.assertIsNone(fits("<a x='1'/>", "<a x='2'/>"))
        self.assertIsNone(fits("<a/>", "<a xmlns='other'/>"))

    def test_only(self) -> None:
        """Or not."""
        self.assertEqual(fits("<a>{only}<b/></a>", "<a><b/></a>"), {})
        self.assertIsNone(fits("<a>{only}<b/></a>", "<a><b/><c/></a>"))
        self.assertIsNone(fits("<a x='{none}'/>", "<a x=''/>"))

    def test_names_hold(self) -> None:
        """A name has one value for the whole play."""
        self.assertEqual(fits("<a x='{n}'/>", "<a x='1'/>"), {"n": "1"})
        self.assertIsNone(fits("<a x='{n}'/>", "<a x='1'/>", n="2"))
        self.assertIsNone(fits("<a x='{n}' y='{n}'/>", "<a x='1' y='2'/>"))
        self.assertEqual(fits("<a>{n}#{m}</a>", "<a>x#y</a>"), {"n": "x", "m": "y"})

    def test_children_find_their_own(self) -> None:
        """The first fit need not be the right one."""
        pattern = "<a><b x='{n}'/><b x='1'/></a>"
        self.assertEqual(fits(pattern, "<a><b x='1'/><b x='2'/></a>"), {"n": "2"})

    @given(text(alphabet="ab<&{}'\"é ", max_size=8))
    def test_every_text_fits_itself(self, value: str) -> None:
        """Whatever it holds, unless it says something here."""
        plain = value.replace("{", "").replace("}", "").strip()
        pattern, found = read_xml("<a/><a/>")
        pattern.text = found.text = plain
        pattern.set("x", plain)
        found.set("x", plain)
        self.assertEqual(matches(pattern, found, {}), {})

    @given(lists(sampled_from(["<b/>", "<c/>", "<b>x</b>"]), max_size=5))
    def test_order_does_not_matter(self, children: list[str]) -> None:
        """As XMPP has it."""
        one = f"<a>{{only}}{''.join(children)}</a>"
        other = f"<a>{''.join(reversed(children))}</a>"
        self.assertEqual(fits(one, other), {})


class AddressTests(SynchronousTestCase):
    """Each play has addresses of its own."""

    def test_there_and_back(self) -> None:
        """Of people and rooms here, and of nobody else."""
        memory = Memory(tag="x7", values={"id": "4"})
        said = "<m to='ann@localhost/x' from='tea@rooms.localhost' a='z@no' i='{id}'/>"
        sent = memory.outward(said)
        self.assertEqual(
            sent,
            "<m to='annx7@localhost/x' from='teax7@rooms.localhost' a='z@no' i='4'/>",
        )
        self.assertEqual(memory.inward(sent), said.replace("{id}", "4"))
