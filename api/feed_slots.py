"""Season lists of slot coordinators (CSV): planned movements of one airport, in UTC. Pure."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from api.feed import Patch, PatchKey
from api.feed_times import text_of
from api.feed_words import Gathering, Values, airline, airport, day, moment, number
from api.fields import PatchRefused

SLOT_HEADINGS = frozenset({"Airport", "ArrDep", "Date", "LastNext", "Ope", "ServNo", "Time"})
SERVICE_NUMBER = re.compile(r"([0-9]{1,4})([A-Z]?)")
TERMINAL = re.compile(r"([1-9])[A-Z]?")


def read_slots(
    heading: Sequence[str], lines: Iterable[Sequence[str]], now: datetime, gathered: Gathering
) -> None:
    """One planned movement a row; the leg is the one from the last, or to the next, station."""
    for index, line in enumerate(lines):
        if any(line):
            with gathered.record(index):
                gathered.take(_movement(dict(zip(heading, line, strict=False)), now))


def _movement(row: dict[str, str], now: datetime) -> Patch:
    found = SERVICE_NUMBER.fullmatch(row.get("ServNo", "").upper())
    direction = row.get("ArrDep", "").upper()
    if found is None:
        raise PatchRefused("bad_value", "ServNo", "is no number of a flight")
    if direction not in ("A", "D"):
        raise PatchRefused("bad_value", "ArrDep", "must be A or D")
    own = airport(row.get("Airport", ""), "Airport")
    other = airport(row.get("LastNext", ""), "LastNext")
    at = moment(row.get("Time", ""), "Time", "UTC", day(row.get("Date", ""), "Date"))
    dep, arr = (own, other) if direction == "D" else (other, own)
    key = PatchKey(
        airline=airline(row.get("Ope", "")), number=number(found[1], "ServNo"), suffix=found[2],
        dep=dep, arr=arr,
    )  # fmt: skip
    values: Values = {"std" if direction == "D" else "sta": text_of(at)}
    terminal = TERMINAL.fullmatch(row.get("Term", "").upper())
    if terminal is not None:
        values["dep_terminal" if direction == "D" else "arr_terminal"] = terminal[1]
    if re.fullmatch("[A-Z]", row.get("ST", "")):
        values["service_type"] = row["ST"]
    if 0 < len(row.get("A/C", "")) <= 8:
        values["aircraft_type"] = row["A/C"]
    return Patch(key=key, source_ts=now, set=values)
