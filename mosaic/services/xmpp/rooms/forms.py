"""Data forms (XEP-0004), as far as rooms need them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mosaic.services.xmpp.exchange import Undeliverable
from mosaic.services.xmpp.rooms.names import NS_DATA
from mosaic.wire.xmpp.xml import Node, Xml, element


def field(
    var: str,
    value: str | bool | Iterable[str] = "",
    *,
    kind: str = "text-single",
    label: str | None = None,
    options: Mapping[str, str] | None = None,
) -> Xml:
    """One field. options: value -> label."""
    if isinstance(value, bool):
        values = ["1" if value else "0"]
        kind = "boolean"
    else:
        values = [value] if isinstance(value, str) else list(value)
    choices = (
        element("option", {"label": words}, element("value", None, choice))
        for choice, words in (options or {}).items()
    )
    return element(
        "field",
        {"var": var, "type": kind, "label": label},
        *(element("value", None, one) for one in values),
        *choices,
    )


def form(form_type: str, *fields: Xml, kind: str = "form", title: str = "") -> Xml:
    """A form with its FORM_TYPE (XEP-0068)."""
    head = [element("title", None, title)] if title else []
    hidden = field("FORM_TYPE", form_type, kind="hidden")
    return element("x", {"type": kind}, *head, hidden, *fields, ns=NS_DATA)


def submitted(inside: Node, form_type: str) -> dict[str, list[str]] | None:
    """The values of a submitted form of that type by field.

    None if there is none, or it was cancelled. Raises Undeliverable
    (bad-request) for a form of another type.
    """
    x = inside.child(NS_DATA, "x")
    if x is None or x.attributes.get("type", "submit") != "submit":
        return None
    values = {
        node.attributes.get("var", ""): [
            child.text for child in node.children if child.name == "value"
        ]
        for node in x.children
        if node.name == "field"
    }
    said = values.pop("FORM_TYPE", [form_type])
    if said != [form_type]:
        raise Undeliverable("bad-request", text=f"a form of {form_type} is wanted")
    return values


def truth(values: list[str]) -> bool:
    """XEP-0004 section 3.3: a boolean. Raises Undeliverable (bad-request)."""
    match values:
        case ["1" | "true"]:
            return True
        case ["0" | "false"]:
            return False
    raise Undeliverable("bad-request", text="a field is 0 or 1")
