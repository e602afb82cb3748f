"""The OpenAPI 3.1 document, made from the table of routes and the Structs of the bodies."""

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import Struct

from api.endpoint import Operation
from api.feed_formats import ANY, FORMATS
from api.schemas import ProblemDetails

REFERENCE = "#/components/schemas/{name}"
PARAMETER = re.compile(r"\{(\w+)\}")
PATH_PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "leg_key": {
        "description": "Public name of a flight leg",
        "example": "B69-2013-03-08-JFK-MCO",
        "schema": {"type": "string"},
    },
    "iata": {
        "description": "IATA airport code",
        "example": "JFK",
        "schema": {"type": "string", "pattern": "^[A-Z]{3}$"},
    },
    "feed": {
        "description": "Code of a registered feed",
        "example": "aodb-jfk",
        "schema": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,31}$"},
    },
    "format": {
        "description": "Of the body; `any`: the one that it shows",
        "schema": {"type": "string", "enum": [*FORMATS, ANY]},
    },
    "device_id": {
        "description": "Chosen by the client, once for each installation",
        "schema": {"type": "string", "format": "uuid"},
    },
    "notice_id": {
        "description": "Id of a test notice, as its Location names it",
        "schema": {"type": "string", "format": "uuid"},
    },
}
BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "The credential from POST /api/accounts.",
}
KEY = {
    "type": "http",
    "scheme": "bearer",
    "description": "A feed's key, gck_…, from `gatecast key create FEED`.",
}
ALWAYS = (500, 503)


def document(operations: Sequence[Operation], version: str) -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        described = paths.setdefault(operation.path, {})
        described[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Gatecast",
            "version": version,
            "description": "Flight legs, follows and devices. Changes come over the WebSocket.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": _schemas(operations),
            "securitySchemes": {"credential": BEARER, "key": KEY},
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.call.__name__,
        "summary": operation.summary,
        "parameters": [*_path_parameters(operation.path), *_query_parameters(operation.query)],
        "responses": _responses(operation),
    }
    if operation.body is not None:
        content = {"application/json": {"schema": _reference(operation.body)}}
        described["requestBody"] = {"required": not operation.body_optional, "content": content}
    if operation.raw:
        content = {media_type: {} for media_type in operation.raw}
        described["requestBody"] = {"required": True, "content": content}
    if operation.signed_in:
        described["security"] = [{"credential": []}]
    if operation.keyed:
        described["security"] = [{"key": []}]
    return described


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, **PATH_PARAMETERS[name]}
        for name in PARAMETER.findall(path)
    ]


def _query_parameters(query: type[Struct] | None) -> list[dict[str, Any]]:
    if query is None:
        return []
    _, components = msgspec.json.schema_components([query], ref_template=REFERENCE)
    schema = components[query.__name__]
    found = []
    for name, member in schema["properties"].items():
        parameter = {"name": name, "in": "query", "required": name in schema.get("required", ())}
        form = {key: value for key, value in member.items() if key != "description"}
        text = {"description": member["description"]} if "description" in member else {}
        found.append({**parameter, **text, "schema": _without_null(form)})
    return found


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A query parameter without a value is absent, never null."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    found = kinds[0] if len(kinds) == 1 else schema
    return {key: value for key, value in found.items() if (key, value) != ("default", None)}


def _responses(operation: Operation) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, kind in operation.answers.items():
        responses[str(status)] = {"description": HTTPStatus(status).phrase}
        if kind is not None:
            content = {operation.media_type: {"schema": _reference(kind)}}
            responses[str(status)]["content"] = content
    problem = {"application/problem+json": {"schema": _reference(ProblemDetails)}}
    own = {operation.errors_in: {"schema": {"type": "string"}}} if operation.errors_in else problem
    for status in sorted({*operation.errors, *_implied(operation), *ALWAYS}):
        content = problem if status in ALWAYS else own
        responses[str(status)] = {"description": HTTPStatus(status).phrase, "content": content}
    return responses


def _implied(operation: Operation) -> Iterable[int]:
    """Errors that follow from what the operation takes."""
    if operation.body is not None:
        yield from (400, 413, 415, 422)
    if operation.raw:
        yield from (413, 422)
    if operation.query is not None:
        yield 400
    if operation.signed_in or operation.keyed:
        yield 401


def _reference(kind: type) -> dict[str, Any]:
    if not issubclass(kind, Struct):
        return msgspec.json.schema(kind)
    return {"$ref": REFERENCE.format(name=kind.__name__)}


def _schemas(operations: Iterable[Operation]) -> dict[str, Any]:
    kinds: set[type] = {ProblemDetails}
    for operation in operations:
        kinds |= {kind for kind in operation.answers.values() if kind is not None}
        kinds |= {operation.body} - {None} if operation.body else set()
    ordered = sorted(kinds, key=lambda kind: kind.__name__)
    _, components = msgspec.json.schema_components(ordered, ref_template=REFERENCE)
    return components
