"""schema.sql and what Python believes of it: columns, words, the public state, the clocks."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import asyncpg
import msgspec
import pytest
from sqlalchemy.engine import make_url

from api import schemas, schemas_account
from api.database import (
    VERSION,
    DatabaseRefused,
    create_schema,
    open_engine,
    schema_text,
    schema_version,
)
from api.fields import FIELDS, IRREGULARITIES, PHASES, instant
from api.ingest import IDENTITY, MERGED
from api.models import Base, FlightLeg
from realtime import flight
from tests.support.postgres import PostgresServer

VECTORS = Path(__file__).parent.parent / "vectors"
POSTGRESQL = make_url("postgresql+asyncpg://").get_dialect()()
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
Connection = asyncpg.Connection

# Kept by triggers and upkeep, so that no feed may state them.
NOT_STATED = {
    "leg_id", "key", "std_initial", "sta_initial", "dep_gate_was", "dep_gate_at", "arr_gate_was",
    "arr_gate_at", "belts_was", "belts_at", "uncertain", "best_dep", "best_arr", "version",
    "created_at", "updated_at", "confirmed_at",
}  # fmt: skip
# In the public state under these names though no column of the leg.
JOINED = {"airline_name", "dep_city", "dep_tz", "arr_city", "arr_tz", "divert_city"}
INSIDE = {
    "leg_id", "std_initial", "sta_initial", "repeat_no", "dep_stand", "arr_stand", "registration",
    "best_dep", "best_arr", "created_at", "updated_at", "confirmed_at",
}  # fmt: skip


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator["Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


async def full_state(connection: "Connection[asyncpg.Record]") -> dict[str, Any]:
    """The public state of a leg in which every column has a value."""
    columns: dict[str, Any] = {}
    for name, column in FlightLeg.__table__.columns.items():
        kind = column.type.python_type if str(column.type) != "JSONB" else dict
        columns[name] = {
            datetime: NOW, int: 7, str: "X", bool: True, list: ["1"],
            dict: [{"airline": "ZZ", "number": 1, "suffix": "P"}],
        }.get(kind, NOW.date())  # fmt: skip
    columns |= {"phase": "boarding", "irregularity": "diverted", "airline": "B6"}
    columns |= {"dep_airport": "JFK", "arr_airport": "MCO", "divert_airport": "TPA"}
    await connection.execute("INSERT INTO airline (iata, name) VALUES ('B6', 'JetBlue')")
    await connection.execute(
        "INSERT INTO airport (iata, name, city, tz)"
        " SELECT iata, iata, iata, 'UTC' FROM unnest('{JFK,MCO,TPA}'::text[]) a (iata)"
    )
    state = await connection.fetchval(
        "SELECT public_state(jsonb_populate_record(NULL::flight_leg, $1))::text",
        msgspec.json.encode(columns).decode(),
    )
    found: dict[str, Any] = msgspec.json.decode(state)
    return found


async def test_the_public_state_has_the_members_that_the_api_describes(
    connection: "Connection[asyncpg.Record]",
) -> None:
    state = await full_state(connection)
    assert set(state) == set(schemas.LegState.__struct_fields__)
    assert state == msgspec.to_builtins(msgspec.convert(state, schemas.LegState))


async def test_the_push_server_reads_members_of_the_public_state(
    connection: "Connection[asyncpg.Record]",
) -> None:
    state = await full_state(connection)
    assert set(flight.FlightLeg.__struct_fields__) <= set(state)
    leg = msgspec.convert(state, flight.FlightLeg)
    assert (leg.key, leg.hidden, leg.etd) == (state["key"], True, NOW)


def test_every_column_is_visible_or_known_to_be_inside() -> None:
    columns = set(FlightLeg.__table__.columns.keys())
    assert columns - INSIDE == set(schemas.LegState.__struct_fields__) - JOINED


def test_the_vectors_of_the_protocol_hold_public_states() -> None:
    leg = msgspec.json.decode((VECTORS / "frames.json").read_bytes())["leg"]
    assert msgspec.to_builtins(msgspec.convert(leg, schemas.LegState)) == leg


@pytest.mark.parametrize("table", sorted(Base.metadata.tables))
async def test_a_mapped_table_has_the_columns_of_the_real_one(
    connection: "Connection[asyncpg.Record]", table: str
) -> None:
    real = await connection.fetch(
        "SELECT attname, format_type(atttypid, NULL), attnotnull, attgenerated <> ''"
        " FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0"
        "   AND NOT attisdropped",
        table,
    )
    mapped = {
        (
            column.name,
            column.type.compile(POSTGRESQL).lower(),
            not column.nullable,
            column.computed is not None,
        )
        for column in Base.metadata.tables[table].columns
    }
    assert mapped == {tuple(row) for row in real}


def test_a_feed_may_state_every_column_that_nobody_else_keeps() -> None:
    columns = set(FlightLeg.__table__.columns.keys())
    assert columns - NOT_STATED == {*IDENTITY, *MERGED}
    kinds = {name: str(column.type) for name, column in FlightLeg.__table__.columns.items()}
    times = {name for name, field in FIELDS.items() if field.read is instant}
    assert times == {name for name in FIELDS if kinds[name] == "DATETIME"}


async def test_words_are_the_same_in_sql_and_python(
    connection: "Connection[asyncpg.Record]",
) -> None:
    async def allowed(table: str, column: str) -> set[str]:
        checks = await connection.fetch(
            "SELECT pg_get_constraintdef(oid) AS text FROM pg_constraint"
            " WHERE conrelid = $1::text::regclass AND contype = 'c' AND cardinality(conkey) = 1"
            " AND conkey[1] = (SELECT attnum FROM pg_attribute"
            "   WHERE attrelid = conrelid AND attname = $2)",
            table,
            column,
        )
        return set(re.findall(r"'([^']*)'::text", " ".join(check["text"] for check in checks)))

    assert await allowed("flight_leg", "phase") == set(PHASES) == set(get_args(schemas.Phase))
    words = await allowed("flight_leg", "irregularity")
    assert words == set(IRREGULARITIES) == set(get_args(schemas.Irregularity))
    groups = await allowed("feed_authority", "field_group")
    assert groups == {field.group for field in FIELDS.values()}
    for column in ("platform", "kind"):
        literal = schemas_account.DevicePut.__annotations__[column]
        assert await allowed("device", column) == set(get_args(literal))


@pytest.mark.parametrize(
    ("name", "sql", "clock_reads"),
    [
        ("schema.sql", schema_text(), 2),
        ("queries.sql", files("realtime").joinpath("queries.sql").read_text("utf-8"), 0),
    ],
)
def test_nothing_reads_a_clock_but_wall_now(name: str, sql: str, clock_reads: int) -> None:
    code = re.sub(r"--.*", "", sql)
    bare = re.findall(r"(?<![a-z_])now\s*\(", code, re.IGNORECASE)
    others = (
        r"\b(current_timestamp|localtimestamp|current_time|localtime|current_date|timeofday"
        r"|statement_timestamp|transaction_timestamp)\b|'now'::"
    )
    assert bare + re.findall(others, code, re.IGNORECASE) == []
    assert len(re.findall(r"clock_timestamp", code)) == clock_reads


def test_schema_sql_is_the_one_at_the_top_of_the_repository() -> None:
    top = Path(__file__).parent.parent.parent / "schema.sql"
    assert schema_text() == top.read_text("utf-8")


async def test_an_empty_database_is_filled_once(postgres_server: PostgresServer) -> None:
    dsn = await postgres_server.create_database("empty")
    try:
        assert await schema_version(dsn) is None
        await asyncio.gather(*(create_schema(dsn) for _ in range(3)))
        assert await schema_version(dsn) == VERSION
    finally:
        await postgres_server.drop_database("empty")


async def test_what_is_not_ours_or_newer_is_refused_in_one_sentence(
    dsn: str, postgres_server: PostgresServer, connection: "Connection[asyncpg.Record]"
) -> None:
    await connection.execute("INSERT INTO schema_version (version) VALUES ($1)", VERSION + 1)
    foreign = await postgres_server.create_database("foreign")
    try:
        other = await asyncpg.connect(foreign)
        await other.execute("CREATE TABLE guests (name text)")
        await other.close()
        for address, reason in ((dsn, "newer Gatecast"), (foreign, "not Gatecast's")):
            for check in (create_schema, schema_version):
                with pytest.raises(DatabaseRefused, match=reason) as refused:
                    await check(address)
                assert "\n" not in str(refused.value)
    finally:
        await postgres_server.drop_database("foreign")


async def test_sessions_give_up_locks_by_themselves(dsn: str) -> None:
    engine = open_engine(dsn)
    async with engine.connect() as session:
        for name, value in (("lock_timeout", "2s"), ("timezone", "UTC")):
            shown = await session.exec_driver_sql(f"SHOW {name}")
            assert shown.scalar_one() == value
    await engine.dispose()


def test_only_postgresql_is_taken() -> None:
    with pytest.raises(DatabaseRefused, match="not PostgreSQL"):
        open_engine("mysql://root@localhost/test")


async def test_board_time_is_wall_time_until_a_replay(
    connection: "Connection[asyncpg.Record]",
) -> None:
    apart = "SELECT abs(extract(epoch FROM board_now() - wall_now()))"
    assert await connection.fetchval(apart) < 1
    await connection.execute("SELECT start_replay($1, 10)", NOW)
    now = await connection.fetchval("SELECT board_now()")
    assert timedelta() <= now - NOW < timedelta(seconds=50)
