"""Commands that take in what other systems say: files, topics, lists; and the log on a topic."""

import importlib.util
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from api.cli_feeds import database_url
from api.cli_process import execute, fail, start
from api.composition import run_kafka, run_source
from api.feed_formats import ANY, FORMATS
from api.feed_manner import Manner
from api.intake import Intake
from api.poll_sources import SOURCES, PollSource
from api.source_folder import FolderSource
from api.source_poll import PollingSource
from realtime.settings import Settings
from realtime.worker import Part

FeedCode = Annotated[str, typer.Option("--feed", help="Code of the feed, see `feed list`.")]
FormatName = Annotated[str, typer.Option(help=f"{', '.join(FORMATS)}, or {ANY}: as it shows.")]
MannerOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="As in the query over HTTP, such as times=local."),
]
Servers = Annotated[str | None, typer.Option(help="host:port,… of the brokers [GATECAST_KAFKA].")]


def publish_kafka(
    topic: Annotated[str, typer.Option(help="Every change of a leg, its key as record key.")],
    servers: Servers = None,
) -> None:
    """Publish the change log to a Kafka topic; of several one works."""
    settings = kafka_settings(start(kafka=servers))
    dsn = database_url(settings)
    execute(lambda: run_kafka(settings, dsn, topic))


def feed_folder(
    folder: Annotated[Path, typer.Argument(help="Files go on to done/, bad ones to bad/.")],
    feed: FeedCode,
    format: FormatName = ANY,
    manner: MannerOption = None,
) -> None:
    """Take in the files that another system drops into a folder."""
    settings, how = start(), manner_of(manner)
    check_format(format)
    dsn = database_url(settings)

    def source(intake: Intake) -> FolderSource:
        return FolderSource(folder, feed, format, how, intake)

    execute(lambda: run_source(settings, dsn, feed, source))


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
    dsn = database_url(settings)

    def source(intake: Intake) -> Part:
        # Optional extra: only who has Kafka needs its client.
        from api.source_kafka import KafkaSource

        return KafkaSource(settings.kafka, topic, feed, format, how, intake, dead_topic)

    execute(lambda: run_source(settings, dsn, feed, source))


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
    dsn = database_url(settings)

    def polling(intake: Intake) -> PollingSource:
        return PollingSource(chosen, url, feed, each, how, sent, intake)

    execute(lambda: run_source(settings, dsn, feed, polling))


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
