"""How a node is configured, as forms say it (XEP-0060 section 16.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mosaic.services.xmpp.exchange import Undeliverable
from mosaic.store.pep import NodeConfig
from mosaic.wire.xmpp.forms import (
    NS_FORM,
    FormError,
    field,
    form,
    read_count,
    read_flag,
    read_form,
)
from mosaic.wire.xmpp.xml import Node, Xml, element

NS_PUBSUB = "http://jabber.org/protocol/pubsub"
NS_ERRORS = f"{NS_PUBSUB}#errors"
NS_CONFIG = f"{NS_PUBSUB}#node_config"
NS_OPTIONS = f"{NS_PUBSUB}#publish-options"
ACCESS = ("presence", "open", "whitelist")
MAX_TEXT = 1024


def refusal(condition: str, detail: str, *, feature: str = "") -> Undeliverable:
    """An error with its condition of pubsub#errors."""
    attributes = {"feature": feature or None}
    return Undeliverable(condition, detail=element(detail, attributes, ns=NS_ERRORS))


def read_config(
    node: Node | None, base: NodeConfig, *, max_items: int, options: bool = False
) -> tuple[NodeConfig, tuple[str, ...]]:
    """A form's wishes on top of a configuration, and which fields they name.

    options: publish-options; a field that we do not know fails then.

    Raises Undeliverable.
    """
    submitted = None if node is None else node.child(NS_FORM, "x")
    if submitted is None:
        return base, ()
    try:
        fields = read_form(submitted, of=NS_OPTIONS if options else NS_CONFIG)
        wanted: dict[str, Any] = {}
        for name, values in fields.items():
            known = _FIELDS.get(name)
            if known is not None:
                wanted[known[0]] = known[1](values, max_items)
            elif options:
                raise refusal("conflict", "precondition-not-met")
    except FormError as error:
        raise Undeliverable("not-acceptable", text=str(error)) from error
    return replace(base, **wanted), tuple(wanted)


Read = Callable[[tuple[str, ...], int], object]


def _flag(values: tuple[str, ...], _: int) -> bool:
    return read_flag(values)


def _text(values: tuple[str, ...], _: int) -> str:
    if len(values) > 1 or len("".join(values)) > MAX_TEXT:
        raise FormError("too long a text")
    return "".join(values)


def _access(values: tuple[str, ...], _: int) -> str:
    if len(values) != 1 or values[0] not in ACCESS:
        raise refusal("not-acceptable", "unsupported-access-model")
    return values[0]


def _items(values: tuple[str, ...], most: int) -> int:
    if values == ("max",):
        return most
    wanted = read_count(values)
    if wanted > most:
        raise FormError(f"a node keeps at most {most} items")
    return wanted


def _last(values: tuple[str, ...], _: int) -> bool:
    return values != ("never",)


_FIELDS: dict[str, tuple[str, Read]] = {
    "pubsub#access_model": ("access", _access),
    "pubsub#max_items": ("max_items", _items),
    "pubsub#persist_items": ("persist", _flag),
    "pubsub#deliver_payloads": ("payloads", _flag),
    "pubsub#notify_retract": ("retracts", _flag),
    "pubsub#notify_delete": ("deletes", _flag),
    "pubsub#send_last_published_item": ("last_item", _last),
    "pubsub#title": ("title", _text),
    "pubsub#type": ("kind", _text),
}


def config_form(config: NodeConfig) -> Xml:
    """A node's configuration as a form to fill in."""
    last = "on_sub_and_presence" if config.last_item else "never"
    return form(
        NS_CONFIG,
        field("pubsub#title", "text-single", config.title),
        field("pubsub#type", "text-single", config.kind),
        field("pubsub#access_model", "list-single", config.access, options=ACCESS),
        field("pubsub#max_items", "text-single", str(config.max_items)),
        field("pubsub#persist_items", "boolean", _bit(config.persist)),
        field("pubsub#deliver_payloads", "boolean", _bit(config.payloads)),
        field("pubsub#notify_retract", "boolean", _bit(config.retracts)),
        field("pubsub#notify_delete", "boolean", _bit(config.deletes)),
        field(
            "pubsub#send_last_published_item",
            "list-single",
            last,
            options=("never", "on_sub_and_presence"),
        ),
    )


def _bit(value: bool) -> str:
    return "1" if value else "0"
