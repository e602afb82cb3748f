"""schema.sql is the same as an older database and all migrations since."""

import asyncio
from collections.abc import Iterator
from importlib.resources import files

import asyncpg
import pytest

from api.database import VERSION, create_schema, migration_text, schema_version
from tests.support.postgres import PostgresServer

CATALOGUE = """
SELECT 'column', c.relname, a.attname, concat_ws(' ', format_type(a.atttypid, a.atttypmod),
    a.attnotnull, a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid))
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
  WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
  FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL SELECT 'index', tablename, indexname, indexdef
  FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT 'function', proname, oid::regprocedure::text, pg_get_functiondef(oid)
  FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT 'trigger', tgrelid::regclass::text, tgname,
    tgenabled::text || pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT 'view', viewname, '', definition FROM pg_views WHERE schemaname = 'public'
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    postgres = PostgresServer()
    asyncio.run(postgres.start())
    yield postgres
    asyncio.run(postgres.stop())


async def catalogue(dsn: str) -> set[tuple[str, ...]]:
    connection = await asyncpg.connect(dsn)
    try:
        return {tuple(row) for row in await connection.fetch(CATALOGUE)}
    finally:
        await connection.close()


async def fill_first(dsn: str) -> None:
    """A database as the first version made it, with something in it."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(migration_text(1))
    await connection.execute("INSERT INTO airport (iata, name) VALUES ('JFK', 'Kennedy')")
    await connection.close()


async def test_an_upgraded_database_is_like_a_new_one(server: PostgresServer) -> None:
    async with server.database("new") as new, server.database("old") as old:
        await create_schema(new)
        await fill_first(old)
        assert await schema_version(old) == 1
        assert await catalogue(old) != await catalogue(new)
        await create_schema(old)
        assert await schema_version(old) == await schema_version(new) == VERSION
        assert await catalogue(old) == await catalogue(new)
        connection = await asyncpg.connect(old)
        assert await connection.fetchval("SELECT name FROM airport") == "Kennedy"
        await connection.close()


async def test_an_upgrade_that_fails_changes_nothing(server: PostgresServer) -> None:
    async with server.database("torn") as dsn:
        await fill_first(dsn)
        connection = await asyncpg.connect(dsn)
        await connection.execute("CREATE TABLE feed_message (other text)")
        before = await catalogue(dsn)
        with pytest.raises(asyncpg.DuplicateTableError):
            await create_schema(dsn)
        assert await catalogue(dsn) == before
        assert await schema_version(dsn) == 1
        await connection.close()


def test_every_version_has_its_migration() -> None:
    names = sorted(each.name for each in files("api").joinpath("migrations").iterdir())
    assert names == [f"{version:04}.sql" for version in range(1, VERSION + 1)]
