"""One PostgreSQL server for a test run, one database for a test."""

import os
import re
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

import asyncpg

from api.embedded import EmbeddedPostgres
from api.postgres_binaries import ServerUser

NO_DURABILITY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
TEMPLATE = "gatecast_template"

SchemaLoader = Callable[[str], Awaitable[None]]


class PostgresServer:
    """An embedded server in a temporary folder, with a template that holds the schema.

    `load_schema` gets the address of an empty database and fills it, once for the whole run.
    """

    def __init__(
        self, load_schema: SchemaLoader | None = None, *, settings: dict[str, str] | None = None
    ) -> None:
        self._load_schema = load_schema
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self._server = EmbeddedPostgres(
            self.folder / "postgres", settings={**NO_DURABILITY, **(settings or {})}
        )
        self._numbers = count(1)

    @property
    def user(self) -> ServerUser | None:
        """Whom the server runs as when we are root."""
        if os.geteuid() != 0:
            return None
        owner = (self.folder / "postgres" / "cluster").stat()
        return ServerUser("nobody", owner.st_uid, owner.st_gid)

    async def start(self) -> None:
        """Start the server and fill the template."""
        await self._server.start()
        if self._load_schema is not None:
            await self._load_schema(await self.create_database(TEMPLATE))

    async def stop(self) -> None:
        """Stop the server and remove all it held."""
        await self._server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self) -> None:
        """SIGKILL to the postmaster: everybody's session ends, nothing is written down."""
        self.send(signal.SIGKILL)

    def send(self, signum: signal.Signals) -> None:
        """Any signal to the postmaster."""
        os.kill(self._server.pid, signum)

    async def halt(self) -> None:
        """End it in good order; `revive` starts it again."""
        await self._server.stop()

    async def revive(self) -> None:
        """Start it again after it ended; it recovers commits. Its address is a new one."""
        await self._server.wait()
        await self._server.stop()
        await self._server.start()

    async def create_database(self, name: str, template: str = "template1") -> str:
        """Create a database as a copy of `template`; return its address."""
        await self._run(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.dsn(name)

    async def drop_database(self, name: str) -> None:
        """Drop a database and whoever is still connected to it."""
        await self._run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    @asynccontextmanager
    async def database(self, label: str = "test") -> AsyncIterator[str]:
        """The address of a fresh copy of the template, dropped at the end."""
        name = f"{re.sub(r'[^a-z0-9]+', '_', label.lower())[:40]}_{next(self._numbers)}"
        template = "template1" if self._load_schema is None else TEMPLATE
        try:
            yield await self.create_database(name, template)
        finally:
            await self.drop_database(name)

    def dsn(self, name: str) -> str:
        """The address of the database `name`."""
        return self._server.dsn.replace("@/gatecast?", f"@/{name}?")

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.stop()

    async def _run(self, statement: str) -> None:
        connection = await asyncpg.connect(self.dsn("postgres"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()
