"""The AsyncAPI document: nothing dangles, and its payloads are what the vectors publish."""

import json
import re
from typing import Any

import msgspec
import pytest

from api.asyncapi import CHANNELS, FlightPublication, document
from api.schemas import LegState
from realtime.channels import parse_channel
from tests.unit.test_openapi import references

DOCUMENT = json.loads(msgspec.json.encode(document("1.2.3")))


def at(reference: str) -> Any:
    node = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return node


def test_it_is_asyncapi_3_of_this_version() -> None:
    assert (DOCUMENT["asyncapi"], DOCUMENT["info"]["version"]) == ("3.0.0", "1.2.3")
    assert {server["protocol"] for server in DOCUMENT["servers"].values()} == {"ws", "http"}


def test_no_reference_dangles_and_no_schema_is_unused() -> None:
    used = set(references(DOCUMENT))
    for reference in used:
        assert at(reference)
    schemas = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    assert schemas <= used


@pytest.mark.parametrize("name", [each.name for each in CHANNELS])
def test_the_address_of_a_channel_is_one_that_a_node_knows(name: str) -> None:
    channel = DOCUMENT["channels"][name]
    parameters = channel["parameters"]
    assert set(re.findall(r"\{(\w+)\}", channel["address"])) == set(parameters)
    examples = {key: each["examples"][0] for key, each in parameters.items()}
    assert parse_channel(channel["address"].format(**examples)).kind == name
    operation = DOCUMENT["operations"][f"receive_{name}"]
    assert operation["action"] == "receive"
    assert at(operation["channel"]["$ref"]) == channel
    for message in operation["messages"]:
        assert at(at(message["$ref"])["$ref"])["payload"]


def test_a_flight_publication_is_a_leg_and_a_change() -> None:
    schema = DOCUMENT["components"]["schemas"]["FlightPublication"]
    assert set(schema["properties"]) == set(FlightPublication.__struct_fields__)
    assert schema["required"] == ["leg"]
    leg = DOCUMENT["components"]["schemas"]["LegState"]
    assert set(leg["properties"]) == set(LegState.__struct_fields__)
