"""Public flight lists: Avinor, Schiphol, Hong Kong, Finavia, each in its own shape."""

from typing import Any

import msgspec
import pytest

from api import feed_avinor, feed_finavia, feed_hongkong, feed_schiphol
from api.feed import CodeShare
from api.feed_manner import BodyRefused
from tests.support.adapters import SAMPLES, name, only, read


def avinor(flights: str, attributes: str = 'lastUpdate="2026-03-01T08:58:00Z"') -> bytes:
    return (
        '<?xml version="1.0" encoding="iso-8859-1"?><airport name="OSL">'
        f"<flights {attributes}>{flights}</flights></airport>"
    ).encode("iso-8859-1")


def flight(direction: str, status: str = "", more: str = "", other: str = "BGO") -> str:
    return (
        f'<flight uniqueID="1"><airline>SK</airline><flight_id>SK267</flight_id>'
        f"<schedule_time>2026-03-01T10:15:00Z</schedule_time><arr_dep>{direction}</arr_dep>"
        f"<airport>{other}</airport>{more}{status}</flight>"
    )


def test_avinor_departures_and_arrivals() -> None:
    status = '<status code="E" time="2026-03-01T10:55:00Z"/>'
    patch = only(read(feed_avinor.parse, avinor(flight("D", status, "<gate>B22</gate>"))))
    assert name(patch) == "SK267 OSL-BGO -"
    assert patch.set == {
        "std": "2026-03-01T10:15:00Z", "etd": "2026-03-01T10:55:00Z", "dep_gate": "B22",
        "irregularity": "none",
    }  # fmt: skip
    assert patch.source_ts.isoformat() == "2026-03-01T08:58:00+00:00"
    via = "<via_airport>TRD,BOO</via_airport><belt>4</belt>"
    came = only(read(feed_avinor.parse, avinor(flight("A", "", via, "TOS"))))
    assert name(came) == "SK267 BOO-OSL -"
    assert came.set == {"sta": "2026-03-01T10:15:00Z", "belts": ["4"]}
    assert name(only(read(feed_avinor.parse, avinor(flight("D", "", via, "TOS"))))) == (
        "SK267 OSL-TRD -"
    )


@pytest.mark.parametrize(
    ("direction", "code", "column", "irregularity"),
    [
        ("D", "D", "atd", "none"), ("A", "A", "ata", "none"), ("A", "E", "eta", "none"),
        ("D", "C", None, "cancelled"), ("D", "N", None, "none"), ("D", "X", None, None),
    ],
)  # fmt: skip
def test_avinor_status(
    direction: str, code: str, column: str | None, irregularity: str | None
) -> None:
    status = f'<status code="{code}" time="2026-03-01T08:50:00Z"/>'
    reading = read(feed_avinor.parse, avinor(flight(direction, status)))
    values = only(reading).set
    assert values.get("irregularity") == irregularity
    assert column is None or values[column] == "2026-03-01T08:50:00Z"
    assert reading.unknown == ({"status X": 1} if code == "X" else {})


@pytest.mark.parametrize(
    "body",
    [
        b"", b"rate limit", b"<html><body>busy</body></html>", b"<airport><flights/></airport>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><airport name="OSL"><flights>&b;</flights></airport>',
        b"<a>" * 100_000,
    ],
)  # fmt: skip
def test_avinor_refuses_what_is_no_list(body: bytes) -> None:
    with pytest.raises(BodyRefused):
        read(feed_avinor.parse, body)


def schiphol(**values: Any) -> bytes:
    row = {
        "flightName": "KL1234", "mainFlight": "KL1234", "flightDirection": "D",
        "scheduleDateTime": "2026-03-01T11:15:00.000+01:00", "route": {"destinations": ["LHR"]},
        "codeshares": {"codeshares": ["DL9000", "KL1234"]}, "gate": "D12", "terminal": 2,
        "publicEstimatedOffBlockTime": "2026-03-01T11:55:00.000+01:00", "serviceType": "J",
        "publicFlightState": {"flightStates": ["DEL", "SCH"]},
    }  # fmt: skip
    return msgspec.json.encode({"flights": [{**row, **values}]})


def test_schiphol_departure() -> None:
    patch = only(read(feed_schiphol.parse, schiphol()))
    assert name(patch) == "KL1234 AMS-LHR -"
    assert patch.codeshares == [CodeShare(airline="DL", number=9000)]
    assert patch.set == {
        "std": "2026-03-01T10:15:00Z", "etd": "2026-03-01T10:55:00Z", "dep_gate": "D12",
        "dep_terminal": "2", "service_type": "J", "irregularity": "none",
    }  # fmt: skip


def test_schiphol_arrival_by_its_clock() -> None:
    patch = only(
        read(
            feed_schiphol.parse,
            schiphol(
                flightDirection="A", scheduleDateTime=None, scheduleDate="2026-03-01",
                scheduleTime="00:05:00", baggageClaim={"belts": ["15A"]},
                publicFlightState={"flightStates": ["LND", "AIR"]},
            ),
        )
    )  # fmt: skip
    assert name(patch) == "KL1234 LHR-AMS -"
    assert patch.set["sta"] == "2026-02-28T23:05:00Z"
    assert (patch.set["belts"], patch.set["phase"]) == (["15A"], "landed")


def test_schiphol_delayed_is_not_deleted_and_only_cnx_cancels() -> None:
    for states, found in ((["DEL"], "none"), (["TOM", "SCH"], "none"), (["CNX"], "cancelled")):
        patch = only(
            read(feed_schiphol.parse, schiphol(publicFlightState={"flightStates": states}))
        )
        assert patch.set["irregularity"] == found
    assert (
        "irregularity" not in only(read(feed_schiphol.parse, schiphol(publicFlightState=None))).set
    )


def test_schiphol_rows_of_code_shares_are_left_out() -> None:
    reading = read(feed_schiphol.parse, schiphol(flightName="DL9000"))
    assert (reading.patches, reading.complaints) == ([], [])


@pytest.mark.skipif(not SAMPLES.exists(), reason="the samples of airports are not here")
def test_a_real_page_of_schiphol() -> None:
    sample = (SAMPLES / "schiphol" / "schiphol-v3-flights.json").read_bytes()
    assert read(feed_schiphol.parse, sample).patches == []
    patch = only(read(feed_schiphol.parse, sample.replace(b"ZZ0000", b"AA9999")))
    assert name(patch) == "AA9999 CCC-AMS -"
    assert patch.set["aldt"] == "2000-11-11T22:50:53Z"


def hong_kong(status: str = "", arrival: bool = False, time: str = "23:50") -> bytes:
    row = {
        "time": time, "flight": [{"no": "CX 0888", "airline": "CPA"}, {"no": "AA 8901"}],
        "status": status, "terminal": "T1", "gate": "23", "baggage": "5", "destination": ["YVR"],
        "origin": ["NRT"],
    }  # fmt: skip
    return msgspec.json.encode([{"date": "2026-03-01", "arrival": arrival, "list": [row]}])


def test_hong_kong_departure_after_midnight() -> None:
    patch = only(read(feed_hongkong.parse, hong_kong("Dep 00:20")))
    assert name(patch) == "CX888 HKG-YVR -"
    assert patch.codeshares == [CodeShare(airline="AA", number=8901)]
    assert patch.set == {
        "std": "2026-03-01T15:50:00Z", "atd": "2026-03-01T16:20:00Z", "dep_gate": "23",
        "dep_terminal": "T1", "irregularity": "none",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "arrival", "column", "value"),
    [
        ("Est at 23:10", True, "eta", "2026-03-01T15:10:00Z"),
        ("At gate 00:05 (02/03/2026)", True, "ata", "2026-03-01T16:05:00Z"),
        ("Final Call", False, "phase", "final_call"),
        ("Cancelled", False, "irregularity", "cancelled"),
        ("Boarding Soon", False, "irregularity", "none"),
    ],
)
def test_hong_kong_status(status: str, arrival: bool, column: str, value: str) -> None:
    assert only(read(feed_hongkong.parse, hong_kong(status, arrival))).set[column] == value


def test_hong_kong_unknown_status_and_faults() -> None:
    reading = read(feed_hongkong.parse, hong_kong("Gone fishing"))
    assert reading.unknown == {"status Gone fishing": 1}
    assert "irregularity" not in only(reading).set
    assert read(feed_hongkong.parse, hong_kong(time="25:00")).complaints[0].field == "time"


def finavia(side: str, members: str) -> str:
    return (
        f'<flights xmlns="http://www.finavia.fi/FlightsService.xsd"><{side}><header/><body>'
        f"<flight><h_apt>HEL</h_apt><fltnr>FIN123</fltnr><route_1>OSL</route_1>"
        f"<sdt>2026-03-01T10:15:00Z</sdt>{members}</flight></body></{side}></flights>"
    )


def test_finavia_departures_and_arrivals() -> None:
    more = "<est_d>2026-03-01T10:30:00Z</est_d><pest_d>2026-03-01T10:40:00Z</pest_d>"
    more += "<gate>24</gate><cflight_1>AY123</cflight_1><cflight_2>SK9000</cflight_2>"
    left = only(read(feed_finavia.parse, finavia("dep", f"{more}<prt>Boarding</prt>")))
    assert name(left) == "FIN123 HEL-OSL -"
    assert left.set == {
        "std": "2026-03-01T10:15:00Z", "etd": "2026-03-01T10:40:00Z", "dep_gate": "24",
        "irregularity": "none", "phase": "boarding",
    }  # fmt: skip
    came = only(read(feed_finavia.parse, finavia("arr", "<bltarea>3</bltarea><ablk_d/>")))
    assert name(came) == "FIN123 OSL-HEL -"
    assert came.set == {"sta": "2026-03-01T10:15:00Z", "belts": ["3"]}


def test_finavia_status_and_faults() -> None:
    cancelled = read(feed_finavia.parse, finavia("dep", "<prt>Cancelled</prt>"))
    assert only(cancelled).set["irregularity"] == "cancelled"
    odd = read(feed_finavia.parse, finavia("dep", "<prt>Peruttu</prt>"))
    assert odd.unknown == {"status Peruttu": 1}
    faulty = finavia("dep", "").replace("2026-03-01T10:15:00Z", "")
    assert read(feed_finavia.parse, faulty).complaints[0].field == "sdt"
    for body in ("<flights/>", "<a/>", "slow down"):
        with pytest.raises(BodyRefused):
            read(feed_finavia.parse, body)
