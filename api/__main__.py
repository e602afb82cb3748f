"""The command line."""

import os
import secrets
import socket
import sys
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import structlog
import typer

import realtime
from api import cli_check, cli_feeds, cli_notices, cli_reference, cli_sources, cli_watch
from api.cli_process import execute, fail, set_up_logs, start
from api.composition import (
    run_notifier,
    run_relay,
    run_replay,
    serve_all,
    serve_api,
    serve_realtime,
    serve_worker,
)
from api.database import VERSION, create_schema, grant_roles
from api.feed_faults import FAULTS, faults_of
from api.links import data_folder
from api.replay import Plan
from api.replay_day import read_days
from api.replay_source import NEW_YORK
from api.serving import listen_for
from api.workers import A_CORE, Briefing, most_workers
from realtime.settings import Settings

cli = typer.Typer(
    name="gatecast",
    help="The realtime push server for flight status. Settings are GATECAST_* variables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
db = typer.Typer(help="The database.", no_args_is_help=True)
cli.add_typer(db, name="db")
cli.add_typer(cli_feeds.leg, name="leg")
cli.add_typer(cli_feeds.feed, name="feed")
cli.add_typer(cli_feeds.key, name="key")
cli.add_typer(cli_notices.notices, name="notices")
cli.add_typer(cli_reference.imports, name="import")
cli.command()(cli_watch.watch)
cli.command()(cli_check.check)
cli.command(name="kafka")(cli_sources.publish_kafka)
cli_feeds.feed.command(name="folder")(cli_sources.feed_folder)
cli_feeds.feed.command(name="kafka")(cli_sources.feed_kafka)
cli_feeds.feed.command(name="poll")(cli_sources.feed_poll)

Host = Annotated[str | None, typer.Option(help="Address to listen on [GATECAST_HOST].")]
Port = Annotated[int | None, typer.Option(help="Port to listen on [GATECAST_PORT].")]
T = TypeVar("T")
DAYS_HELP = (
    "A day of 2013 (2013-03-08), days (2013-03-07..2013-03-09), or a CSV file of your own named "
    "by its day. 7 to 9 March are shipped; others need: pip install gatecast\\[days]"
)
Speed = Annotated[float, typer.Option(min=0.1, max=600, help="Board seconds a wall second.")]
Airport = Annotated[
    list[str] | None,
    typer.Option(help=f"Play only its departures: {', '.join(NEW_YORK)}; may be repeated."),
]
Faults = Annotated[
    str,
    typer.Option("--with", metavar="FAULTS", help=f"Misbehave: {', '.join(FAULTS)}, or all."),
]


@cli.command()
def serve(
    host: Host = None,
    port: Port = None,
    data: Annotated[
        str | None, typer.Option(help="Folder of the embedded database [GATECAST_DATA_DIR].")
    ] = None,
    replay: Annotated[str | None, typer.Option(metavar="DATE", help=f"Replay. {DAYS_HELP}")] = None,
    speed: Speed = 10,
    airport: Airport = None,
    faults: Faults = "",
    once: Annotated[
        bool, typer.Option("--once", help="Stop after the replay instead of starting it over.")
    ] = False,
    workers: Annotated[
        int, typer.Option(help="Processes that take clients and REST, beside the one that starts.")
    ] = 1,
) -> None:
    """Everything, in one process unless told otherwise; needs nothing configured."""
    check_workers(workers)
    settings = embedded_settings(start(host=host, port=port, data_dir=data))
    plan = plan_of(replay, speed, airport, faults, once) if replay else None
    bound = listening(settings, workers)
    if execute(lambda: serve_all(settings, plan, bound)):
        begin_anew()


@cli.command(hidden=True)
def worker() -> None:
    """One process of `serve --workers`, which starts it."""
    try:
        briefing = msgspec.json.decode(sys.stdin.buffer.read(), type=Briefing)
    except msgspec.MsgspecError:
        raise fail("workers are started by `gatecast serve --workers N`") from None
    set_up_logs(briefing.settings, worker=briefing.number)
    execute(lambda: serve_worker(briefing))


@cli.command()
def api(host: Host = None, port: Port = None) -> None:
    """REST, pages and upkeep, as one of many processes."""
    settings = shared_settings(start(host=host, port=port), secret=True)
    (bound,) = listening(settings)
    execute(lambda: serve_api(settings, bound))


@cli.command(name="realtime")
def realtime_node(host: Host = None, port: Port = None) -> None:
    """One WebSocket node, as one of many processes."""
    settings = shared_settings(start(host=host, port=port), secret=True)
    (bound,) = listening(settings)
    execute(lambda: serve_realtime(settings, bound))


@cli.command()
def relay() -> None:
    """Sequence changes and publish them; any number may run."""
    settings = shared_settings(start())
    execute(lambda: run_relay(settings))


@cli.command()
def notifier() -> None:
    """Decide and send push notices; any number may run."""
    settings = shared_settings(start())
    execute(lambda: run_notifier(settings))


@cli.command(name="replay")
def replay_day(
    day: Annotated[str, typer.Argument(metavar="DATE", help=DAYS_HELP)],
    speed: Speed = 10,
    airport: Airport = None,
    faults: Faults = "",
    once: Annotated[
        bool, typer.Option("--once", help="As it is anyway: on a database of yours it ends.")
    ] = False,
) -> None:
    """Play real days, from 16:00 New York time of the first, into GATECAST_DATABASE_URL.

    What was said until then is applied at once. It ends after the last change with exit code 0.
    """
    settings = shared_settings(start())
    plan = plan_of(day, speed, airport, faults, once)
    execute(lambda: run_replay(settings, plan))


@db.command()
def init() -> None:
    """Fill an empty database with the schema; does nothing where it is already."""
    settings = shared_settings(start())
    execute(lambda: create_schema(settings.database_url))
    typer.echo("The schema is there.")
    give_rights(settings)


@db.command()
def upgrade() -> None:
    """Bring the schema of a database to the version of this Gatecast."""
    settings = shared_settings(start())
    execute(lambda: create_schema(settings.database_url))
    typer.echo(f"The schema has version {VERSION}.")
    give_rights(settings)


def give_rights(settings: Settings) -> None:
    """Processes need no more than these; a login that may not give them says who can."""
    if execute(lambda: grant_roles(settings.database_url)):
        typer.echo(
            "The roles gatecast_api, _realtime, _relay, _notifier and _replay have their rights."
        )
    else:
        typer.echo(
            "This login may create no roles: processes of others have no rights here. Run it again"
            " as the owner of the schema with CREATEROLE to give each process a login of its own.",
            err=True,
        )


def embedded_settings(settings: Settings) -> Settings:
    """A secret is made once and kept; a single process drains fast."""
    folder = data_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    secret = settings.secret or kept_secret(folder / "secret")
    return msgspec.structs.replace(
        settings, secret=secret, drain=min(settings.drain, 1.0), drain_delay=0.0
    )


def kept_secret(path: Path) -> str:
    """A 256-bit secret in a file of ours."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(32), "utf-8")
    return path.read_text("utf-8").strip()


def shared_settings(settings: Settings, *, secret: bool = False) -> Settings:
    """Processes that work together have to be told their database, and their secret."""
    if not settings.database_url:
        raise fail("set GATECAST_DATABASE_URL to the PostgreSQL that all processes share")
    if secret and not settings.secret:
        raise fail("set GATECAST_SECRET to one long random text for all api and realtime processes")
    return settings


def plan_of(days: str, speed: float, airports: list[str] | None, faults: str, once: bool) -> Plan:
    """What to play; a wrong wish ends the process with one line."""
    wanted = {code.strip().upper() for name in airports or NEW_YORK for code in name.split(",")}
    if unknown := sorted(wanted - set(NEW_YORK)):
        raise fail(f"--airport {unknown[0]}: the replay has {', '.join(NEW_YORK)}")
    try:
        return Plan(
            days=read_days(days),
            airports=frozenset(wanted),
            speed=speed,
            faults=faults_of(faults),
            once=once,
        )
    except ValueError as error:
        raise fail(str(error)) from None


def begin_anew() -> None:
    """The same command in the same process id, with nothing left of the one that ends here."""
    structlog.get_logger().info("the replay starts over")
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def check_workers(count: int) -> None:
    """A number that cannot be meant ends the process with one line."""
    if count == 1:
        return
    if sys.platform != "linux":
        raise fail("--workers needs Linux: leave it out, or start several `gatecast realtime`")
    most = most_workers()
    if not 1 <= count <= most:
        cores = most // A_CORE
        raise fail(f"--workers {count}: give 1 to {most}, up to {A_CORE} for each of {cores} cores")


def listening(settings: Settings, workers: int = 1) -> list[socket.socket]:
    """Fail before anything is started when the address is taken; a socket for each worker."""
    try:
        return listen_for(settings, workers)
    except OSError as error:
        raise fail(str(error.strerror)) from None


def main() -> None:
    """The `gatecast` command."""
    assert (Path(realtime.__file__).parent / "queries.sql").is_file(), (
        f"{realtime.__file__} is another package of the name realtime"
    )
    cli()


if __name__ == "__main__":
    main()
