"""A PostgreSQL primary and a standby that can take its place."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import asyncpg

from api.database import create_schema
from api.embedded import LOCK_NAME, NAME, PORT
from api.postgres_binaries import ENVIRONMENT, find_binaries
from tests.support.postgres import PostgresServer
from tests.support.wait import until

REPLICATING = {"wal_level": "replica", "max_wal_senders": "4", "synchronous_commit": "on"}
SYNCHRONOUS = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"


@asynccontextmanager
async def replicated() -> AsyncIterator[tuple[PostgresServer, PostgresServer]]:
    """A primary with our schema, whose commits wait for the standby."""
    async with PostgresServer(settings=REPLICATING) as primary:
        await create_schema(primary.dsn(NAME))
        standby = PostgresServer(settings=REPLICATING)
        await asyncio.to_thread(copy, primary, standby)
        async with standby:
            connection = await asyncpg.connect(primary.dsn("postgres"))
            await connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            await connection.execute("SELECT pg_reload_conf()")

            async def synchronous() -> bool:
                return bool(await connection.fetchval(SYNCHRONOUS))

            await until(synchronous, within=20, what="commits wait for the standby")
            await connection.close()
            yield primary, standby


def copy(primary: PostgresServer, standby: PostgresServer) -> None:
    """A base backup of the one in the folder of the other, ready to follow it."""
    folder = standby.folder / "postgres"
    cluster = folder / "cluster"
    cluster.mkdir(parents=True, mode=0o700)
    (folder / LOCK_NAME).touch(mode=0o600)
    user = primary.user
    if user is not None:
        os.chown(cluster, user.uid, user.gid)
    host = parse_qs(urlsplit(primary.dsn(NAME)).query)["host"][0]
    program = find_binaries(user).folder / "pg_basebackup"
    answer = subprocess.run(
        [
            program,
            "-h",
            host,
            "-p",
            f"{PORT}",
            "-U",
            NAME,
            "-D",
            "/proc/self/cwd",
            "-R",
            "-c",
            "fast",
        ],
        cwd=cluster,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        user=user.uid if user else None,
        group=user.gid if user else None,
        extra_groups=[] if user else None,
    )
    assert answer.returncode == 0, answer.stderr
