"""The command line."""

import importlib.util
import logging
import os
import secrets
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import asyncpg
import msgspec
import structlog
import typer
import uvloop

import realtime
from api import cli_check, cli_feeds, cli_notices, cli_watch
from api.composition import (
    run_kafka,
    run_notifier,
    run_relay,
    run_replay,
    run_source,
    serve_all,
    serve_api,
    serve_realtime,
)
from api.database import VERSION, DatabaseRefused, create_schema, grant_roles
from api.feed_faults import FAULTS, faults_of
from api.feed_formats import ANY, FORMATS
from api.feed_manner import Manner
from api.ingest import UnknownFeed
from api.intake import Intake
from api.links import data_folder
from api.poll_sources import SOURCES, PollSource
from api.postgres_binaries import EmbeddedPostgresError
from api.replay import Plan
from api.replay_day import read_days
from api.replay_source import NEW_YORK
from api.serving import listen
from api.source_folder import FolderRefused, FolderSource
from api.source_poll import PollingSource
from api.tls import CertificateRefused
from realtime.settings import Settings, SettingsError, load_settings
from realtime.worker import Part

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
cli.command()(cli_watch.watch)
cli.command()(cli_check.check)

Host = Annotated[str | None, typer.Option(help="Address to listen on [GATECAST_HOST].")]
Port = Annotated[int | None, typer.Option(help="Port to listen on [GATECAST_PORT].")]
T = TypeVar("T")
WAY_TO_RIGHTS = (
    "run `gatecast db init` as the owner of the schema, and give this login the role of its"
    " process, such as GRANT gatecast_realtime TO …"
)
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


FeedCode = Annotated[str, typer.Option("--feed", help="Code of the feed, see `feed list`.")]
FormatName = Annotated[str, typer.Option(help=f"{', '.join(FORMATS)}, or {ANY}: as it shows.")]
MannerOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="As in the query over HTTP, such as times=local."),
]
Servers = Annotated[str | None, typer.Option(help="host:port,… of the brokers [GATECAST_KAFKA].")]


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
) -> None:
    """Everything in one process; needs nothing configured."""
    settings = embedded_settings(start(host=host, port=port, data_dir=data))
    plan = plan_of(replay, speed, airport, faults, once) if replay else None
    bound = listening(settings)
    if execute(lambda: serve_all(settings, plan, bound)):
        begin_anew()


@cli.command()
def api(host: Host = None, port: Port = None) -> None:
    """REST, pages and upkeep, as one of many processes."""
    settings = shared_settings(start(host=host, port=port), secret=True)
    bound = listening(settings)
    execute(lambda: serve_api(settings, bound))


@cli.command(name="realtime")
def realtime_node(host: Host = None, port: Port = None) -> None:
    """One WebSocket node, as one of many processes."""
    settings = shared_settings(start(host=host, port=port), secret=True)
    bound = listening(settings)
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


@cli.command()
def kafka(
    topic: Annotated[str, typer.Option(help="Every change of a leg, its key as record key.")],
    servers: Servers = None,
) -> None:
    """Publish the change log to a Kafka topic; of several one works."""
    settings = kafka_settings(start(kafka=servers))
    dsn = cli_feeds.database_url(settings)
    execute(lambda: run_kafka(settings, dsn, topic))


@cli_feeds.feed.command(name="folder")
def feed_folder(
    folder: Annotated[Path, typer.Argument(help="Files go on to done/, bad ones to bad/.")],
    feed: FeedCode,
    format: FormatName = ANY,
    manner: MannerOption = None,
) -> None:
    """Take in the files that another system drops into a folder."""
    settings, how = start(), manner_of(manner)
    check_format(format)
    dsn = cli_feeds.database_url(settings)

    def source(intake: Intake) -> FolderSource:
        return FolderSource(folder, feed, format, how, intake)

    execute(lambda: run_source(settings, dsn, feed, source))


@cli_feeds.feed.command(name="kafka")
def feed_kafka(
    topic: Annotated[str, typer.Option(help="Each record is a body.")],
    feed: FeedCode,
    format: FormatName = "native",
    manner: MannerOption = None,
    servers: Servers = None,
    dead_topic: Annotated[
        str, typer.Option(help="Where records go that cannot be read; else they are logged.")
    ] = "",
) -> None:
    """Take in what another system says on a Kafka topic; any number share its partitions."""
    settings, how = kafka_settings(start(kafka=servers)), manner_of(manner)
    check_format(format)
    dsn = cli_feeds.database_url(settings)

    def source(intake: Intake) -> Part:
        # Optional extra: only who has Kafka needs its client.
        from api.source_kafka import KafkaSource

        return KafkaSource(settings.kafka, topic, feed, format, how, intake, dead_topic)

    execute(lambda: run_source(settings, dsn, feed, source))


@cli_feeds.feed.command(name="poll")
def feed_poll(
    feed: FeedCode,
    source: Annotated[str, typer.Option(help=f"{', '.join(SOURCES)}.")],
    airport: Annotated[str, typer.Option(help="IATA code, where the source has several.")] = "",
    url: Annotated[str, typer.Option(help="Another address than the source's own.")] = "",
    each: Annotated[float, typer.Option(help="Seconds; never below what the source allows.")] = 0,
    headers: Annotated[
        Path | None, typer.Option(help="File with `Name: value` lines, such as keys.")
    ] = None,
    format: Annotated[str, typer.Option(help="With --source url: of the answers.")] = ANY,
    manner: MannerOption = None,
) -> None:
    """Ask a public list of flights again and again."""
    settings, how = start(), manner_of([*(manner or ()), f"airport={airport}"])
    check_format(format)
    chosen, sent = source_of(source, url, airport), headers_of(headers)
    if missing := [name for name in chosen.needs if name not in sent]:
        raise fail(f"{source} wants the headers {', '.join(missing)}: put them in --headers FILE")
    if source == "url":
        chosen = msgspec.structs.replace(chosen, format=format)
    dsn = cli_feeds.database_url(settings)

    def polling(intake: Intake) -> PollingSource:
        return PollingSource(chosen, url, feed, each, how, sent, intake)

    execute(lambda: run_source(settings, dsn, feed, polling))


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


def start(**overrides: str | int | None) -> Settings:
    """Settings and logs; a wrong setting ends the process with one line."""
    try:
        settings = load_settings(None, overrides)
    except SettingsError as error:
        raise fail(str(error)) from None
    set_up_logs(settings)
    return settings


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


def kafka_settings(settings: Settings) -> Settings:
    """The brokers have to be named, and their client to be installed."""
    if not settings.kafka:
        raise fail("name the brokers with --servers host:port, or set GATECAST_KAFKA")
    if importlib.util.find_spec("aiokafka") is None:
        raise fail("the client of Kafka is not installed: pip install 'gatecast[kafka]'")
    return settings


def source_of(name: str, url: str, airport: str) -> PollSource:
    """The source of this name; what it lacks ends the process with one line."""
    if name not in SOURCES:
        raise fail(f"--source {name}: there are {', '.join(SOURCES)}")
    if name == "url" and not url:
        raise fail("--source url needs --url http…")
    if name == "avinor" and not airport:
        raise fail("--source avinor needs --airport, such as OSL")
    return SOURCES[name]


def headers_of(path: Path | None) -> dict[str, str]:
    """`Name: value` lines of a file."""
    try:
        lines = path.read_text("utf-8").splitlines() if path is not None else []
    except (OSError, UnicodeDecodeError) as error:
        raise fail(f"--headers {path}: {error}") from None
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def manner_of(words: list[str] | None) -> Manner:
    """`--manner times=local` and the like."""
    pairs = dict(word.partition("=")[::2] for word in words or ())
    try:
        return msgspec.convert(pairs, Manner)
    except msgspec.ValidationError as error:
        raise fail(f"--manner: {error}; there are {', '.join(Manner.__struct_fields__)}") from None


def check_format(name: str) -> None:
    """Before anything is taken."""
    if name not in (ANY, *FORMATS):
        raise fail(f"--format {name}: there are {', '.join(FORMATS)}, {ANY}")


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


def listening(settings: Settings) -> socket.socket:
    """Fail before anything is started when the address is taken."""
    try:
        return listen(settings)
    except OSError as error:
        raise fail(str(error.strerror)) from None


def execute(work: Callable[[], Awaitable[T]]) -> T:
    """Run to the end; expected refusals become one line and exit code 1."""

    async def main() -> T:
        return await work()

    try:
        return uvloop.run(main())
    except* (
        EmbeddedPostgresError, DatabaseRefused, CertificateRefused, FolderRefused, UnknownFeed
    ) as group:  # fmt: skip
        raise fail(sentences(group)) from None
    except* asyncpg.InsufficientPrivilegeError as group:
        sentence = f"this login of the database lacks a right ({sentences(group)}): {WAY_TO_RIGHTS}"
        raise fail(sentence) from None
    except* OSError as group:
        raise fail(sentences(group)) from None


def sentences(group: BaseExceptionGroup[BaseException]) -> str:
    """What its exceptions say, however deep they lie."""
    return "; ".join(
        sentences(each) if isinstance(each, BaseExceptionGroup) else str(each)
        for each in group.exceptions
    )


def fail(sentence: str) -> typer.Exit:
    """Say what is wrong and end."""
    typer.echo(f"gatecast: {sentence}", err=True)
    return typer.Exit(1)


def set_up_logs(settings: Settings) -> None:
    """Pretty on a terminal, JSON elsewhere."""
    pretty = settings.log_format == "pretty" or (
        settings.log_format == "auto" and sys.stderr.isatty()
    )
    renderer = structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer()
    level = logging.getLevelNamesMapping().get(settings.log_level.upper(), logging.INFO)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)


def main() -> None:
    """The `gatecast` command."""
    assert (Path(realtime.__file__).parent / "queries.sql").is_file(), (
        f"{realtime.__file__} is another package of the name realtime"
    )
    cli()


if __name__ == "__main__":
    main()
