"""Movement messages: times without dates, legs of which one end is told, corrections, returns."""

import pytest

from api.feed_manner import BodyRefused
from api.feed_typeb import parse
from tests.support.adapters import NOW, SAMPLES, name, only, read


def test_a_departure_with_its_estimated_arrival() -> None:
    patch = only(
        read(parse, "MVT\nXY100/01.LNXYA.OSL\nAD0845/0856 EA1030 LHR\nDL72/0015\nPX145\nSI DEICING")
    )
    assert name(patch) == "XY100 OSL-LHR -"
    assert patch.set == {
        "atd": "2026-03-01T08:45:00Z", "atot": "2026-03-01T08:56:00Z",
        "eldt": "2026-03-01T10:30:00Z", "registration": "LNXYA",
    }  # fmt: skip
    assert patch.source_ts == NOW


def test_an_arrival_names_one_airport() -> None:
    patch = only(read(parse, "MVA\nXYZ73P/01.OSL\nAA0815/0822\n"))
    assert name(patch) == "XYZ73P -OSL -"
    assert patch.set == {"aldt": "2026-03-01T08:15:00Z", "ata": "2026-03-01T08:22:00Z"}


def test_a_flight_over_midnight() -> None:
    sent = ".OSLKKXY 010040"
    patch = only(read(parse, f"QU LHRKKXY\n{sent}\nMVT\nXY7/28.OSL\nAD2355/0010 EA0130 LHR"))
    assert patch.set["atd"] == "2026-02-28T23:55:00Z"
    assert patch.set["atot"] == "2026-03-01T00:10:00Z"
    assert patch.set["eldt"] == "2026-03-01T01:30:00Z"
    assert patch.source_ts.isoformat() == "2026-03-01T00:40:00+00:00"


def test_days_of_the_month_are_kept() -> None:
    patch = only(read(parse, "MVT\nXY7/28.OSL\nAD282350/010005"))
    assert (patch.set["atd"], patch.set["atot"]) == ("2026-02-28T23:50:00Z", "2026-03-01T00:05:00Z")


def test_two_legs_under_one_number() -> None:
    reading = read(parse, "MVT\nXY100/01.OSL\nAD0500/0510 EA0700 LHR\nAD0740/0750 EA1500 JFK")
    assert [name(patch) for patch in reading.patches] == ["XY100 OSL-LHR -", "XY100 LHR-JFK -"]
    assert reading.records == [0, 0]


def test_a_diversion_keeps_the_planned_airport_unsaid() -> None:
    patch = only(read(parse, "DIV\nXY100/01.OSL\nEA1030 AMS\nDR71\n"))
    assert name(patch) == "XY100 OSL- -"
    assert patch.set == {
        "irregularity": "diverted", "divert_airport": "AMS", "eldt": "2026-03-01T10:30:00Z"
    }  # fmt: skip


def test_returns_and_new_estimates() -> None:
    back = only(read(parse, "MVT\nXY1/01.OSL\nRR0850\nNI1000\n"))
    assert (back.set["irregularity"], back.clear) == ("returned_to_gate", ["atd"])
    assert back.set["next_info_at"] == "2026-03-01T10:00:00Z"
    air = only(read(parse, "COR MVT\nXY1/01.OSL\nFR0850\n"))
    assert (air.set["irregularity"], air.set["divert_airport"]) == ("air_return", "OSL")
    late = only(read(parse, "MVT\nXY1/01.OSL\nED012130"))
    assert late.set["etd"] == "2026-03-01T21:30:00Z"


def test_several_messages_in_one_body() -> None:
    body = "MVT\nXY1/01.OSL\nAD0830\n\nMVT\nNONSENSE\nAD0830\n\nMVT\nXY3/01.OSL\nAD0835 QXX77\n"
    reading = read(parse, body)
    assert reading.records == [0, 2]
    assert [(each.record, each.field) for each in reading.complaints] == [(1, "flight")]
    assert reading.unknown == {"token QXX77": 1}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("MVT\nXY1/01.OSL\nAD0930", "implausible_time"),  # not yet
        ("MVT\nXY1/01.OSL\nAD2460", "bad_value"),
        ("MVT\nXY1/27.OSL\nAD0930", "implausible_time"),  # of which day?
        ("MVT\nXY1/40.OSL\nAD0930", "bad_value"),
        ("MVT\nXY1/01.OSL\nPX12", "bad_value"),
        ("MVT", "bad_value"),
        (".OSLKKXY 990000\nMVT\nXY1/01.OSL\nAD0830", "bad_value"),
    ],
)
def test_what_cannot_be_told_is_a_complaint(text: str, code: str) -> None:
    reading = read(parse, text)
    assert [each.code for each in reading.complaints] == [code]
    assert reading.patches == []


@pytest.mark.parametrize("body", [b"", b"hello", b"\xff\xfe\x00", b"MVT\nXY1/01.OSL\n" * 600])
def test_a_body_without_messages_or_with_too_many_is_refused(body: bytes) -> None:
    with pytest.raises(BodyRefused):
        read(parse, body)


@pytest.mark.skipif(not SAMPLES.exists(), reason="the samples of airports are not here")
def test_real_messages() -> None:
    text = (SAMPLES / "typeb" / "mvt-samples.txt").read_text().replace("/27.", "/28.")
    reading = read(parse, "\n.LHRKKBA 281700\n".join(["", *text.split("\n\n")]))
    names = [name(patch) for patch in reading.patches]
    assert names == ["BA100 LHR-CDG -", "BA100 LHR-CDG -", "BA100 CDG-FRA -"]
    assert reading.complaints == []
