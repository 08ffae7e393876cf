"""Data forms (XEP-0004), as far as rooms need them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mosaic.services.xmpp.exchange import Undeliverable
from mosaic.wire.xmpp.forms import NS_FORM, Form, FormError, read_fields, read_flag
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
    return element("x", {"type": kind}, *head, hidden, *fields, ns=NS_FORM)


def submitted(inside: Node, form_type: str) -> Form | None:
    """The values of a submitted form of that type by field.

    None if there is none, or it was cancelled; a form that does not say its type is
    taken for submitted. Raises Undeliverable (bad-request).
    """
    x = inside.child(NS_FORM, "x")
    if x is None or x.attributes.get("type", "submit") != "submit":
        return None
    try:
        return read_fields(x, of=form_type)
    except FormError as error:
        raise Undeliverable("bad-request", text=str(error)) from error


def truth(values: Sequence[str]) -> bool:
    """XEP-0004 section 3.3: a boolean. Raises Undeliverable (bad-request)."""
    try:
        return read_flag(tuple(values))
    except FormError as error:
        raise Undeliverable("bad-request", text="a field is 0 or 1") from error
