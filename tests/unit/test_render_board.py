"""The board drawn: every kind of element, and whatever else somebody writes."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pypdfium2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pypdf import PdfReader
from twisted.trial.unittest import SynchronousTestCase

from mosaic.app.build import STATIC
from mosaic.render.board import draw_board
from mosaic.render.drawing import Drawing
from mosaic.render.elements import read_elements
from mosaic.render.fonts import FontShelf, family_of
from mosaic.render.pdf import MAX_PNG_PX, write_pdf, write_png
from mosaic.render.pictures import Pictures
from mosaic.render.svg import write_svg
from mosaic.render.values import Colour, colour, number
from tests.support.rooms import element, png, written

FONTS = FontShelf(STATIC / "excalidraw" / "fonts", system=())
SVG = "{http://www.w3.org/2000/svg}"
SHA256 = "ab" * 32
POINTS = [[0, 0], [50, 30], [100, 0]]

ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(width=64)
    | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
KINDS = (
    "rectangle", "ellipse", "diamond", "line", "arrow", "freedraw", "text", "image",
    "frame", "magicframe", "embeddable", "iframe", "selection",
)  # fmt: skip
KEYS = (
    "angle", "strokeColor", "backgroundColor", "fillStyle", "strokeWidth",
    "strokeStyle", "opacity", "roundness", "frameId", "points", "pressures",
    "simulatePressure", "text", "fontSize", "fontFamily", "lineHeight", "textAlign",
    "containerId", "startArrowhead", "endArrowhead", "elbowed", "fileId", "scale",
    "crop", "link", "name", "index", "isDeleted",
)  # fmt: skip
HOSTILE = st.fixed_dictionaries(
    {
        "type": st.sampled_from(KINDS),
        "x": st.floats(-1e7, 1e7),
        "y": st.floats(-1e7, 1e7),
        "width": st.floats(-10, 1e7),
        "height": st.floats(-10, 1e7),
    },
    optional={
        key: ANY_JSON | st.just(POINTS) | st.sampled_from(["arrow", "dashed", SHA256])
        for key in KEYS
    },
)


def board(*elements: dict[str, Any]) -> Drawing:
    """A drawing of these elements."""
    return draw_board({one["id"]: one for one in elements}, title="A <room>")


def svg_of(drawing: Drawing, files: dict[str, Path] | None = None) -> str:
    """The drawing as SVG."""
    out = io.StringIO()
    pictures = Pictures(files or {}, budget_bytes=10**6)
    write_svg(drawing, out, fonts=FONTS, pictures=pictures)
    return out.getvalue()


class Files(SynchronousTestCase):
    """A folder for what is drawn."""

    def setUp(self) -> None:
        """Make it."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def pdf_of(self, drawing: Drawing, files: dict[str, Path] | None = None) -> Path:
        """The drawing as PDF."""
        path = self.folder / "drawing.pdf"
        pictures = Pictures(files or {}, budget_bytes=10**6)
        write_pdf(drawing, str(path), fonts=FONTS, pictures=pictures)
        return path

    def png_of(
        self, drawing: Drawing, files: dict[str, Path] | None = None
    ) -> Image.Image:
        """The drawing as pixels, as an independent reader of the PNG has them."""
        path = self.folder / "drawing.png"
        write_png(
            str(self.pdf_of(drawing, files)),
            str(path),
            width_px=drawing.width,
            height_px=drawing.height,
        )
        with Image.open(path) as image:
            return image.convert("RGB")

    def picture(self) -> dict[str, Path]:
        """One picture of the room: red."""
        path = self.folder / "picture"
        path.write_bytes(png(20, 10, "#ff0000"))
        return {SHA256: path}


class DrawingTests(Files):
    """What comes out."""

    def test_a_png_has_twice_the_size_and_the_right_colours(self) -> None:
        """Pixels of a filled rectangle, of the paper, of a picture."""
        drawing = board(
            element(
                "rectangle", "r", x=0, y=0, width=100, height=60,
                backgroundColor="#00ff00", index="a1",
            ),
            element("image", "i", x=200, y=0, width=100, height=60, fileId=SHA256),
        )  # fmt: skip
        image = self.png_of(drawing, self.picture())
        self.assertEqual(
            image.size, (round(drawing.width * 2), round(drawing.height * 2))
        )

        def at(x: float, y: float) -> Any:
            return image.getpixel((int((x - drawing.x) * 2), int((y - drawing.y) * 2)))

        self.assertEqual(at(50, 30), (0, 255, 0))
        self.assertEqual(at(150, 30), (255, 255, 255))
        self.assertEqual(at(250, 30), (255, 0, 0))
        red, green, blue = at(50, 0)
        self.assertLess(max(red, green, blue), 60)  # its outline

    def test_higher_indexes_are_above(self) -> None:
        """The fractional index orders, not the map."""
        low = element("rectangle", "z", backgroundColor="#ff0000", index="a1")
        high = element("rectangle", "a", backgroundColor="#0000ff", index="a2")
        drawing = board(high, low)
        image = self.png_of(drawing)
        middle = image.getpixel((image.width // 2, image.height // 2))
        self.assertEqual(middle, (0, 0, 255))

    def test_what_is_deleted_or_no_element_is_left_out(self) -> None:
        """As on the page."""
        good = element("rectangle", "r")
        values: dict[str, Any] = {
            "r": good,
            "d": element("rectangle", "d", isDeleted=True),
            "other": element("rectangle", "id"),
            "n": element("rectangle", "n", x=float("nan")),
            "b": element("rectangle", "b", x=True),
            "l": [1],
            "t": "text",
        }
        self.assertEqual([one.id for one in read_elements(values)], ["r"])

    def test_a_pdf_can_be_searched(self) -> None:
        """Text is text, whatever fonts it takes."""
        drawing = board(written("Grüße an alle\nsecond line", "t"))
        words = PdfReader(self.pdf_of(drawing)).pages[0].extract_text()
        self.assertIn("Grüße an alle", words)
        self.assertIn("second line", words)

    def test_every_kind_draws_something(self) -> None:
        """In SVG, PDF and PNG."""
        for kind in KINDS[:-1]:
            drawing = board(
                written("x", "e") if kind == "text" else
                element(kind, "e", points=POINTS, fileId=SHA256, link="https://a.example")
            )  # fmt: skip
            image = self.png_of(drawing, self.picture())
            self.assertGreater(len(image.getcolors(10**6) or ()), 1, kind)
            root = ElementTree.fromstring(svg_of(drawing, self.picture()))
            self.assertIsNotNone(root.find(f"{SVG}g"), kind)

    def test_every_arrowhead_draws_something(self) -> None:
        """At both ends."""
        bare = svg_of(board(element("arrow", "a", points=POINTS)))
        for kind in (
            "arrow", "bar", "dot", "circle", "circle_outline", "triangle",
            "triangle_outline", "diamond", "diamond_outline", "crowfoot_one",
            "crowfoot_many", "crowfoot_one_or_many",
        ):  # fmt: skip
            for roundness in (None, {"type": 2}):
                arrow = element(
                    "arrow", "a", points=POINTS, endArrowhead=kind,
                    startArrowhead=kind, roundness=roundness,
                )  # fmt: skip
                drawn = svg_of(board(arrow))
                self.assertGreater(drawn.count("<path"), bare.count("<path"), kind)
        unknown = element("arrow", "a", points=POINTS, endArrowhead="trident")
        self.assertEqual(svg_of(board(unknown)), bare)

    def test_styles(self) -> None:
        """Dashes, hatches and opacity are in the file."""
        drawn = svg_of(
            board(
                element("rectangle", "a", strokeStyle="dashed", opacity=50),
                element("ellipse", "b", backgroundColor="red", fillStyle="hachure"),
                element("diamond", "c", backgroundColor="red", fillStyle="cross-hatch"),
            )
        )
        for part in ("stroke-dasharray", 'opacity="0.5"', "clip-path"):
            self.assertIn(part, drawn)

    def test_members_of_a_frame_are_clipped_to_it(self) -> None:
        """And do not make the drawing larger."""
        frame = element("frame", "f", x=0, y=0, width=100, height=100)
        far = element("rectangle", "r", x=50, y=50, width=5000, frameId="f")
        drawing = board(frame, far)
        self.assertLess(drawing.width, 200)

    def test_an_empty_board(self) -> None:
        """White paper."""
        image = self.png_of(board())
        self.assertEqual(image.getcolors(), [(image.width * image.height, (255,) * 3)])

    def test_a_vast_board_has_a_bounded_picture(self) -> None:
        """However far apart two elements are."""
        drawing = board(
            element("rectangle", "a", x=-400_000), element("rectangle", "b", y=900_000)
        )
        image = self.png_of(drawing)
        self.assertLessEqual(image.width * image.height, MAX_PNG_PX * 1.01)

    def test_pictures_are_inside_once(self) -> None:
        """As data: URIs; what is no picture is a quiet box."""
        shown = [
            element("image", id_, fileId=SHA256, x=at * 200)
            for at, id_ in enumerate("abc")
        ]
        drawn = svg_of(board(*shown), self.picture())
        self.assertEqual(drawn.count("data:image/png"), 1)
        self.assertEqual(drawn.count("<use"), 3)
        path = self.folder / "evil"
        path.write_bytes(b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>')
        drawn = svg_of(board(*shown), {SHA256: path})
        self.assertNotIn("onload", drawn)
        self.assertNotIn("data:image", drawn)

    def test_a_broken_picture_is_a_quiet_box(self) -> None:
        """Also one whose head is good."""
        path = self.folder / "broken"
        path.write_bytes(png(400, 400)[:200])
        drawing = board(element("image", "i", fileId=SHA256))
        self.pdf_of(drawing, {SHA256: path})


class HostileTests(Files):
    """Anybody may write anything into the map."""

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(HOSTILE, max_size=4))
    def test_any_element_is_drawn_or_left_out(self, given_: list[Any]) -> None:
        """Well-formed SVG and a PDF that another reader opens, every time."""
        elements = [
            {**element("rectangle", f"e{at}"), **one} for at, one in enumerate(given_)
        ]
        drawing = board(*elements)
        self.assert_tame(svg_of(drawing))
        document = pypdfium2.PdfDocument(self.pdf_of(drawing).read_bytes())
        self.assertEqual(len(document), 1)
        document.close()

    @settings(max_examples=60, deadline=None)
    @given(st.text(max_size=200), st.text(max_size=60))
    def test_text_stays_text(self, words: str, name: str) -> None:
        """No character of it becomes markup."""
        drawing = board(
            written(words, "t"),
            element("frame", "f", name=name),
            element("embeddable", "e", link=name, width=400),
        )
        root = self.assert_tame(svg_of(drawing))
        tags = {node.tag for node in root.iter()}
        known = {"svg", "title", "defs", "style", "rect", "g", "path", "text"}
        self.assertLessEqual(tags, {SVG + one for one in known})

    def test_markup_in_every_text(self) -> None:
        """Scripts, references and breaks out of attributes."""
        evil = '"/><script>alert(1)</script><image href="http://evil.example/x"/>'
        drawing = board(
            written(evil, "t", fontFamily=evil, textAlign=evil),
            element("rectangle", "r", strokeColor=evil, backgroundColor=evil),
            element("frame", "f", name=evil),
            element("embeddable", "e", link=evil, width=900),
            element("image", "i", fileId=evil),
        )
        root = self.assert_tame(svg_of(drawing))
        self.assertEqual(root.findall(f".//{SVG}script"), [])
        self.assertIn("<script>", "".join(root.itertext()))

    def assert_tame(self, drawn: str) -> ElementTree.Element:
        """Well-formed; nothing that runs, nothing from elsewhere."""
        root = ElementTree.fromstring(drawn)
        for node in root.iter():
            for name, value in node.attrib.items():
                self.assertFalse(name.lower().startswith("on"), name)
                if name.endswith("href"):
                    self.assertTrue(value.startswith(("#p", "data:image/")), value[:80])
        self.assertNotIn("url(http", drawn)
        return root


class ValueTests(SynchronousTestCase):
    """Reading what anybody wrote."""

    def test_colours(self) -> None:
        """CSS's forms; nothing else."""
        for given_, found in (
            ("#fff", Colour(255, 255, 255)),
            ("#1e1e1e", Colour(30, 30, 30)),
            ("#ff000080", Colour(255, 0, 0, 128 / 255)),
            ("Red", Colour(255, 0, 0)),
            ("rgba(1, 2, 300, .5)", Colour(1, 2, 255, 0.5)),
            ("transparent", None),
            ("#ff000000", None),
        ):
            self.assertEqual(colour(given_, Colour(9, 9, 9)), found, given_)
        for bad in ("url(#x)", "#12", "expression(1)", 7, None, "red;x", "hsl(1,2,3)"):
            self.assertEqual(colour(bad, Colour(9, 9, 9)), Colour(9, 9, 9), bad)

    @given(ANY_JSON)
    def test_numbers_are_finite_and_bounded(self, value: Any) -> None:
        """Whatever is given."""
        found = number(value, 5.0, low=-10, high=10)
        self.assertTrue(-10 <= found <= 10)

    def test_families(self) -> None:
        """Shared documents know one kind of number."""
        self.assertEqual(family_of(6.0), "Nunito")
        for bad in (None, 4, 99, "6", True, [6]):
            self.assertEqual(family_of(bad), "Excalifont")

    def test_without_the_web_clients_fonts(self) -> None:
        """A build without the web client writes in another font."""
        bare = FontShelf(Path("/nonexistent"), system=())
        runs = bare.runs("Grüße", "Excalifont")
        self.assertEqual([run.face.name for run in runs], ["Vera"])
