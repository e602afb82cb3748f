"""Commands that bring airlines and airports into the database."""

from importlib import resources
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.cli_feeds import fail, run
from api.reference_csv import Table, read_airlines, read_airports
from api.replay_source import SourceMissing, package_file

SHOWN = 5
OWN_AIRLINES = "airlines.csv"

PUT_AIRLINE = text("""
    INSERT INTO airline AS known (iata, icao, name) VALUES (:iata, :icao, :name)
    ON CONFLICT (iata) DO UPDATE SET icao = excluded.icao, name = excluded.name
      WHERE (known.icao, known.name) IS DISTINCT FROM (excluded.icao, excluded.name)""")
PUT_AIRPORT = text("""
    INSERT INTO airport AS known (iata, icao, name, city, country, tz, lat, lon)
    VALUES (:iata, :icao, :name, :city, :country, :tz, :lat, :lon)
    ON CONFLICT (iata) DO UPDATE SET icao = excluded.icao, name = excluded.name,
      city = excluded.city, country = excluded.country, tz = excluded.tz, lat = excluded.lat,
      lon = excluded.lon, placeholder = false""")

imports = typer.Typer(help="Airlines and airports.", no_args_is_help=True)


@imports.command()
def airlines(
    file: Annotated[
        Path | None,
        typer.Argument(help="CSV with iata, icao, name. Default: the larger carriers."),
    ] = None,
) -> None:
    """Add and correct airlines: feeds may then call them by ICAO codes."""
    content = _content(file) if file is not None else _own_airlines()
    _put(read_airlines(content), PUT_AIRLINE, "airlines")


@imports.command()
def airports(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="CSV with iata, icao, name, city, country, tz, lat, lon. Default: the package"
            " airportsdata (gatecast[days])."
        ),
    ] = None,
) -> None:
    """Add and correct airports: their zones, cities and ICAO codes."""
    try:
        path = file or package_file("airportsdata", "airports.csv")
    except SourceMissing as missing:
        raise fail(str(missing)) from None
    _put(read_airports(_content(path)), PUT_AIRPORT, "airports")


def _put(table: Table, statement: TextClause, what: str) -> None:
    for line, reason in table.faults[:SHOWN]:
        typer.echo(f"line {line}: {reason}", err=True)
    if len(table.faults) > SHOWN:
        typer.echo(f"… and {len(table.faults) - SHOWN:,} lines more", err=True)
    if not table.rows:
        raise fail(f"there are no {what} in it")
    rows = sorted(table.rows.values(), key=lambda row: str(row["iata"]))

    async def put(engine: AsyncEngine) -> None:
        async with engine.begin() as connection:
            await connection.execute(statement, rows)

    run(put)
    left_out = f", {len(table.faults):,} lines left out" if table.faults else ""
    typer.echo(f"{len(rows):,} {what}{left_out}; feeds use them within a minute.")


def _own_airlines() -> str:
    return resources.files("api").joinpath("resources", OWN_AIRLINES).read_text("utf-8")


def _content(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise fail(f"{file} cannot be read as UTF-8 text: {error}") from None
