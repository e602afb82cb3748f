"""Airlines and airports out of CSV files with a heading, checked row by row. Pure."""

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from io import StringIO
from typing import NamedTuple
from zoneinfo import available_timezones

AIRLINE = re.compile("[A-Z0-9]{2}")
THREE = re.compile("[A-Z]{3}")
ICAO_AIRPORT = re.compile("[A-Z0-9]{4}")
NONE = frozenset({"", "-", "\\N", "N/A"})

Row = dict[str, str | float | None]
Read = Callable[[Mapping[str, str]], Row]


class Table(NamedTuple):
    """Good rows by IATA code, and what was wrong with others: line and reason.

    Airfields without IATA code are left out: no leg can name them.
    """

    rows: dict[str, Row]
    faults: list[tuple[int, str]]


def read_airlines(text: str) -> Table:
    """Columns iata, icao and name; a carrier without IATA code goes by its three letters."""
    return _read(text, {"name"}, _airline)


def read_airports(text: str) -> Table:
    """Columns iata, icao, name, city, country, tz, lat and lon; only iata and tz must be there."""
    return _read(text, {"iata", "tz"}, _airport_reader(available_timezones()))


def _read(text: str, needed: set[str], read: Read) -> Table:
    lines = csv.DictReader(StringIO(text.removeprefix("\ufeff")))
    names = {name.strip().lower(): name for name in lines.fieldnames or () if name}
    if absent := needed - names.keys():
        return Table({}, [(1, f"the heading lacks {', '.join(sorted(absent))}")])
    table = Table({}, [])
    for number, row in _rows(lines, names):
        try:
            found = read(row)
        except ValueError as error:
            table.faults.append((number, str(error)))
        else:
            if found["iata"]:
                table.rows.setdefault(str(found["iata"]), found)
    return table


def _rows(
    lines: "csv.DictReader[str]", names: Mapping[str, str]
) -> Iterator[tuple[int, dict[str, str]]]:
    for line in lines:
        values = {name: (line[column] or "").strip() for name, column in names.items()}
        yield lines.line_num, {name: "" if v in NONE else v for name, v in values.items()}


def _airline(row: Mapping[str, str]) -> Row:
    iata, icao = row.get("iata", "").upper(), row.get("icao", "").upper()
    if icao and THREE.fullmatch(icao) is None:
        raise ValueError(f"icao {icao[:16]!r} is not three letters")
    if not iata and icao:
        iata = icao
    elif AIRLINE.fullmatch(iata) is None or iata.isdigit():
        raise ValueError(f"iata {iata[:16]!r} is not two letters or digits")
    return {"iata": iata, "icao": icao or None, "name": _name(row) or iata}


def _airport_reader(zones: set[str]) -> Read:
    def read(row: Mapping[str, str]) -> Row:
        iata, icao = row["iata"].upper(), row.get("icao", "").upper()
        if iata and THREE.fullmatch(iata) is None:
            raise ValueError(f"iata {iata[:16]!r} is not three letters")
        if icao and ICAO_AIRPORT.fullmatch(icao) is None:
            raise ValueError(f"icao {icao[:16]!r} is not four letters or digits")
        if row["tz"] not in zones:
            raise ValueError(f"tz {row['tz'][:40]!r} is no zone such as Europe/Oslo")
        return {
            "iata": iata, "icao": icao or None, "name": _name(row) or iata,
            "city": _name(row, "city"), "country": _name(row, "country"), "tz": row["tz"],
            "lat": _degrees(row, "lat", 90), "lon": _degrees(row, "lon", 180),
        }  # fmt: skip

    return read


def _name(row: Mapping[str, str], column: str = "name") -> str:
    text = row.get(column, "")
    if len(text) > 100 or not text.isprintable():
        raise ValueError(f"{column} must be printable text of at most 100 characters")
    return text


def _degrees(row: Mapping[str, str], column: str, most: float) -> float | None:
    text = row.get(column, "")
    if not text:
        return None
    degrees = float(text)
    if not -most <= degrees <= most:
        raise ValueError(f"{column} {text[:16]!r} is not between -{most:g} and {most:g}")
    return degrees
