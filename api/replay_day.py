"""The legs of a day as history has them: shipped, from a file, or out of the extra `days`."""

import csv
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from hashlib import blake2b
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from msgspec import Struct

from api.feed import PatchKey
from api.replay_source import (
    NEW_YORK,
    Row,
    SourceMissing,
    airport_row,
    airport_rows,
    legs_of,
)

DAY_FILE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})\.csv")
MOST_DAYS = 31


class ReplayLeg(Struct, frozen=True, kw_only=True):
    """One leg as history has it; no departure delay = cancelled, no arrival delay = diverted."""

    airline: str
    number: int
    origin_date: date
    origin: str
    dest: str
    std: datetime
    sta: datetime
    dep_delay: int | None
    arr_delay: int | None
    air_time: int | None
    distance: int
    tailnum: str = ""

    @property
    def key(self) -> PatchKey:
        return PatchKey(
            airline=self.airline,
            number=self.number,
            origin_date=self.origin_date,
            dep=self.origin,
            arr=self.dest,
        )

    @property
    def boarding_time(self) -> timedelta:
        """From the start of boarding to off block."""
        return minutes(45 if self.distance >= 1500 else 35)

    @property
    def off_block(self) -> datetime | None:
        return None if self.dep_delay is None else self.std + minutes(self.dep_delay)

    @property
    def in_block(self) -> datetime | None:
        return None if self.arr_delay is None else self.sta + minutes(self.arr_delay)

    def noise(self, purpose: str) -> float:
        """In [0, 1), the same in every run."""
        return noise(f"{self.key.leg_key()}|{purpose}")


class Days(Struct, frozen=True):
    """What is played: its name, its legs and the reference rows that they need."""

    name: str
    first: date
    legs: Sequence[ReplayLeg]
    airports: Sequence[Row]
    airlines: Sequence[Row]


def minutes(number: float) -> timedelta:
    """In whole seconds, as a feed stamps its statements."""
    return timedelta(seconds=round(number * 60))


def noise(text: str) -> float:
    """In [0, 1), the same in every run."""
    return int.from_bytes(blake2b(text.encode(), digest_size=6).digest(), "big") / (1 << 48)


def shipped_days() -> list[date]:
    """The days that need no extra."""
    names = (DAY_FILE.fullmatch(item.name) for item in _shelf().iterdir())
    return sorted(date.fromisoformat(found[1]) for found in names if found)


def read_days(text: str) -> Days:
    """`2013-03-08`, `2013-03-07..2013-03-09` or the path of a CSV file named by its day.

    ValueError says in one sentence what is wrong and what to do.
    """
    if text.endswith(".csv"):
        path = Path(text)
        if (named := DAY_FILE.fullmatch(path.name)) is None:
            raise ValueError(f"{path.name} must be named by its day, such as 2013-03-08.csv")
        try:
            content = path.read_text("utf-8")
        except OSError as error:
            raise ValueError(f"cannot read {path}: {error.strerror}") from None
        wanted = [date.fromisoformat(named[1])]
        legs = _legs(wanted[0], content)
    else:
        wanted = span_of(text)
        legs = [leg for day in wanted for leg in load(day)]
    airports = {row["iata"]: row for row in rows_of("airports.csv")}
    absent = {code for leg in legs for code in (leg.origin, leg.dest)} - airports.keys()
    if absent and not text.endswith(".csv"):
        known = airport_rows()
        airports |= {code: airport_row(known[code]) for code in sorted(absent)}
    return Days(
        name=str(wanted[0]) if len(wanted) == 1 else f"{wanted[0]}..{wanted[-1]}",
        first=wanted[0],
        legs=legs,
        airports=list(airports.values()),
        airlines=rows_of("airlines.csv"),
    )


def span_of(text: str) -> list[date]:
    """Every day from the first to the last."""
    first, dots, last = text.partition("..")
    try:
        start = date.fromisoformat(first)
        end = date.fromisoformat(last) if dots else start
    except ValueError:
        raise ValueError(
            f"{text!r} is neither a day such as 2013-03-08 nor days such as 2013-03-07..2013-03-09"
        ) from None
    count = (end - start).days + 1
    if not 1 <= count <= MOST_DAYS:
        raise ValueError(f"{text} must be 1 to {MOST_DAYS} days, the earliest first")
    return [start + timedelta(days=n) for n in range(count)]


def load(day: date) -> list[ReplayLeg]:
    """The legs of a day by scheduled departure; ValueError says which days there are."""
    if day in (shipped := shipped_days()):
        return _legs(day, _shelf().joinpath(f"{day}.csv").read_text("utf-8"))
    try:
        return [leg_of(day, row) for row in legs_of(day, airport_rows())]
    except SourceMissing:
        known = ", ".join(map(str, shipped))
        raise ValueError(
            f"no replay of {day} is shipped; there is {known}, "
            "and every day of 2013 after: pip install gatecast[days]"
        ) from None


def rows_of(name: str) -> list[Row]:
    """A reference table of the replay."""
    return list(csv.DictReader(_shelf().joinpath(name).read_text("utf-8").splitlines()))


def _legs(day: date, content: str) -> list[ReplayLeg]:
    try:
        return [leg_of(day, row) for row in csv.DictReader(content.splitlines())]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the file of {day} is not a day of legs: {error}") from None


def _shelf() -> Traversable:
    return files("api").joinpath("resources", "replay")


def leg_of(day: date, row: Mapping[str, str]) -> ReplayLeg:
    def known(column: str) -> int | None:
        return int(row[column]) if row[column] else None

    if row["origin"] not in NEW_YORK:
        raise ValueError(f"legs leave from {', '.join(NEW_YORK)}, not from {row['origin']}")
    return ReplayLeg(
        airline=row["airline"],
        number=int(row["number"]),
        origin_date=day,
        origin=row["origin"],
        dest=row["dest"],
        std=datetime.fromisoformat(row["std"]),
        sta=datetime.fromisoformat(row["sta"]),
        dep_delay=known("dep_delay"),
        arr_delay=known("arr_delay"),
        air_time=known("air_time"),
        distance=int(row["distance"]),
        tailnum=row["tailnum"],
    )
