"""CSV in and out: headings, encodings, times, formulas, and what spoils a row or a file."""

import csv
import io

import pytest

from api.feed import CodeShare
from api.feed_csv import EXPORTED, parse, write
from api.feed_manner import BodyRefused
from tests.support.adapters import NOW, SAMPLES, name, only, read

HEADING = "flight,origin_date,dep,arr,std,dep_gate"
ROW = "XY 0123,2026-03-01,OSL,LHR,2026-03-01T11:15:00+01:00,B22"


def codes(body: str, **manner: str) -> list[tuple[int | None, str, str | None]]:
    found = read(parse, body, **manner).complaints
    return [(each.record, each.code, each.field) for each in found]


def test_a_row_is_a_leg() -> None:
    reading = read(parse, f"{HEADING}\n{ROW}\n")
    patch = only(reading)
    assert name(patch) == "XY123 OSL-LHR 2026-03-01"
    assert patch.set == {"std": "2026-03-01T10:15:00Z", "dep_gate": "B22"}
    assert (patch.clear, patch.source_ts, reading.records) == ([], NOW, [0])


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_delimiters_endings_and_encodings_are_seen(
    delimiter: str, ending: str, encoding: str
) -> None:
    lines = [f"{HEADING},public_remark", f'{ROW},"Verspätet, nächste\u00a0Info"']
    rows = list(csv.reader(lines))
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter, lineterminator=ending).writerows(rows)
    patch = only(read(parse, buffer.getvalue().encode(encoding)))
    assert patch.set["public_remark"] == "Verspätet, nächste\u00a0Info"


def test_columns_may_have_names_of_their_own() -> None:
    body = f"Flug;Tag;Von;Nach;Plan;Gate;Crew\n{ROW.replace(',', ';')};7\n"
    columns = "Flug=flight,Tag=origin_date,Von=dep,Nach=arr,Plan=std,Gate=dep_gate"
    reading = read(parse, body, columns=columns)
    assert name(only(reading)) == "XY123 OSL-LHR 2026-03-01"
    assert reading.unknown == {"column Crew": 1}


def test_times_without_offset_need_to_be_told_where_they_are() -> None:
    heading = "flight,date,dep,arr,std,sta,etd"
    row = "XY1,2026-03-01,OSL,LHR,10:15,1140,2026-03-01 24:00"
    assert codes(f"{heading}\n{row}\n") == [(0, "bad_value", "std")]
    local = only(read(parse, f"{heading}\n{row}\n", times="local"))
    assert local.key.origin_date is None
    assert local.set == {
        "std": "2026-03-01T09:15:00Z", "sta": "2026-03-01T11:40:00Z", "etd": "2026-03-01T23:00:00Z"
    }  # fmt: skip
    utc = only(read(parse, f"{heading}\n{row}\n", times="utc"))
    assert utc.set["std"] == "2026-03-01T10:15:00Z"


def test_a_clock_that_jumps_or_repeats_is_read_as_airports_mean_it() -> None:
    heading = "flight,dep,arr,std\n"
    jumped = only(read(parse, heading + "XY1,OSL,LHR,2026-03-29 02:30", times="local"))
    assert jumped.set["std"] == "2026-03-29T01:30:00Z"
    twice = only(read(parse, heading + "XY1,OSL,LHR,2026-10-25 02:30", times="local"))
    assert twice.set["std"] == "2026-10-25T00:30:00Z"


def test_empty_cells_say_nothing_unless_they_clear() -> None:
    body = "flight,origin_date,dep,arr,std,dep_gate,belts,etd\nXY1,2026-03-01,OSL,LHR,,,7;8,null"
    kept = only(read(parse, body))
    assert (kept.set, kept.clear) == ({"belts": ["7", "8"]}, ["etd"])
    cleared = only(read(parse, body, empty="clear"))
    assert (cleared.set, cleared.clear) == ({"belts": ["7", "8"]}, ["dep_gate", "etd"])


@pytest.mark.parametrize("cell", ["=1+1", "+47 22", "-2", "@SUM(A1)", "'=1", '"\t=1"', "=cmd|x!A0"])
def test_a_formula_is_refused_and_its_neighbours_are_read(cell: str) -> None:
    heading, other = f"{HEADING},public_remark", ROW.replace("0123", "124")
    cell = cell.replace("|", "¦")
    reading = read(parse, f"{heading}\n{ROW},{cell}\n{other},fine\n")
    assert [(each.record, each.code, each.field) for each in reading.complaints] == [
        (0, "formula", "public_remark")
    ]
    assert [name(patch) for patch in reading.patches] == ["XY124 OSL-LHR 2026-03-01"]
    assert reading.records == [1]


def test_what_spreadsheets_put_around_a_number_is_taken_off() -> None:
    body = 'airline,number,dep,arr,std\nXY,"=""0123""",OSL,LHR,2026-03-01T10:15:00Z\n'
    assert only(read(parse, body)).key.number == 123


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("XY1,1926-13-01,OSL,LHR,,", ("bad_value", "date")),
        ("XY1,01/03/26,OSL,LHR,,", ("bad_value", "date")),
        ("XY1,2026-03-01,OSL,LHR,2026-03-01T25:00:00Z,", ("bad_value", "std")),
        ("XY1,2026-03-01,OSL,LHR,0000-00-00T00:00:00Z,", ("bad_value", "std")),
        ("XY1,2026-03-01,OSL,LHR,9999-12-31T24:00:00Z,", ("bad_value", "std")),
        ("HELLO,2026-03-01,OSL,LHR,,", ("bad_value", "flight")),
        ("XY0,2026-03-01,OSL,LHR,,", ("bad_value", "flight")),
        ("XY1,2026-03-01,,LHR,,", ("bad_value", "dep")),
        ("XY1,2026-03-01,OSL,LHR,,B22,too,many", ("bad_row", "row")),
    ],
)
def test_a_faulty_row_is_a_complaint(row: str, fault: tuple[str, str]) -> None:
    assert codes(f"{HEADING}\n{row}\n{ROW}\n") == [(0, *fault)]


@pytest.mark.parametrize(
    ("body", "manner"),
    [
        (b"", {}),
        (b"hello", {}),
        (b"\x00\x01,\x02", {}),
        (b"\x81\x8d,\x8f\n", {}),
        (b"flight,dep,arr\nXY1,OSL,LHR\n", {}),
        (b"flight,dep,arr,std,std\n", {}),
        (b"flight,dep,arr,std\n", {"columns": "Gate=dep_gate"}),
        (b"flight,dep,arr,std\n", {"columns": "dep=gate"}),
        (b"flight,dep,arr,std\n", {"encoding": "rot13"}),
        (b"flight,dep,arr,std\n" + b"x" * 200_000, {}),
        (b"flight,dep,arr,std\n" + b"\n" * 50_000, {}),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_whole(body: bytes, manner: dict[str, str]) -> None:
    with pytest.raises(BodyRefused, match=r"\w{4}"):
        read(parse, body, **manner)


def test_a_slot_coordinators_list_is_known_by_its_headings() -> None:
    body = (
        "A/C,Airport,ArrDep,Date,LastNext,Ope,OrigDest,ServNo,ST,Term,Time\n"
        "32A,LHR,A,2026-03-13,OSL,XY,TOS,0460,J,2I,0710\n"
        "32A,LHR,D,2026-03-13,OSL,XY,TOS,0461P,J,,0755\n"
        "32A,LHR,X,2026-03-13,OSL,XY,TOS,0462,J,,0755\n"
    )
    reading = read(parse, body)
    assert [name(patch) for patch in reading.patches] == ["XY460 OSL-LHR -", "XY461P LHR-OSL -"]
    assert [patch.set for patch in reading.patches] == [
        {"sta": "2026-03-13T07:10:00Z", "arr_terminal": "2", "service_type": "J",
         "aircraft_type": "32A"},
        {"std": "2026-03-13T07:55:00Z", "service_type": "J", "aircraft_type": "32A"},
    ]  # fmt: skip
    assert [(each.record, each.field) for each in reading.complaints] == [(2, "ArrDep")]


@pytest.mark.skipif(not SAMPLES.exists(), reason="the samples of airports are not here")
def test_a_real_slot_list() -> None:
    patch = only(read(parse, (SAMPLES / "csv-acl" / "acl-1.csv").read_bytes()))
    assert name(patch) == "4U460 CGN-LHR -"
    assert patch.set["sta"] == "2017-10-13T07:10:00Z"


def test_what_is_written_is_safe_in_a_spreadsheet_and_read_again_the_same() -> None:
    state = {
        "key": "XY1P-2026-03-01-OSL-LHR", "version": 3, "airline": "XY", "flight_no": 1,
        "suffix": "P", "origin_date": "2026-03-01", "dep_airport": "OSL", "arr_airport": "LHR",
        "std": "2026-03-01T10:15:00Z", "phase": "boarding", "irregularity": "none",
        "codeshares": [{"airline": "ZZ", "number": 4567}], "belts": ["7", "8"], "dep_gate": "B22",
    }  # fmt: skip
    patch = only(read(parse, "".join(write([state]))))
    assert name(patch) == "XY1P OSL-LHR 2026-03-01"
    assert patch.set == {
        "std": "2026-03-01T10:15:00Z", "irregularity": "none", "belts": ["7", "8"],
        "dep_gate": "B22",
    }  # fmt: skip
    assert patch.codeshares == [CodeShare(airline="ZZ", number=4567)]
    hostile = {**state, "public_remark": "=HYPERLINK(1)", "dep_gate": "@x", "belts": ["-1"]}
    (row,) = list(csv.DictReader(io.StringIO("".join(write([hostile])))))
    assert list(row) == list(EXPORTED)
    assert (row["public_remark"], row["dep_gate"], row["belts"]) == ("'=HYPERLINK(1)", "'@x", "'-1")


def test_complaints_are_bounded() -> None:
    body = HEADING + "\n" + "x,y,z,u,v,w\n" * 5_000
    reading = read(parse, body)
    assert len(reading.complaints) == 501
    assert reading.complaints[-1].text == "4500 more complaints are left out"
