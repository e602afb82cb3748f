"""The form in which changes travel, as in the vectors."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from realtime.bus import Position
from realtime.bus_parcels import Stranger, pack_change, pack_tick, unpack
from realtime.flight import Change
from realtime.notice_kinds import KINDS
from tests.support.strangers import STRANGERS, Foreign

VECTORS = json.loads(
    (Path(__file__).parent.parent / "vectors" / "bus.json").read_text(encoding="utf-8")
)
EPOCH = "5b0c8e0e-6d0a-4a53-9f0e-3d3f2b6f1c11"
LEG = {
    "key": "B69-2013-03-08-JFK-MCO",
    "version": 12,
    "airline": "B6",
    "flight_no": 9,
    "dep_airport": "JFK",
    "arr_airport": "MCO",
    "phase": "scheduled",
    "irregularity": "none",
    "std": "2013-03-08T22:30:00Z",
    "etd": "2013-03-08T23:53:00Z",
    "sta": "2013-03-09T01:30:00Z",
    "dep_gate": "22",
}
CANCELLED = {"irregularity": "cancelled"}
FAR = {"std": "2013-03-09T03:00:00Z", "etd": "2013-03-09T03:00:00Z"}  # four hours ahead


def change_of(body: dict[str, Any]) -> Change:
    return msgspec.json.decode(json.dumps(body), type=Change)


def leg_vector(changed: dict[str, list[object]] | None = None, **members: object) -> dict[str, Any]:
    body = dict(VECTORS["change"]["body"], state=LEG | members)
    return body if changed is None else body | {"changed": changed}


def with_times(body: dict[str, Any]) -> dict[str, Any]:
    """Two spellings of one instant are equal."""
    times = {name: datetime.fromisoformat(body[name]) for name in ("at", "wall_at")}
    return body | times


def test_a_change_travels_as_in_the_vector() -> None:
    vector, body = VECTORS["change"], leg_vector()
    key, packed, properties = pack_change(EPOCH, change_of(body), KINDS)
    assert key == vector["routing_key"]
    assert with_times(json.loads(packed)) == with_times(body)
    assert properties == {
        "content_type": vector["content_type"],
        "message_id": vector["message_id"],
        "delivery_mode": vector["delivery_mode"],
        "headers": vector["headers"],
    }


def test_a_clock_row_travels_as_in_the_vector() -> None:
    vector = VECTORS["clock"]
    key, packed, properties = pack_change(EPOCH, change_of(vector["body"]), KINDS)
    assert key == vector["routing_key"]
    assert with_times(json.loads(packed)) == with_times(vector["body"])
    assert properties["headers"]["cloudEvents:type"] == vector["type"]
    assert "cloudEvents:subject" not in properties["headers"]


def test_a_tick_travels_as_in_the_vector() -> None:
    vector = VECTORS["tick"]
    end = Position(EPOCH, vector["body"]["last_seq"])
    key, packed, properties = pack_tick(end)
    assert key == vector["routing_key"]
    assert json.loads(packed) == vector["body"]
    assert properties["delivery_mode"] == vector["delivery_mode"]
    assert properties["headers"]["cloudEvents:type"] == vector["type"]
    assert unpack(properties["headers"], packed) == (EPOCH, end)


@pytest.mark.parametrize("name", ["change", "clock"])
def test_what_travelled_is_what_the_log_holds(name: str) -> None:
    body = leg_vector() if name == "change" else VECTORS["clock"]["body"]
    change = change_of(body)
    _, packed, properties = pack_change(EPOCH, change, KINDS)
    assert unpack(properties["headers"], packed) == (EPOCH, change)


def test_what_a_later_version_may_send_is_not_for_us() -> None:
    headers = dict(VECTORS["change"]["headers"])
    headers["cloudEvents:type"] = "io.gatecast.leg.changed.v2"
    assert unpack(headers, b"\xff") is None


@pytest.mark.parametrize("stranger", STRANGERS, ids=lambda each: each.name)
def test_what_no_relay_has_published_is_a_stranger_for_a_reason(stranger: Foreign) -> None:
    with pytest.raises(Stranger) as raised:
        unpack(stranger.headers(EPOCH), stranger.content(EPOCH))
    assert raised.value.reason == stranger.reason
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize(
    ("changed", "members", "kind"),
    [
        ({"irregularity": ["none", "cancelled"], "dep_gate": ["18", "22"]}, CANCELLED, "cancelled"),
        ({"dep_gate": ["18", "22"], "etd": [None, "2013-03-08T23:53:00Z"]}, {}, "gate_changed"),
        ({"phase": ["gate_open", "boarding"]}, {"phase": "boarding"}, "boarding"),
        ({"dep_gate": [None, "22"]}, {}, "gate_changed"),
        ({"dep_gate": [None, "22"]}, FAR, "-"),
        ({"dep_gate": ["18", None]}, {"dep_gate": ""}, "-"),
        ({"dep_gate": ["18", "22"]}, {"phase": "off_block"}, "-"),
        ({"dep_gate": ["18", "22"]}, {"hidden": True}, "-"),
        ({}, {}, "-"),
    ],
)
def test_the_routing_key_names_the_most_important_of_what_followers_may_be_told(
    changed: dict[str, list[object]], members: dict[str, object], kind: str
) -> None:
    key, _, _ = pack_change(EPOCH, change_of(leg_vector(changed, **members)), KINDS)
    assert key == f"chg.JFK.MCO.{kind}"


def test_a_change_of_the_estimate_wakes_the_notifiers() -> None:
    body = leg_vector({"etd": [None, "2013-03-08T23:53:00Z"]})
    assert pack_change(EPOCH, change_of(body), KINDS)[0] in {
        f"chg.JFK.MCO.{kind}" for kind in ("connection_risk", "delay", "early")
    }
    assert pack_change(EPOCH, change_of(body), ("cancelled",))[0] == "chg.JFK.MCO.-"
