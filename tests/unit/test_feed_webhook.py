"""Swedavia's lists and AeroAPI's alerts."""

from typing import Any

import msgspec
import pytest

from api.feed import CodeShare
from api.feed_aeroapi import parse as parse_alert
from api.feed_manner import BodyRefused
from api.feed_swedavia import parse as parse_list
from tests.support.adapters import name, only, read


def swedavia(status: str = "SCH", **values: Any) -> bytes:
    flight = {
        "flightId": "SK1425", "codeShareData": ["LH6000", "SK1425"],
        "flightLegIdentifier": {
            "flightId": "SK1425", "flightDepartureDateUtc": "2026-03-01",
            "departureAirportIata": "ARN", "arrivalAirportIata": "OSL",
        },
        "departureTime": {"scheduledUtc": "2026-03-01T10:15:00Z",
                          "estimatedUtc": "2026-03-01T10:55:00Z"},
        "locationAndStatus": {"terminal": "5", "gate": "F32", "flightLegStatus": status,
                              "gateOpenUtc": "2026-03-01T08:45:00Z",
                              "gateCloseUtc": "2026-03-01T10:40:00Z"},
    }  # fmt: skip
    return msgspec.json.encode({"flights": [{**flight, **values}]})


def test_swedavia_departure() -> None:
    patch = only(read(parse_list, swedavia()))
    assert name(patch) == "SK1425 ARN-OSL -"
    assert patch.codeshares == [CodeShare(airline="LH", number=6000)]
    assert patch.set == {
        "std": "2026-03-01T10:15:00Z", "etd": "2026-03-01T10:55:00Z", "dep_terminal": "5",
        "dep_gate": "F32", "gate_open_at": "2026-03-01T08:45:00Z",
        "gate_close_plan": "2026-03-01T10:40:00Z", "irregularity": "none",
    }  # fmt: skip


def test_swedavia_deleted_is_neither_delayed_nor_cancelled() -> None:
    assert read(parse_list, swedavia("DEL")).patches == []
    assert only(read(parse_list, swedavia("CAN"))).set["irregularity"] == "cancelled"
    odd = read(parse_list, swedavia("XYZ"))
    assert odd.unknown == {"status XYZ": 1}
    assert "irregularity" not in only(odd).set


def test_swedavia_arrival_and_a_gate_that_is_not_open_yet() -> None:
    patch = only(
        read(
            parse_list,
            swedavia(
                departureTime=None, arrivalTime={"scheduledUtc": "2026-03-01T11:20:00Z"},
                baggage={"baggageClaimUnit": "4"},
                locationAndStatus={"terminal": "5", "gateOpenUtc": "2026-03-01T09:45:00Z"},
            ),
        )
    )  # fmt: skip
    assert patch.set == {
        "sta": "2026-03-01T11:20:00Z", "arr_terminal": "5", "belts": ["4"]
    }  # fmt: skip


def alert(event: str = "change", **values: Any) -> bytes:
    flight = {
        "ident": "XYZ123", "ident_iata": "XY123", "registration": "LN-XYA", "cancelled": False,
        "origin": {"code_iata": "OSL"}, "destination": {"code": "EGLL", "code_iata": "LHR"},
        "scheduled_out": "2026-03-01T10:15:00Z", "estimated_on": "2026-03-01T12:20:00Z",
        "gate_origin": "B22", "codeshares_iata": ["ZZ4567"], "estimated_in": None,
    }  # fmt: skip
    return msgspec.json.encode({"event_code": event, "flight": {**flight, **values}})


def test_an_alert_is_a_leg() -> None:
    patch = only(read(parse_alert, alert()))
    assert name(patch) == "XY123 OSL-LHR -"
    assert patch.codeshares == [CodeShare(airline="ZZ", number=4567)]
    assert patch.set == {
        "std": "2026-03-01T10:15:00Z", "eldt": "2026-03-01T12:20:00Z", "dep_gate": "B22",
        "registration": "LN-XYA",
    }  # fmt: skip


def test_only_the_event_cancels_and_a_diversion_keeps_the_planned_airport_unsaid() -> None:
    assert "irregularity" not in only(read(parse_alert, alert(cancelled=True))).set
    assert only(read(parse_alert, alert("cancelled"))).set["irregularity"] == "cancelled"
    diverted = only(read(parse_alert, alert("diverted", diverted=True, destination="AMS")))
    assert name(diverted) == "XY123 OSL- -"
    assert diverted.set["irregularity"] == "diverted"
    assert "eldt" not in diverted.set


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"flight": 7}'])
def test_what_is_no_alert_is_refused(body: bytes) -> None:
    with pytest.raises(BodyRefused):
        read(parse_alert, body)
    assert read(parse_alert, alert(ident_iata="?")).complaints[0].field == "ident"
