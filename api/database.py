"""The engine of REST and ingest, and the schema that the database must have."""

import contextlib
from collections.abc import Iterator
from importlib.resources import files

import asyncpg
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from realtime.database import SESSION
from realtime.errors import GatecastError

VERSION = 2
ROLES = "resources/roles.sql"

Sessions = async_sessionmaker[AsyncSession]


class DatabaseRefused(GatecastError):
    """This database cannot be used; the text is one sentence for a person."""


def open_engine(dsn: str, *, size: int = 4) -> AsyncEngine:
    """An engine for `postgresql://…?host=/socket/folder` and the like; the caller ends it."""
    url = make_url(dsn)
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise DatabaseRefused(f"{url.get_backend_name()} is not PostgreSQL.")
    return create_async_engine(
        url.set(drivername="postgresql+asyncpg", query={}),
        pool_size=size,
        max_overflow=0,
        pool_timeout=10,
        pool_recycle=300,
        connect_args={
            "dsn": dsn,
            "server_settings": SESSION,
            "timeout": 5,
            "command_timeout": 15,
        },
    )


@contextlib.contextmanager
def reaching(dsn: str) -> Iterator[None]:
    """The first contact: a database that is not there is one sentence, without its password."""
    try:
        yield
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        url = make_url(dsn)
        where = url.query.get("host") or f"{url.host}:{url.port or 5432}"
        reason = str(error) or type(error).__name__
        raise DatabaseRefused(f"PostgreSQL at {where} cannot be used: {reason}") from error


def open_sessions(engine: AsyncEngine) -> Sessions:
    """Sessions whose objects stay readable after a commit."""
    return async_sessionmaker(engine, expire_on_commit=False)


def schema_text() -> str:
    """schema.sql as shipped."""
    return files("api").joinpath("resources", "schema.sql").read_text("utf-8")


def migration_text(version: int) -> str:
    """The statements that lead to this version from the one before."""
    return files("api").joinpath("migrations", f"{version:04}.sql").read_text("utf-8")


async def create_schema(dsn: str) -> None:
    """Fill an empty database or upgrade ours, all or nothing; refuse anything else."""
    with reaching(dsn):
        connection = await asyncpg.connect(dsn, timeout=5)
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext('gatecast schema'))")
            version = await _version(connection)
            if version is None:
                await connection.execute(schema_text())
                return
            for following in range(version + 1, VERSION + 1):
                await connection.execute(migration_text(following))
    finally:
        await connection.close()


async def grant_roles(dsn: str) -> bool:
    """Give each kind of process its rights; False: this login may not, and nothing has changed."""
    with reaching(dsn):
        connection = await asyncpg.connect(dsn, timeout=5)
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext('gatecast schema'))")
            await connection.execute(files("api").joinpath(ROLES).read_text("utf-8"))
    except asyncpg.InsufficientPrivilegeError:
        return False
    finally:
        await connection.close()
    return True


async def schema_version(dsn: str) -> int | None:
    """The version of our schema there; None: the database is empty. Refuses what is not ours."""
    connection = await asyncpg.connect(dsn, timeout=5)
    try:
        return await _version(connection)
    finally:
        await connection.close()


async def _version(connection: "asyncpg.Connection[asyncpg.Record]") -> int | None:
    tables = await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    if tables == 0:
        return None
    try:
        version = await connection.fetchval("SELECT max(version) FROM public.schema_version")
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError):
        version = None
    if not isinstance(version, int):
        raise DatabaseRefused(
            "The database holds tables that are not Gatecast's: name an empty database."
        )
    if version > VERSION:
        raise DatabaseRefused(
            f"The database has schema {version}, made by a newer Gatecast than this one, "
            f"which knows {VERSION}: install the newer Gatecast or name another database."
        )
    return version
