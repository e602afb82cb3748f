"""Season schedules as SSIM chapter 7: legs of the next two weeks from records of 200 columns. Pure.

A file is loaded again each day, which brings one more day. Marketing duplicates of a leg are left
out; the numbers that an operating leg is sold under are its code-shares.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from msgspec import Struct

from api.feed import CodeShare, Patch, PatchKey, Reading, Reference
from api.feed_manner import BodyRefused, Manner
from api.feed_times import text_of
from api.feed_words import Gathering, Values, airline, airport, codeshares, number
from api.fields import PatchRefused

COLUMNS = 200
HEADER = "AIRLINE STANDARD SCHEDULE DATA SET"
BEHIND, AHEAD = timedelta(days=1), timedelta(days=14)
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
OPEN_END = "00XXX00"
DAY_BEFORE = frozenset("AJ")
MARKETED, DUPLICATE = "010", "050"
NUMBERS = re.compile(r"([A-Z0-9]{2}[A-Z ]?) *([0-9]{1,4})([A-Z]?)")
DAY = timedelta(days=1)


class Leg(Struct):
    """A record 3, and what the records 4 behind it say of it."""

    place: int
    line: str
    local: bool
    shares: list[str]
    duplicate: bool = False


def parse(body: bytes, now: datetime, reference: Reference, manner: Manner) -> Reading:
    """Every dated leg from yesterday to two weeks ahead."""
    text = body.decode("ascii", "replace")
    if HEADER not in text[:COLUMNS]:
        raise BodyRefused(f"the first record must be 1{HEADER}")
    gathered = Gathering()
    shifts: dict[str, int] = {}
    for leg in _legs(text):
        if leg.duplicate:
            continue
        with gathered.record(leg.place):
            for patch in _dated(leg, now, shifts):
                gathered.take(patch)
    return gathered.done()


def _legs(text: str) -> Iterator[Leg]:
    local, leg = False, None
    for place, raw in enumerate(text.splitlines()):
        line = raw.ljust(COLUMNS)
        if line[0] == "2":
            local = line[1] == "L"
        elif line[0] == "3":
            if leg is not None:
                yield leg
            leg = Leg(place, line, local, [])
        elif line[0] == "4" and leg is not None:
            if line[30:33] == DUPLICATE:
                leg.duplicate = True
            elif line[30:33] == MARKETED:
                found = NUMBERS.findall(line[39:194])
                leg.shares += [a.strip() + b + c for a, b, c in found]
    if leg is not None:
        yield leg


def _dated(leg: Leg, now: datetime, shifts: dict[str, int]) -> Iterator[Patch]:
    """One patch for each day on which it operates."""
    line = leg.line
    own = (airline(line[2:5]), number(line[5:9]), line[1].strip())
    dep, arr = airport(line[36:39], "departure"), airport(line[54:57], "arrival")
    shares = codeshares(leg.shares, own)
    flight, east = line[1:11], _offset(line[47:52], "departure offset")
    leaves = _clock(line[39:43], "std") + DAY * _change(line[192])
    lands = _clock(line[61:65], "sta") + DAY * _change(line[193])
    if line[11:13].strip() in ("", "01", "1"):
        # In UTC mode the flight's own day, at its first airport, may be another than the record's.
        shifts[flight] = 0 if leg.local else (leaves + east) // DAY
    if leg.local:
        leaves, lands = leaves - east, lands - _offset(line[65:70], "arrival offset")
    for day in _days(line, now):
        origin = day + DAY * shifts.get(flight, 0)
        midnight = datetime.combine(day, time(), UTC)
        values = _values(line, midnight + leaves, midnight + lands)
        yield _patch(own, origin, dep, arr, now, values, shares)


def _patch(
    own: tuple[str, int, str], origin: date, dep: str, arr: str, now: datetime, values: Values,
    shares: list[CodeShare],
) -> Patch:  # fmt: skip
    key = PatchKey(
        airline=own[0], number=own[1], suffix=own[2], origin_date=origin, dep=dep, arr=arr
    )
    return Patch(key=key, source_ts=now, set=values, codeshares=shares)


def _values(line: str, std: datetime, sta: datetime) -> Values:
    values: Values = {"std": text_of(std), "sta": text_of(sta)}
    for name, text in (
        ("service_type", line[13]), ("dep_terminal", line[52:54]), ("arr_terminal", line[70:72]),
        ("aircraft_type", line[72:75]),
    ):  # fmt: skip
        if text.strip():
            values[name] = text.strip()
    return values


def _days(line: str, now: datetime) -> Iterator[date]:
    """Days of the period within the window; every other week where the record says so."""
    first = _date(line[14:21])
    last = now.date() + AHEAD if line[21:28] == OPEN_END else _date(line[21:28])
    weeks = 2 if line[35] == "2" else 1
    day = max(first, now.date() - BEHIND)
    while day <= min(last, now.date() + AHEAD):
        fits = str(day.isoweekday()) in line[28:35]
        if fits and ((day - first).days // 7) % weeks == 0:
            yield day
        day += DAY


def _date(text: str) -> date:
    """01APR18; of two digits of a year this century is meant."""
    month = text[2:5].upper()
    try:
        return date(2000 + int(text[5:7]), MONTHS.index(month) + 1, int(text[:2]))
    except ValueError:
        raise PatchRefused("bad_value", "period", f"{text!r} is no date such as 01APR26") from None


def _clock(text: str, field: str) -> timedelta:
    if re.fullmatch("[0-9]{4}", text) is None or int(text[2:]) > 59 or int(text) > 2400:
        raise PatchRefused("bad_value", field, f"{text!r} is no time such as 0915")
    return timedelta(hours=int(text[:2]), minutes=int(text[2:]))


def _offset(text: str, field: str) -> timedelta:
    if re.fullmatch("[+-][0-9]{4}", text) is None:
        raise PatchRefused("bad_value", field, f"{text!r} is no offset such as +0100")
    span = timedelta(hours=int(text[1:3]), minutes=int(text[3:]))
    return -span if text[0] == "-" else span


def _change(sign: str) -> int:
    if sign in DAY_BEFORE:
        return -1
    return int(sign) if sign.isascii() and sign.isdecimal() else 0
