"""`gatecast check`: what is wrong with an installation, and what to do."""

import asyncio

import msgspec
import typer

from api.checks import Finding, findings
from api.cli_feeds import Json, known_database_url
from realtime.settings import SettingsError, load_settings


def check(json: Json = False) -> None:
    """Look at settings, database, log, feeds, broker and ports; exit code 1 if anything fails."""
    try:
        settings = load_settings()
    except SettingsError as error:
        found = [Finding("settings", "fail", str(error))]
    else:
        found = asyncio.run(findings(settings, known_database_url(settings)))
    if json:
        typer.echo(msgspec.json.encode(found))
    else:
        for each in found:
            typer.echo(f"{each.level:<5} {each.name:<18} {each.text}")
    if any(each.level == "fail" for each in found):
        raise typer.Exit(1)
