"""asyncpg pool and the named statements of queries.sql."""

import re
from collections.abc import Mapping
from importlib.resources import files

import asyncpg
from msgspec import Raw

# A peer that froze or fell off the network must not hold a row lock for long.
SESSION = {
    "application_name": "gatecast",
    "timezone": "UTC",
    "statement_timeout": "10s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "10s",
    "tcp_user_timeout": "10000",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
# What a server says or does while it is away, full, failing over or clearing up; a wrong statement
# is none of it and stops the process.
DATABASE_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.TransactionRollbackError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,
)
STATEMENT = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def load_queries(text: str) -> Mapping[str, str]:
    """Statements of a queries file by name; each begins with `-- name: <name>`."""
    parts = STATEMENT.split(text)[1:]
    return {name: body.strip() for name, body in zip(parts[::2], parts[1::2], strict=True)}


QUERIES = load_queries(files("realtime").joinpath("queries.sql").read_text("utf-8"))


def jsonb(value: str | bytes | None) -> Raw:
    """A jsonb column as bytes that pass through undecoded."""
    if value is None:
        return Raw(b"null")
    return Raw(value.encode() if isinstance(value, str) else value)


async def open_pool(
    dsn: str, *, size: int = 4, settings: Mapping[str, str] | None = None
) -> "asyncpg.Pool[asyncpg.Record]":
    """A pool of sessions that give up locks by themselves; the caller closes it."""
    return await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=size,
        server_settings=SESSION | dict(settings or {}),
        timeout=5,
        command_timeout=15,
        max_inactive_connection_lifetime=300,
    )
