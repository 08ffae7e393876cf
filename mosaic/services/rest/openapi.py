"""The OpenAPI 3.1 description, made from the table and its types."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from mosaic import __version__
from mosaic.services.rest.operations import PARAMETERS, Operation, Who
from mosaic.services.rest.problems import MEDIA_TYPE, Problem

REF = "#/components/schemas/{name}"
BINARY = {
    "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
}
HEADERS: dict[int, dict[str, str]] = {
    401: {"WWW-Authenticate": "string"},
    429: {"Retry-After": "integer"},
}


def describe(operations: Sequence[Operation]) -> dict[str, Any]:
    """The document as plain values."""
    types: set[type] = {Problem}
    for one in operations:
        types |= {kind for kind in (one.body, one.answer, one.query) if kind}
    kinds = sorted(types, key=lambda kind: kind.__name__)
    schemas, components = msgspec.json.schema_components(kinds, ref_template=REF)
    of = dict(zip(kinds, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(
            one, of, components
        )
    paths["/openapi.json"] = {"get": _description_operation()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Mosaic",
            "version": __version__,
            "description": "Rooms, people, files and calls of a Mosaic server.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/api/v1"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(
    one: Operation, of: dict[type, Any], components: dict[str, Any]
) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": one.id,
        "summary": one.summary,
        "description": f"Who may call: {one.who.value}",
        "tags": [one.tag],
        "security": _security(one.who),
        "responses": {
            str(status): _success(one, of)
            if status == one.status
            else _refusal(status, of)
            for status in one.statuses
        },
    }
    parameters = [*_path_parameters(one), *_query_parameters(one, components)]
    if parameters:
        described["parameters"] = parameters
    if one.body is not None:
        content = {"application/json": {"schema": of[one.body]}}
        described["requestBody"] = {"required": True, "content": content}
    if one.upload:
        described["requestBody"] = {"required": True, "content": BINARY}
    return described


def _security(who: Who) -> list[dict[str, list[str]]]:
    if who is Who.ANYONE:
        return []
    if who is Who.ANYONE_OR_SESSION:
        return [{}, {"bearer": []}]
    return [{"bearer": []}]


def _success(one: Operation, of: dict[type, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {"description": HTTPStatus(one.status).phrase}
    if one.answer is not None:
        described["content"] = {"application/json": {"schema": of[one.answer]}}
    if one.file:
        described["content"] = {"*/*": BINARY["application/octet-stream"]}
    return described


def _refusal(status: int, of: dict[type, Any]) -> dict[str, Any]:
    if status < 400:
        return {"description": HTTPStatus(status).phrase}
    described: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": of[Problem]}},
    }
    if status in HEADERS:
        described["headers"] = {
            name: {"schema": {"type": kind}} for name, kind in HEADERS[status].items()
        }
    return described


def _path_parameters(one: Operation) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": PARAMETERS[name][1],
            "schema": {"type": "string", "pattern": f"^(?:{PARAMETERS[name][0]})$"},
        }
        for name in one.parameters
    ]


def _query_parameters(
    one: Operation, components: dict[str, Any]
) -> list[dict[str, Any]]:
    """The query's type taken apart."""
    if one.query is None:
        return []
    schema = components[one.query.__name__]
    found = []
    for name, field in schema["properties"].items():
        required = name in schema.get("required", ())
        found.append(
            {"name": name, "in": "query", "required": required, "schema": field}
        )
    return found


def _description_operation() -> dict[str, Any]:
    return {
        "operationId": "describe",
        "summary": "This description",
        "tags": ["description"],
        "security": [],
        "responses": {
            "200": {
                "description": "OK",
                "content": {"application/json": {"schema": {"type": "object"}}},
            }
        },
    }
