"""Logins that have the rights of one kind of process, and no more."""

from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from api.database import grant_roles

PROCESSES = ("api", "realtime", "relay", "notifier", "replay")


async def open_logins(dsn: str) -> Mapping[str, str]:
    """The address of this database for each kind of process."""
    assert await grant_roles(dsn)
    connection = await asyncpg.connect(dsn)
    try:
        for process in PROCESSES:
            if not await connection.fetchval(
                "SELECT count(*) FROM pg_roles WHERE rolname = $1", f"test_{process}"
            ):
                await connection.execute(
                    f"CREATE ROLE test_{process} LOGIN IN ROLE gatecast_{process}"
                )
    finally:
        await connection.close()
    return {process: as_login(dsn, f"test_{process}") for process in PROCESSES}


def as_login(dsn: str, login: str) -> str:
    """The same database for somebody else."""
    parts = urlsplit(dsn)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{login}@{place}"))
