"""Airlines and airports out of CSV: what is good is taken, what is not has its line."""

from importlib import resources

import pytest

from api.reference_csv import read_airlines, read_airports

AIRPORTS = "iata,icao,name,city,country,tz,lat,lon\n"
OSLO = "OSL,ENGM,Gardermoen,Oslo,NO,Europe/Oslo,60.19,11.10\n"


def test_columns_come_in_any_order_and_others_are_ignored() -> None:
    table = read_airlines("\ufeffName;x,ICAO,Name,IATA\n1,dlh,Lufthansa,lh\n2,QQX,Quick,\n")
    assert table.faults == []
    assert table.rows == {
        "LH": {"iata": "LH", "icao": "DLH", "name": "Lufthansa"},
        "QQX": {"iata": "QQX", "icao": "QQX", "name": "Quick"},
    }


def test_an_airport_has_its_zone_and_place() -> None:
    table = read_airports(AIRPORTS + OSLO + ",ENXX,Field,,NO,Europe/Oslo,,\n")
    assert table.faults == []
    assert table.rows == {
        "OSL": {
            "iata": "OSL", "icao": "ENGM", "name": "Gardermoen", "city": "Oslo", "country": "NO",
            "tz": "Europe/Oslo", "lat": 60.19, "lon": 11.1,
        }
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("OS,ENGM,Oslo,,,Europe/Oslo,,", "iata 'OS'"),
        ("OSL,EN,Oslo,,,Europe/Oslo,,", "icao 'EN'"),
        ("OSL,ENGM,Oslo,,,Europe/Atlantis,,", "tz 'Europe/Atlantis'"),
        ("OSL,ENGM,Oslo,,,Europe/Oslo,91,0", "lat '91'"),
        ("OSL,ENGM,Oslo,,,Europe/Oslo,north,0", "could not convert"),
        ("OSL,ENGM,Os\x07lo,,,Europe/Oslo,,", "name must be printable"),
    ],
)
def test_a_bad_line_is_named_and_costs_no_other(line: str, reason: str) -> None:
    table = read_airports(AIRPORTS + line + "\n" + OSLO)
    assert [fault[0] for fault in table.faults] == [2]
    assert reason in table.faults[0][1]
    assert list(table.rows) == ["OSL"]


def test_a_file_of_another_kind_is_refused_by_its_heading() -> None:
    assert read_airports("code,place\nOSL,Oslo\n").faults == [(1, "the heading lacks iata, tz")]
    assert read_airlines("").faults == [(1, "the heading lacks name")]


def test_our_own_airlines_are_good_and_each_code_occurs_once() -> None:
    own = resources.files("api").joinpath("resources", "airlines.csv").read_text("utf-8")
    table = read_airlines(own)
    assert table.faults == []
    assert len(table.rows) == own.count("\n") - 1
    icao = [row["icao"] for row in table.rows.values()]
    assert len(set(icao)) == len(icao)
