"""Data forms (XEP-0004): what is asked, and the strict reading of an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mosaic.wire.xmpp.forms import NS_FORM, FormError, read_form
from mosaic.wire.xmpp.jid import JidError, parse_jid
from mosaic.wire.xmpp.xml import Node, Xml, element

_MULTI = ("jid-multi", "text-multi", "list-multi")


@dataclass(frozen=True, slots=True)
class Field:
    """One question. kind: a field type of XEP-0004."""

    var: str
    kind: str
    label: str
    required: bool = False

    def xml(self) -> Xml:
        """As it is asked."""
        required = element("required") if self.required else ""
        facts = {"var": self.var, "type": self.kind, "label": self.label}
        return element("field", facts, required)


@dataclass(frozen=True, slots=True)
class Questions:
    """A form to fill in."""

    form_type: str
    title: str
    fields: tuple[Field, ...]

    def xml(self) -> Xml:
        """The empty form."""
        hidden = _values({"FORM_TYPE": [self.form_type]}, "hidden")
        fields = (field.xml() for field in self.fields)
        title = element("title", None, self.title)
        return element("x", {"type": "form"}, title, *hidden, *fields, ns=NS_FORM)

    def read(self, form: Node) -> dict[str, list[str]]:
        """The answers by field; a field that was left out has none.

        Raises FormError for another form, unknown or repeated fields, more
        values than asked for, missing ones, and addresses that are none.
        """
        given = read_form(form, of=self.form_type)
        known = {field.var: field for field in self.fields}
        for var in given:
            if var not in known:
                raise FormError(f"the form has no field {var}")
        return {
            var: _checked(field, list(given.get(var, ())))
            for var, field in known.items()
        }


def result_form(form_type: str, fields: Mapping[str, Sequence[str]]) -> Xml:
    """What was found, as a form of the type "result"."""
    hidden = _values({"FORM_TYPE": [form_type]}, "hidden")
    told = _values(fields, None)
    return element("x", {"type": "result"}, *hidden, *told, ns=NS_FORM)


def _values(fields: Mapping[str, Sequence[str]], kind: str | None) -> list[Xml]:
    return [
        element(
            "field",
            {"var": var, "type": kind},
            *(element("value", None, value) for value in values),
        )
        for var, values in fields.items()
    ]


def _checked(field: Field, values: list[str]) -> list[str]:
    kept = values if field.kind in ("text-multi", "text-private") else _filled(values)
    if field.required and not "".join(kept):
        raise FormError(f"the field {field.var} is missing")
    if len(kept) > 1 and field.kind not in _MULTI:
        raise FormError(f"the field {field.var} has one value")
    if field.kind.startswith("jid"):
        return [_address(field, value) for value in kept]
    return kept


def _filled(values: list[str]) -> list[str]:
    return [value for value in values if value]


def _address(field: Field, text: str) -> str:
    try:
        return str(parse_jid(text))
    except JidError as error:
        raise FormError(f"{field.var}: {text} is no address ({error})") from error
