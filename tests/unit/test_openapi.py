"""The OpenAPI document describes every route with its errors, and nothing in it dangles."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from api.openapi import document
from api.problems import invalid
from api.routes import OPERATIONS
from api.schemas import FlightsQuery, LegState
from api.schemas_account import DevicePut

JSON = "application/json"
XML = {"application/xml", "text/xml", "application/soap+xml"}
DOCUMENT = msgspec.json.decode(msgspec.json.encode(document(OPERATIONS, "1.2.3")))
DESCRIBED = [
    (path, method, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for member in node.values():
            yield from references(member)
    elif isinstance(node, list):
        for member in node:
            yield from references(member)


def operation(path: str, method: str) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][path][method]
    return found


def test_it_is_openapi_3_1_of_this_version() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    assert DOCUMENT["info"]["version"] == "1.2.3"


def test_every_route_is_described_once() -> None:
    assert {(path, method.upper()) for path, method, _ in DESCRIBED} == {
        (operation.path, operation.method) for operation in OPERATIONS
    }
    names = [operation["operationId"] for _, _, operation in DESCRIBED]
    assert len(names) == len(set(names)) == len(OPERATIONS)


def test_no_reference_dangles_and_no_schema_is_unused() -> None:
    used = {reference.rpartition("/")[2] for reference in references(DOCUMENT)}
    assert used == set(DOCUMENT["components"]["schemas"])


@pytest.mark.parametrize(
    ("path", "method", "described"), DESCRIBED, ids=lambda part: str(part)[:40]
)
def test_every_operation_says_what_it_takes_and_how_it_fails(
    path: str, method: str, described: dict[str, Any]
) -> None:
    assert described["summary"]
    in_path = {p["name"] for p in described["parameters"] if p["in"] == "path"}
    assert in_path == set(re.findall(r"\{(\w+)\}", path))
    statuses = {int(status) for status in described["responses"]}
    assert any(status < 300 for status in statuses)
    assert {500, 503} <= statuses
    for status, response in described["responses"].items():
        if int(status) >= 400:
            (media_type,) = response["content"]
            taken = described.get("requestBody", {}).get("content", {}).keys()
            own = taken == XML and int(status) < 500
            assert media_type == ("application/xml" if own else "application/problem+json")
    if path.startswith("/api/me/"):
        assert described["security"] == [{"credential": []}]
        assert 401 in statuses
    if "requestBody" in described:
        assert {400, 413, 422} <= statuses
        assert (415 in statuses) == (described["requestBody"]["content"].keys() in ({JSON}, XML))


def test_query_parameters_come_from_the_struct() -> None:
    found = {p["name"]: p for p in operation("/api/flights", "get")["parameters"]}
    names = {name.rstrip("_") for name in FlightsQuery.__struct_fields__}
    assert set(found) == names
    assert [name for name, p in found.items() if p["required"]] == []
    assert found["limit"]["schema"] == {
        "type": "integer", "minimum": 1, "maximum": 200, "default": 50,
    }  # fmt: skip
    assert found["from"]["schema"]["format"] == "date-time"


def test_a_state_has_optional_members_and_times_with_a_zone() -> None:
    state = DOCUMENT["components"]["schemas"]["LegState"]
    assert set(state["properties"]) == set(LegState.__struct_fields__)
    assert "dep_gate" not in state["required"]
    assert {"key", "version", "phase", "irregularity"} <= set(state["required"])
    assert state["properties"]["etd"] == {"type": "string", "format": "date-time"}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b"[]", ""),
        (b"{}", "/platform"),
        (b'{"platform":"android","kind":"fid","target":7}', "/target"),
        (b'{"platform":"pager","kind":"fid","target":"x"}', "/platform"),
        (b'{"platform":"web","kind":"fid","target":"12345678","role":"admin"}', "/role"),
    ],
)
def test_a_fault_of_a_body_is_a_json_pointer(body: bytes, pointer: str) -> None:
    with pytest.raises(msgspec.ValidationError) as fault:
        msgspec.json.decode(body, type=DevicePut)
    problem = invalid(fault.value, "body")
    assert problem.status_code == 422
    assert [fault.pointer for fault in problem.errors] == [pointer]


class Deep(msgspec.Struct):
    pairs: list[list[int]]


def test_a_pointer_leads_through_lists() -> None:
    with pytest.raises(msgspec.ValidationError) as fault:
        msgspec.json.decode(b'{"pairs":[[1,2],[1,"2"]]}', type=Deep)
    (found,) = invalid(fault.value, "body").errors
    assert found.pointer == "/pairs/1/1"
    assert found.detail == "Expected `int`, got `str`"


def test_a_fault_of_a_query_names_its_parameter() -> None:
    with pytest.raises(msgspec.ValidationError) as fault:
        msgspec.convert({"airport": "JFK", "limit": "999"}, FlightsQuery, strict=False)
    problem = invalid(fault.value, "query")
    assert problem.status_code == 400
    assert [fault.parameter for fault in problem.errors] == ["limit"]
