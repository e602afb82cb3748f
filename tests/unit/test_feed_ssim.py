"""SSIM chapter 7: periods become dated legs, in UTC and local mode, over midnight and two legs."""

import pytest

from api.feed import CodeShare
from api.feed_manner import BodyRefused
from api.feed_ssim import parse
from tests.support.adapters import name, read

HEADER = "1AIRLINE STANDARD SCHEDULE DATA SET"


def leg(
    number: str = "0123", *, sequence: str = "01", period: str = "01MAR2603MAR26",
    days: str = "1234567", dep: str = "OSL1015+01001 ", arr: str = "LHR1235+00002 ",
    change: str = "00", rate: str = " ",
) -> str:  # fmt: skip
    """`dep`, `arr`: airport, time, offset and terminal, as the record joins them."""
    leaves, lands = dep[3:7], arr[3:7]
    line = f"3 XY {number}01{sequence}J{period}{days}{rate}"
    line += f"{dep[:3]}{leaves}{leaves}{dep[7:]}{arr[:3]}{lands}{lands}{arr[7:]}320"
    return line.ljust(192) + change + "000003"


def file(*lines: str, mode: str = "L") -> str:
    return "\n".join([HEADER, "0" * 200, f"2{mode}XY", *lines, "5 XY"])


def times(text: str) -> list[tuple[str, object, object]]:
    reading = read(parse, text)
    assert reading.complaints == []
    return [(name(p), p.set["std"], p.set["sta"]) for p in reading.patches]


def test_a_period_becomes_dated_legs() -> None:
    reading = read(parse, file(leg()))
    assert [name(patch) for patch in reading.patches] == [
        f"XY123 OSL-LHR 2026-03-0{day}" for day in (1, 2, 3)
    ]
    assert reading.patches[0].set == {
        "std": "2026-03-01T09:15:00Z", "sta": "2026-03-01T12:35:00Z", "service_type": "J",
        "dep_terminal": "1", "arr_terminal": "2", "aircraft_type": "320",
    }  # fmt: skip
    assert reading.records == [3, 3, 3]


def test_days_of_operation_weeks_and_open_ends() -> None:
    assert [found[0][-10:] for found in times(file(leg(days="1      ")))] == ["2026-03-02"]
    fortnight = times(file(leg(period="22FEB2600XXX00", days="      7", rate="2")))
    assert [found[0][-10:] for found in fortnight] == ["2026-03-08"]
    assert times(file(leg(period="01APR2601MAY26"))) == []


def test_utc_mode_keeps_the_local_day_of_the_first_airport() -> None:
    one = leg(period="01MAR2601MAR26", dep="OSL2330+01001 ", arr="LHR0150+00002 ", change="01")
    two = leg(
        sequence="02", period="01MAR2601MAR26", dep="LHR0300+00002 ", arr="JFK1100-05004 ",
        change="11",
    )  # fmt: skip
    assert times(file(one, two, mode="U")) == [
        ("XY123 OSL-LHR 2026-03-02", "2026-03-01T23:30:00Z", "2026-03-02T01:50:00Z"),
        ("XY123 LHR-JFK 2026-03-02", "2026-03-02T03:00:00Z", "2026-03-02T11:00:00Z"),
    ]


def test_numbers_that_it_is_sold_under_and_duplicates() -> None:
    shared = "4 XY 0123".ljust(30) + "010OSLLHR" + "ZZ 4567/AA 0012"
    double = "4 XY 0124".ljust(30) + "050OSLLHR" + "ZZ 0999"
    one = leg(period="01MAR2601MAR26")
    (patch,) = read(parse, file(one, shared, leg("0124"), double)).patches
    assert patch.codeshares == [
        CodeShare(airline="AA", number=12), CodeShare(airline="ZZ", number=4567)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (leg(dep="OSL2560+01001 "), "std"),
        (leg(period="31FEB2603MAR26"), "period"),
        (leg("0000"), "number"),
        (leg(dep="OSL1015 01001 "), "departure offset"),
        ("3", "airline"),
    ],
)
def test_a_faulty_record_is_a_complaint_and_its_neighbour_is_read(line: str, field: str) -> None:
    reading = read(parse, file(line, leg(period="01MAR2601MAR26")))
    assert [(each.record, each.field) for each in reading.complaints] == [(3, field)]
    assert [name(patch) for patch in reading.patches] == ["XY123 OSL-LHR 2026-03-01"]


def test_what_is_no_schedule_is_refused() -> None:
    with pytest.raises(BodyRefused):
        read(parse, "3 XY")
