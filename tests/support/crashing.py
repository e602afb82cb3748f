"""A database server of its own that may crash and come back under one address."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from api.database import create_schema
from tests.support.postgres import PostgresServer

DURABLE = {"synchronous_commit": "on"}


class Crashing:
    """A server of its own under one address that lives through crashes."""

    def __init__(self, server: PostgresServer, folder: Path) -> None:
        self.server = server
        self.link = folder / "socket"

    @property
    def dsn(self) -> str:
        return self.server.dsn("gatecast").replace(quote(self._socket_folder()), str(self.link))

    def _socket_folder(self) -> str:
        return parse_qs(urlsplit(self.server.dsn("gatecast")).query)["host"][0]

    def point(self) -> None:
        """The address leads to where the server is now."""
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(self._socket_folder())


@asynccontextmanager
async def crashing_server() -> AsyncIterator[Crashing]:
    """Started, with our schema."""
    with tempfile.TemporaryDirectory() as folder:
        async with PostgresServer(settings=DURABLE) as server:
            crashing = Crashing(server, Path(folder))
            crashing.point()
            await create_schema(crashing.dsn)
            yield crashing
