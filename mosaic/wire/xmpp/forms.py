"""Data forms (XEP-0004): the one reader of those that were filled in, and how they
are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mosaic.wire.xmpp.xml import Node, Xml, element

NS_FORM = "jabber:x:data"
FORM_TYPE = "FORM_TYPE"
Form = dict[str, tuple[str, ...]]
"""Field -> its values."""


MAX_VALUES = 1000
"""Of one field."""


class FormError(ValueError):
    """The element is no form that was filled in."""


def read_form(node: Node, *, of: str) -> Form:
    """The fields of a submitted form, without FORM_TYPE.

    of: the FORM_TYPE that it must have, if it has one. Raises FormError.
    """
    if (node.ns, node.name) != (NS_FORM, "x"):
        raise FormError("not a form")
    if node.attributes.get("type") != "submit":
        raise FormError("a form that was not submitted")
    return read_fields(node, of=of)


def read_fields(node: Node, *, of: str) -> Form:
    """The same, whatever the type of the form says."""
    found: Form = {}
    for field in node.children:
        if (field.ns, field.name) != (NS_FORM, "field"):
            continue
        name = field.attributes.get("var", "")
        if not name and field.attributes.get("type") == "fixed":
            continue  # text between the fields (section 3.3)
        if not name:
            raise FormError("a field without a name")
        if name in found:
            raise FormError(f"the field {name} is there twice")
        values = tuple(
            value.text
            for value in field.children
            if (value.ns, value.name) == (NS_FORM, "value")
        )
        if len(values) > MAX_VALUES:
            raise FormError(f"the field {name} has too many values")
        found[name] = values
    if found.pop(FORM_TYPE, (of,)) != (of,):
        raise FormError(f"another form than {of}")
    return found


def read_flag(values: Sequence[str]) -> bool:
    """A boolean field (section 3.3). Raises FormError."""
    if values in (("1",), ("true",)):
        return True
    if values in (("0",), ("false",)):
        return False
    raise FormError("neither yes nor no")


def read_count(values: Sequence[str]) -> int:
    """A number that is not negative. Raises FormError."""
    if len(values) != 1:
        raise FormError("one number is wanted")
    [text] = values
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise FormError("not a number")
    return int(text)


def field(
    name: str, kind: str, *values: str, options: Sequence[str] = (), label: str = ""
) -> Xml:
    """One field of a form. kind: its type of section 3.3."""
    choices = (
        element("option", None, element("value", None, option)) for option in options
    )
    written = (element("value", None, value) for value in values)
    attributes: Mapping[str, str | None] = {
        "var": name,
        "type": kind,
        "label": label or None,
    }
    return element("field", attributes, *written, *choices)


def form(of: str, *fields: Xml, kind: str = "form") -> Xml:
    """A form with its FORM_TYPE."""
    return element(
        "x", {"type": kind}, field(FORM_TYPE, "hidden", of), *fields, ns=NS_FORM
    )
