"""ACRIS-style JSON: what it says of a leg, how airports vary it, and what it may not do."""

from typing import Any

import msgspec
import pytest

from api.feed import CodeShare
from api.feed_acris import parse
from api.feed_manner import BodyRefused
from tests.support.adapters import NOW, SAMPLES, name, only, read

FLIGHT: dict[str, Any] = {
    "operatingAirline": {"iataCode": "XY", "icaoCode": "XYZ", "name": "Example"},
    "aircraftType": {"icaoCode": "A320", "modelName": "A320", "registration": "LN-XYA"},
    "flightNumber": {"airlineCode": "XY", "trackNumber": "073", "suffix": "W"},
    "codeShares": [{"airlineCode": "ZZ", "trackNumber": "4567"}, "XY73W"],
    "departureAirport": "OSL",
    "arrivalAirport": {"icaoCode": "EGLL", "iataCode": "LHR"},
    "originDate": "2026-03-01",
    "departure": {
        "scheduled": "2026-03-01T10:15:00Z", "estimated": "2026-03-01T11:55:00+01:00",
        "terminal": {"name": "Terminal 1", "short_name": "T1", "number": "1"}, "gate": "B22",
        "checkinInfo": {"checkinLocation": "A12-A18", "checkInBeginTime": "2026-03-01T07:15:00Z"},
        "boardingTime": [{"bookingClass": "Y", "time": "2026-03-01T10:20:00Z"},
                         {"bookingClass": "J", "time": "2026-03-01T10:10:00Z"}],
    },
    "arrival": {"scheduled": "2026-03-01T12:35:00Z", "gate": None,
                "baggageClaim": {"carousel": "7"}},
    "flightStatus": "Scheduled",
    "lastUpdate": "2026-03-01T08:41:05Z",
}  # fmt: skip


def body(**values: Any) -> bytes:
    return msgspec.json.encode([{**FLIGHT, **values}])


def test_a_flight_is_a_leg() -> None:
    patch = only(read(parse, body()))
    assert name(patch) == "XY73W OSL-LHR 2026-03-01"
    assert patch.source_ts.isoformat() == "2026-03-01T08:41:05+00:00"
    assert patch.codeshares == [CodeShare(airline="ZZ", number=4567)]
    assert patch.clear == ["arr_gate"]
    assert patch.set == {
        "std": "2026-03-01T10:15:00Z", "etd": "2026-03-01T10:55:00Z",
        "sta": "2026-03-01T12:35:00Z", "dep_terminal": "T1", "dep_gate": "B22",
        "check_in_from": "A12", "check_in_to": "A18", "check_in_open_at": "2026-03-01T07:15:00Z",
        "boarding_plan": "2026-03-01T10:10:00Z", "belts": ["7"], "aircraft_type": "A320",
        "registration": "LN-XYA", "irregularity": "none",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "phase", "irregularity"),
    [
        ("Canceled", None, "cancelled"), ("Cancelled", None, "cancelled"),
        ("Diverted", None, "diverted"), ("GateOpened", "gate_open", "none"),
        ("Boarding", "boarding", "none"), ("Gate Closed", "gate_closed", "none"),
        ("Departed", "off_block", "none"), ("InApproach", "approaching", "none"),
        ("Landed", "landed", "none"), ("FlightFinished", None, "none"), ("Removed", None, None),
        ("", None, None),
    ],
)  # fmt: skip
def test_a_status_is_evidence_or_nothing(
    status: str, phase: str | None, irregularity: str | None
) -> None:
    reading = read(parse, body(flightStatus=status))
    values = only(reading).set
    assert (values.get("phase"), values.get("irregularity")) == (phase, irregularity)
    assert reading.unknown == ({"status Removed": 1} if status == "Removed" else {})


def test_an_object_with_a_list_and_one_flight_are_read_too() -> None:
    one = msgspec.json.decode(body())[0]
    for value in (one, {"flights": [one]}, {"data": [one]}):
        assert only(read(parse, msgspec.json.encode(value))).key.number == 73


def test_a_scheduled_time_at_both_ends_is_one_that_is_known_at_one() -> None:
    same = {"scheduled": "2026-03-01T10:15:00Z"}
    arriving = only(read(parse, body(departure=same, arrival=same)))
    assert ("std" in arriving.set, "sta" in arriving.set) == (False, True)
    leaving = only(read(parse, body(departure=same, arrival=same, arrivalDeparture="Departure")))
    assert ("std" in leaving.set, "sta" in leaving.set) == (True, False)


def test_times_without_offset_are_of_their_airport() -> None:
    patch = only(read(parse, body(departure={"scheduled": "2026-07-01T10:15:00"})))
    assert patch.set["std"] == "2026-07-01T08:15:00Z"
    nowhere = read(parse, body(departure={"scheduled": "2026-07-01T10:15"}, departureAirport="QQQ"))
    assert [(each.record, each.field) for each in nowhere.complaints] == [(0, "std")]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"departureAirport": None}, "departureAirport"),
        ({"departureAirport": ["OSL"]}, "departureAirport"),
        ({"flightNumber": "73"}, "number"),
        ({"operatingAirline": 7, "flightNumber": {"trackNumber": 1}}, "airline"),
        ({"originDate": "0026-01-01T"}, None),
        ({"originDate": "yesterday"}, "originDate"),
        ({"lastUpdate": "never"}, "lastUpdate"),
        ({"codeShares": [{}]}, "codeShares"),
    ],
)
def test_a_faulty_flight_is_a_complaint_and_its_neighbour_is_read(
    values: dict[str, Any], field: str | None
) -> None:
    neighbours = msgspec.json.encode([*msgspec.json.decode(body(**values)), FLIGHT])
    reading = read(parse, neighbours)
    assert [each.field for each in reading.complaints] == ([field] if field else [])
    assert reading.patches[-1].key.number == 73
    assert reading.records[-1] == 1


@pytest.mark.parametrize("raw", [b"", b"7", b'"x"', b"{", b"[" * 100_000, b"\xff{}", b"null"])
def test_what_is_no_json_of_flights_is_refused(raw: bytes) -> None:
    with pytest.raises(BodyRefused):
        read(parse, raw)


@pytest.mark.skipif(not SAMPLES.exists(), reason="the samples of airports are not here")
def test_a_real_arrival_of_an_airport_group() -> None:
    sample = SAMPLES / "json-mag" / "mag-jsonResponseSingleArrival.json"
    patch = only(read(parse, sample.read_bytes()))
    assert name(patch) == "LS73W NCL-MAN -"
    assert patch.set == {
        "sta": "2019-09-23T09:50:00Z", "arr_terminal": "T1", "aircraft_type": "75W",
        "irregularity": "cancelled", "service_type": "P", "hidden": True,
    }  # fmt: skip
    assert patch.source_ts == NOW
