"""How a command becomes a process: settings and logs at its start, one line at its end."""

import logging
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg
import structlog
import typer
import uvloop

from api.database import DatabaseRefused
from api.ingest import UnknownFeed
from api.postgres_binaries import EmbeddedPostgresError
from api.source_folder import FolderRefused
from api.tls import CertificateRefused
from api.workers import WorkerEnded
from realtime.errors import BrokerRefused
from realtime.settings import Settings, SettingsError, load_settings

T = TypeVar("T")
REFUSALS = (
    EmbeddedPostgresError,
    DatabaseRefused,
    CertificateRefused,
    BrokerRefused,
    WorkerEnded,
    FolderRefused,
    UnknownFeed,
)
WAY_TO_RIGHTS = (
    "run `gatecast db init` as the owner of the schema, and give this login the role of its"
    " process, such as GRANT gatecast_realtime TO …"
)


def start(**overrides: str | int | None) -> Settings:
    """Settings and logs; a wrong setting ends the process with one line."""
    try:
        settings = load_settings(None, overrides)
    except SettingsError as error:
        raise fail(str(error)) from None
    set_up_logs(settings)
    return settings


def execute(work: Callable[[], Awaitable[T]]) -> T:
    """Run to the end; expected refusals become one line and exit code 1."""

    async def main() -> T:
        return await work()

    try:
        return uvloop.run(main())
    except* REFUSALS as group:
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


def set_up_logs(settings: Settings, **who: int) -> None:
    """Pretty on a terminal, JSON elsewhere; `who` is told with every line."""
    pretty = settings.log_format == "pretty" or (
        settings.log_format == "auto" and sys.stderr.isatty()
    )
    renderer = structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer()
    level = logging.getLevelNamesMapping().get(settings.log_level.upper(), logging.INFO)
    structlog.configure(
        processors=[
            lambda _logger, _method, said: {**said, **who},
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
