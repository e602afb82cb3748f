"""What a demonstration prints: where to look, and a command to try on a leg that is there now."""

import asyncio
import contextlib
import shlex
import socket
import sys
from pathlib import Path

import segno
import typer
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.replay import Replay
from realtime.settings import Settings

HOME = "JFK"
GATE = "C3"
# Far enough ahead that it still waits at its gate when somebody has typed the line.
LEG_TO_TRY = text("""
SELECT key FROM flight_leg
WHERE dep_airport = :airport AND NOT hidden AND irregularity = 'none' AND atd IS NULL
  AND phase IN ('scheduled', 'check_in') AND dep_gate IS DISTINCT FROM :gate
  AND best_dep BETWEEN board_now() + interval '1 hour' AND board_now() + interval '6 hours'
ORDER BY dep_gate IS NULL, best_dep, key LIMIT 1""")


class Links:
    """Says where to look once there is something to see."""

    def __init__(self, settings: Settings, replay: Replay, engine: AsyncEngine) -> None:
        self.settings = settings
        self.replay = replay
        self.engine = engine

    async def run(self) -> None:
        await self.replay.opened.wait()
        base, airports = public_url(self.settings), self.replay.plan.airports
        home = HOME if HOME in airports else min(airports)
        leg_key = await leg_to_try(self.engine, home)
        typer.echo(f"\n  Departures   {base}/board/{home}/departures")
        typer.echo(f"  Passengers   {base}/airports/{home}")
        typer.echo(f"  API          {base}/api/flights?airport={home}&direction=departures")
        if others := ", ".join(sorted(airports - {home})):
            typer.echo(f"               also {others}")
        if self.replay.again:
            typer.echo("  When the day is over it starts over, accounts and follows go with it.")
        if leg_key is not None:
            typer.echo(f"  Try          {command(self.settings)} leg set {leg_key} dep_gate={GATE}")
        typer.echo("  Estimates, gates and belts are simulated. Ctrl-C stops; data is kept in")
        typer.echo(f"  {data_folder(self.settings)}\n")
        segno.make(f"{base}/airports/{home}", error="l").terminal(compact=True)
        sys.stdout.flush()
        await asyncio.Event().wait()


async def leg_to_try(engine: AsyncEngine, airport: str) -> str | None:
    """A leg on the departure board whose gate may still change."""
    async with engine.connect() as connection:
        found = await connection.execute(LEG_TO_TRY, {"airport": airport, "gate": GATE})
        return found.scalar_one_or_none()


def command(settings: Settings) -> str:
    """How this `gatecast` is called from another terminal in the same folder."""
    script = Path(sys.executable).with_name("gatecast")
    words = [str(script)] if script.is_file() else [sys.executable, "-m", "api"]
    with contextlib.suppress(ValueError):
        words[0] = str(Path(words[0]).relative_to(Path.cwd()))
    called = shlex.join(words)
    if not settings.database_url and settings.data_dir != Settings().data_dir:
        folder = shlex.quote(str(data_folder(settings).absolute()))
        return f"GATECAST_DATA_DIR={folder} {called}"
    return called


def data_folder(settings: Settings) -> Path:
    """Where the embedded database and the secret live."""
    return Path(settings.data_dir).expanduser()


def local_url(settings: Settings) -> str:
    """Where other processes of this machine find us: under TLS by the name that it is for."""
    if settings.tls_cert and settings.public_url:
        return settings.public_url.rstrip("/")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    return f"{scheme(settings)}://{f'[{host}]' if ':' in host else host}:{settings.port}"


def scheme(settings: Settings) -> str:
    """What this process itself speaks."""
    return "https" if settings.tls_cert else "http"


def public_url(settings: Settings) -> str:
    """Where a browser finds us; on all interfaces, where a phone in the same network does."""
    if settings.public_url:
        return settings.public_url.rstrip("/")
    host = settings.host
    if host in ("0.0.0.0", "::"):
        with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
            try:
                probe.connect(("192.0.2.1", 9))  # sends nothing: asks for the route's own address
                host = probe.getsockname()[0]
            except OSError:
                host = "127.0.0.1"
    return f"{scheme(settings)}://{host}:{settings.port}"
