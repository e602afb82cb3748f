"""What a process holds for as long as it lives: its database, a pool, an engine, files."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from api.cli_feeds import DSN_FILE
from api.database import open_engine, reaching
from api.embedded import EmbeddedPostgres
from api.links import data_folder
from api.postgres_binaries import EmbeddedPostgresError
from realtime.database import open_pool
from realtime.settings import Settings
from realtime.worker import Part

CONNECTIONS = 16  # of one process at most
GIVEN_BACK_WITHIN = 1.0  # sessions of tasks that were cancelled


@contextlib.asynccontextmanager
async def pool_of(dsn: str, size: int = 8) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
    """A pool for as long as the process lives."""
    with reaching(dsn):
        pool = await open_pool(dsn, size=size)
    try:
        yield pool
    finally:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GIVEN_BACK_WITHIN):
                await pool.close()
        pool.terminate()


@contextlib.asynccontextmanager
async def engine_of(dsn: str) -> AsyncIterator[AsyncEngine]:
    """An engine for as long as the process lives."""
    engine = open_engine(dsn)
    try:
        yield engine
    finally:
        await engine.dispose()


@contextlib.asynccontextmanager
async def database_of(
    settings: Settings, processes: int = 1
) -> AsyncIterator[tuple[str, list[tuple[str, Part]], Callable[[], None]]]:
    """Address of the database, who watches over the embedded one, and what does away with it."""
    if settings.database_url:
        yield settings.database_url, [], lambda: None
        return
    connections = {"max_connections": str(max(100, CONNECTIONS * (processes + 2)))}
    postgres = EmbeddedPostgres(data_folder(settings) / "postgres", settings=connections)
    await postgres.start()
    try:
        with announced(data_folder(settings) / DSN_FILE, postgres.dsn):
            yield postgres.dsn, [("postgres", PostgresGuard(postgres))], postgres.discard
    finally:
        await postgres.stop()


@contextlib.contextmanager
def announced(file: Path, address: str) -> Iterator[None]:
    """Commands that run beside this process find an address in its data folder."""
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(address, "utf-8")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


class PostgresGuard:
    """The process may not outlive its database server."""

    def __init__(self, postgres: EmbeddedPostgres) -> None:
        self.postgres = postgres

    async def run(self) -> None:
        code = await self.postgres.wait()
        raise EmbeddedPostgresError(f"the embedded PostgreSQL ended with code {code}")
