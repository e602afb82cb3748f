"""What is kept of people goes when its time is over, in small steps and in nobody's way."""

import asyncio
from datetime import UTC, datetime

import asyncpg
import pytest

from api.feed import Patch, PatchKey
from api.retention import BATCH, Retention
from api.upkeep import Upkeep
from realtime.database import QUERIES
from realtime.settings import Settings
from tests.support.followers import add_person, epoch_of
from tests.support.legs import add_legs
from tests.support.rest import DAY, World, at
from tests.support.wait import until

Pool = asyncpg.Pool
TABLES = ("delivery", "receipt", "follow", "device", "account_link", "leg_change")
DELIVERED = """INSERT INTO delivery (account_id, leg_id, version, seq, kinds, urgent, expires_at,
    due_at, state, done_at)
  SELECT $1::text::uuid, $2, n, n, '{delay}', false, board_now(),
    wall_now() - make_interval(days => $3), 'sent', wall_now() - make_interval(days => $3)
  FROM generate_series(1, $4::integer) n"""


async def person(pool: "Pool[asyncpg.Record]", leg_id: int, days: int) -> str:
    """A follower of whom everything is so many days old."""
    account_id = await add_person(pool, leg_id, f"ok-{days}-days")
    await pool.execute(DELIVERED, account_id, leg_id, days, 1)
    await pool.execute(
        "INSERT INTO receipt (account_id, leg_id, epoch, version)"
        " VALUES ($1::text::uuid, $2, $3::text::uuid, 1)", account_id, leg_id, await epoch_of(pool)
    )  # fmt: skip
    await pool.execute(
        "INSERT INTO account_link (link_id, account_id, secret_hash, created_at)"
        " VALUES ($1, $1::text::uuid, '', wall_now() - make_interval(days => $2))",
        account_id, days,
    )  # fmt: skip
    await pool.execute(
        "UPDATE device SET created_at = created_at - make_interval(days => $2),"
        " refreshed_at = refreshed_at - make_interval(days => $2),"
        " last_ok_at = wall_now() - make_interval(days => $2) WHERE account_id = $1::text::uuid",
        account_id, days,
    )  # fmt: skip
    await pool.execute(
        "UPDATE leg_change SET at = at - make_interval(days => $2) WHERE leg_id = $1", leg_id, days
    )
    return account_id


async def left(pool: "Pool[asyncpg.Record]") -> dict[str, int]:
    return {name: await pool.fetchval(f"SELECT count(*) FROM {name}") for name in TABLES}


@pytest.mark.parametrize(
    ("days", "kept"),
    [
        (0, TABLES),
        (6, ("delivery", "receipt", "follow", "device", "leg_change")),
        (8, ("delivery", "follow", "device", "leg_change")),
        (29, ("delivery", "follow", "device", "leg_change")),
        (31, ("device", "leg_change")),
        (89, ("device", "leg_change")),
        (91, ("device",)),
        (271, ()),
    ],
)
async def test_each_is_kept_for_its_time(
    pool: "Pool[asyncpg.Record]", days: int, kept: tuple[str, ...]
) -> None:
    (leg_id,) = await add_legs(pool, departs_in=f"-{days * 24 + 5} hours")
    await person(pool, leg_id, days)
    assert await left(pool) == dict.fromkeys(TABLES, 1)
    assert not await Retention(pool, Settings()).turn()
    assert await left(pool) == {name: int(name in kept) for name in TABLES}
    assert await pool.fetchval("SELECT count(*) FROM account") == 1
    assert await pool.fetchval("SELECT count(*) FROM flight_leg") == 1


async def test_periods_are_settings(pool: "Pool[asyncpg.Record]") -> None:
    (leg_id,) = await add_legs(pool, departs_in="-53 hours")
    await person(pool, leg_id, 2)
    short = Settings(delivery_days=1, receipt_days=1, follow_days=3, device_days=1, history_days=3)
    await Retention(pool, short).turn()
    kept = {name for name, count in (await left(pool)).items() if count}
    assert kept == {"follow", "leg_change"}


@pytest.mark.parametrize("of", ["last_ok_at", "refreshed_at"])
async def test_a_device_that_took_a_notice_or_registered_lately_stays(
    pool: "Pool[asyncpg.Record]", of: str
) -> None:
    (leg_id,) = await add_legs(pool)
    account_id = await person(pool, leg_id, 300)
    await pool.execute(f"UPDATE device SET {of} = wall_now()")
    await Retention(pool, Settings()).turn()
    assert await pool.fetchval("SELECT account_id::text FROM device") == account_id


async def test_much_goes_in_batches_and_what_is_locked_stays_for_the_next(
    pool: "Pool[asyncpg.Record]",
) -> None:
    (leg_id,) = await add_legs(pool)
    account_id = await add_person(pool, leg_id, "ok-phone")
    await pool.execute(DELIVERED, account_id, leg_id, 31, 2 * BATCH + 20)
    retention, counts = Retention(pool, Settings()), []
    async with pool.acquire() as session, session.transaction():
        await session.execute("SELECT FROM delivery WHERE version <= 20 FOR UPDATE")
        more = True
        while more:
            more = await asyncio.wait_for(retention.turn(), 5)
            counts.append((await left(pool))["delivery"])
    assert counts == [BATCH + 20, 20, 20]
    assert not await retention.turn()  # a long pause
    assert (await left(pool))["delivery"] == 20
    await Retention(pool, Settings()).turn()
    assert (await left(pool))["delivery"] == 0


async def test_ingest_goes_on_while_rows_of_its_legs_are_deleted(
    dsn: str, pool: "Pool[asyncpg.Record]"
) -> None:
    world = World(dsn)
    await world.ingest.register_feed("aodb", "airport")
    said = Patch(
        key=PatchKey(airline="B6", number=9, origin_date=DAY, dep="JFK", arr="MCO"),
        source_ts=datetime.now(UTC), set={"std": at(1), "sta": at(3)},
    )  # fmt: skip
    await world.ingest.apply("aodb", [said])
    leg_id = await pool.fetchval("SELECT leg_id FROM flight_leg")
    account_id = await person(pool, leg_id, 300)
    await pool.execute(DELIVERED.replace("n, n,", "n + 10, n,"), account_id, leg_id, 31, 50)
    async with pool.acquire() as session, session.transaction():
        for name in ("forget_deliveries", "forget_receipts", "forget_follows", "forget_history"):
            await session.fetchval(QUERIES[name], -1.0, BATCH)
        assert await session.fetchval("SELECT count(*) FROM delivery") == 0
        assert await session.fetchval("SELECT count(*) FROM follow") == 0
        gate = Patch(key=said.key, source_ts=datetime.now(UTC), set={"dep_gate": "B22"})
        (result,) = await asyncio.wait_for(world.ingest.apply("aodb", [gate]), 5)
        assert result.outcome == "applied"
    await world.close()


async def test_upkeep_does_it(pool: "Pool[asyncpg.Record]") -> None:
    (leg_id,) = await add_legs(pool, departs_in="-200 hours")
    await person(pool, leg_id, 40)
    upkeep = asyncio.create_task(Upkeep(pool, Retention(pool, Settings()).turn).run())
    try:
        gone = "SELECT NOT EXISTS (SELECT FROM delivery) AND NOT EXISTS (SELECT FROM receipt)"
        await until(lambda: pool.fetchval(gone), within=10, what="upkeep deleted it")
    finally:
        upkeep.cancel()
        await asyncio.gather(upkeep, return_exceptions=True)
