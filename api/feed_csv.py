"""Legs as CSV: in, by named columns, and out, safe to open in a spreadsheet. Pure."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from types import MappingProxyType
from typing import Any

from api.feed import Patch, PatchKey, Reading, Reference
from api.feed_manner import BodyRefused, Manner
from api.feed_slots import SLOT_HEADINGS, read_slots
from api.feed_words import (
    MOST_LEGS,
    Gathering,
    Values,
    airline,
    airport,
    codeshares,
    day,
    decoded,
    flight_number,
    moment,
    number,
    said,
    shown,
)
from api.fields import FIELDS, REPLACED_ONLY, PatchRefused, instant

FORMULA = ("=", "+", "-", "@", "\t", "\r")
LONGEST_LINE = 16_384
DELIMITERS = ",;\t|"
KEY_COLUMNS = (
    "flight", "airline", "number", "suffix", "origin_date", "dep", "arr", "repeat", "date",
    "source_ts", "codeshares",
)  # fmt: skip
COLUMNS = frozenset({*KEY_COLUMNS, *FIELDS} - {"phase"})
CLEARED = "null"
QUOTED = "'"
ARRIVAL_TIMES = frozenset({"sta", "eta", "eldt", "aldt", "ata", "first_bag_at", "last_bag_at"})
TRUE, FALSE = frozenset({"true", "yes", "1"}), frozenset({"false", "no", "0"})
EXPORTED = (
    "key", "airline", "number", "suffix", "origin_date", "dep", "arr", "codeshares", "std", "etd",
    "atd", "atot", "sta", "eta", "eldt", "aldt", "ata", "phase", "irregularity", "divert_airport",
    "public_remark", "aircraft_type", "dep_terminal", "dep_gate", "check_in_from", "check_in_to",
    "arr_terminal", "arr_gate", "belts",
)  # fmt: skip
"""The headings of an export; all but `key` and `phase` are read again as they are."""
RENAMED: Mapping[str, str] = MappingProxyType({
    "number": "flight_no", "dep": "dep_airport", "arr": "arr_airport",
})  # fmt: skip
IGNORED = frozenset({"key", "phase", "version"})

Cells = Mapping[str, str]


def parse(body: bytes, now: datetime, reference: Reference, manner: Manner) -> Reading:
    """Columns are found by their headings, or by `manner.columns`; an empty cell says nothing."""
    lines = _lines(decoded(body, manner.encoding), manner.delimiter)
    heading = next(lines, [])
    gathered = Gathering()
    if set(heading) >= SLOT_HEADINGS:
        read_slots(heading, lines, now, gathered)
        return gathered.done()
    names = _columns(heading, manner.columns, gathered)
    for index, line in enumerate(lines):
        if not any(line):
            continue
        with gathered.record(index):
            if len(line) > len(names):
                raise PatchRefused("bad_row", "row", "has more cells than there are headings")
            cells = {name: cell for name, cell in zip(names, line, strict=False) if name}
            gathered.take(_leg(_cleaned(cells), now, reference, manner))
    return gathered.done()


def write(states: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Public states of legs as lines of CSV; no cell can be a formula."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    for row in (EXPORTED, *([_cell(state, name) for name in EXPORTED] for state in states)):
        writer.writerow(row)
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _lines(text: str, delimiter: str) -> Iterator[list[str]]:
    stripped = text.lstrip("\ufeff\r\n")
    first = stripped.partition("\n")[0]
    found = delimiter or max(DELIMITERS, key=first.count)
    if len(found) != 1 or found in '"\r\n' or first.count(found) == 0:
        raise BodyRefused(
            "the first line holds no headings between commas, semicolons, tabs or bars: send one"
            " column for each field, with its name on top"
        )
    reader = csv.reader(_short_lines(stripped), delimiter=found)
    try:
        for line in reader:
            if reader.line_num > MOST_LEGS * 4:
                raise BodyRefused(f"a file may hold at most {MOST_LEGS} legs: send several")
            yield [cell.strip() for cell in line]
    except csv.Error as error:
        raise BodyRefused(f"line {reader.line_num} is no CSV: {error}") from None


def _short_lines(text: str) -> Iterator[str]:
    for place, line in enumerate(io.StringIO(text, newline=""), 1):
        if len(line) > LONGEST_LINE:
            raise BodyRefused(f"line {place} has more than {LONGEST_LINE} characters")
        yield line


def _columns(heading: Sequence[str], wanted: str, gathered: Gathering) -> list[str]:
    """The field of each column; empty: it has none."""
    named = dict(_named(pair) for pair in wanted.split(",") if pair.strip())
    if unknown := sorted(set(named.values()) - COLUMNS):
        raise BodyRefused(f"{shown(unknown[0])} is no field: {', '.join(sorted(COLUMNS))}")
    if missing := sorted(named.keys() - set(heading)):
        raise BodyRefused(f"there is no heading {shown(missing[0])} in the first line")
    found = []
    for title in heading:
        plain = title.lower().replace(" ", "_").replace("-", "_")
        name = named.get(title, plain if plain in COLUMNS else "")
        if not name and plain not in IGNORED:
            gathered.puzzle("column", title)
        found.append(name)
    columns = set(found) - {""}
    if len(columns) < len([name for name in found if name]):
        raise BodyRefused("two columns speak of the same field: leave one of them out")
    if not ({"flight"} <= columns or {"airline", "number"} <= columns) or not (
        {"dep", "arr"} <= columns and columns & {"origin_date", "std", "sta"}
    ):
        raise BodyRefused(
            "columns are missing: there must be flight (or airline and number), dep, arr, and"
            " origin_date, std or sta; name them on top, or say columns=heading=field,…"
        )
    return found


def _named(pair: str) -> tuple[str, str]:
    title, _, name = pair.strip().rpartition("=")
    return title.strip(), name.strip()


def _cleaned(cells: Cells) -> Cells:
    """What spreadsheets put around a cell is taken off; a formula is refused."""
    found = {}
    for name, cell in cells.items():
        if len(cell) > 3 and cell.startswith('="') and cell.endswith('"'):
            cell = cell[2:-1]
        cell = cell[1:] if cell.startswith(QUOTED) else cell
        if cell.startswith(FORMULA):
            raise PatchRefused("formula", name, "begins like a formula of a spreadsheet")
        found[name] = cell
    return found


def _leg(cells: Cells, now: datetime, reference: Reference, manner: Manner) -> Patch:
    carrier, flight_no, suffix = _number(cells)
    dep, arr = (airport(cells.get(end, ""), end) for end in ("dep", "arr"))
    times = _Times(cells, dep, arr, reference, manner)
    values, clear = _values(cells, times, manner)
    source = cells.get("source_ts", "")
    shares = None
    if cells.get("codeshares"):
        others = cells["codeshares"].replace("/", ";").split(";")
        shares = codeshares(others, (carrier, flight_no, suffix))
    origin = cells.get("origin_date", "")
    key = PatchKey(
        airline=carrier, number=flight_no, suffix=suffix, dep=dep, arr=arr,
        origin_date=day(origin, "origin_date") if origin else None,
        repeat=number(cells["repeat"], "repeat") if cells.get("repeat") else 1,
    )  # fmt: skip
    return Patch(
        key=key, set=values, clear=clear, codeshares=shares,
        source_ts=moment(source, "source_ts", times.zone("std")) if source else now,
    )  # fmt: skip


def _number(cells: Cells) -> tuple[str, int, str]:
    if cells.get("flight"):
        return flight_number(cells["flight"])
    suffix = cells.get("suffix", "").upper()
    return airline(cells.get("airline", "")), number(cells.get("number", "")), suffix


class _Times:
    """Times of one row: with their offset, else as clocks of `manner.times` show them."""

    def __init__(
        self, cells: Cells, dep: str, arr: str, reference: Reference, manner: Manner
    ) -> None:
        self.dep, self.arr, self.reference, self.manner = dep, arr, reference, manner
        text = cells.get("date") or cells.get("origin_date", "")
        self.date: date | None = day(text, "date") if text else None

    def zone(self, name: str) -> str | None:
        """Of a time without an offset; None: it is refused."""
        if self.manner.times == "local":
            return self.reference.zone(self.arr if name in ARRIVAL_TIMES else self.dep)
        return "UTC" if self.manner.times == "utc" else None

    def read(self, name: str, cell: str) -> str:
        """As a patch has it."""
        return said(cell, name, self.zone(name), self.date)


def _values(cells: Cells, times: _Times, manner: Manner) -> tuple[Values, list[str]]:
    values: Values = {}
    clear: list[str] = []
    for name, cell in cells.items():
        if name not in FIELDS:
            continue
        if cell.lower() == CLEARED or (not cell and manner.empty == "clear"):
            clear += [] if name in REPLACED_ONLY or name == "hidden" else [name]
        elif cell:
            values[name] = _value(name, cell, times)
    return values, clear


def _value(name: str, cell: str, times: _Times) -> str | bool | list[str]:
    if FIELDS[name].read is instant:
        return times.read(name, cell)
    if name == "belts":
        return [belt.strip() for belt in cell.replace("/", ";").split(";")]
    if name == "hidden":
        if cell.lower() not in TRUE | FALSE:
            raise PatchRefused("bad_value", name, "must be true or false")
        return cell.lower() in TRUE
    return airport(cell, name) if name == "divert_airport" else cell


def _cell(state: Mapping[str, Any], name: str) -> str:
    value = state.get(RENAMED.get(name, name), "")
    if name == "codeshares":
        value = ";".join(
            f"{share['airline']}{share['number']}{share.get('suffix', '')}" for share in value or ()
        )
    elif isinstance(value, list):
        value = ";".join(map(str, value))
    text = str(value)
    return QUOTED + text if text.startswith((*FORMULA, QUOTED)) else text
