"""A1, A2: a commit gets its dense place in the log, whatever happens around it."""

import asyncio
import itertools
import random

import asyncpg
import pytest

from realtime.bus import Position
from realtime.change_log import ChangeLog, OutboxProbe
from realtime.errors import PositionLost
from tests.support.legs import add_legs, set_gate

Pool = asyncpg.Pool


async def drain(log: ChangeLog, batch: int = 20_000) -> int:
    """Sequence until nothing is left."""
    total = 0
    while (taken := await log.sequence(batch)) > 0:
        total += taken
    return total


async def assert_whole(pool: "Pool[asyncpg.Record]") -> None:
    """seq and the versions of each leg are dense, and the log ends where the tables are."""
    rows = await pool.fetch("SELECT seq, leg_id, version FROM change_log ORDER BY seq")
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    versions: dict[int, int] = {}
    for row in rows:
        if row["leg_id"] is not None:
            assert row["version"] == versions.get(row["leg_id"], 0) + 1
            versions[row["leg_id"]] = row["version"]
    tables = await pool.fetch("SELECT leg_id, version FROM flight_leg")
    assert versions == {row["leg_id"]: row["version"] for row in tables}


async def test_a_visible_change_gets_one_row_and_anything_else_none(
    pool: "Pool[asyncpg.Record]",
) -> None:
    log = ChangeLog(pool)
    (leg_id,) = await add_legs(pool)
    await drain(log)
    start = await log.position()
    await set_gate(pool, leg_id, "18")
    await pool.execute("UPDATE flight_leg SET confirmed_at = board_now(), registration = 'N1'")
    assert await drain(log) == 0
    async with pool.acquire() as session:
        transaction = session.transaction()
        await transaction.start()
        await set_gate(session, leg_id, "99")
        await transaction.rollback()
    assert await drain(log) == 0
    await set_gate(pool, leg_id, "22")
    assert await drain(log) == 1
    (change,) = await log.read(start)
    assert (change.seq, change.version) == (start.seq + 1, 2)
    assert b'"dep_gate": ["18", "22"]' in bytes(change.changed)
    assert change.feed is None


async def test_a_feed_and_its_time_travel_with_the_change(pool: "Pool[asyncpg.Record]") -> None:
    log = ChangeLog(pool)
    (leg_id,) = await add_legs(pool)
    await drain(log)
    start = await log.position()
    async with pool.acquire() as session, session.transaction():
        await session.execute("SELECT set_config('gatecast.feed', 'aodb', true)")
        await set_gate(session, leg_id, "22")
    await set_gate(pool, leg_id, "23")
    await drain(log)
    assert [change.feed for change in await log.read(start)] == ["aodb", None]


async def test_sixteen_writers_lose_nothing_and_keep_the_order(
    pool: "Pool[asyncpg.Record]", dsn: str
) -> None:
    log = ChangeLog(pool)
    leg_ids = list(await add_legs(pool, 12))
    dice = random.Random(7)
    done = asyncio.Event()
    counter = itertools.count()

    async def write() -> None:
        session = await asyncpg.connect(dsn)
        for _ in range(25):
            chosen = sorted(dice.sample(leg_ids, 3))
            transaction = session.transaction()
            await transaction.start()
            for leg_id in chosen:
                await set_gate(session, leg_id, f"A{next(counter)}")
                savepoint = session.transaction()
                await savepoint.start()
                await set_gate(session, leg_id, f"B{next(counter)}")
                await (savepoint.rollback() if dice.random() < 0.5 else savepoint.commit())
                await asyncio.sleep(dice.random() * 0.01)
            await (transaction.rollback() if dice.random() < 0.1 else transaction.commit())
        await session.close()

    async def sequence() -> None:
        while not done.is_set():
            await log.sequence(7)
            await asyncio.sleep(0.001)

    async def idle_transaction() -> None:
        session = await asyncpg.connect(dsn)
        async with session.transaction():
            await session.execute("SELECT pg_current_xact_id()")
            await done.wait()
        await session.close()

    async with asyncio.TaskGroup() as group:
        others = [group.create_task(sequence()) for _ in range(2)]
        others.append(group.create_task(idle_transaction()))
        await asyncio.gather(*(write() for _ in range(16)))
        done.set()
        await asyncio.gather(*others)
    await drain(log)
    await assert_whole(pool)


async def test_a_large_backlog_is_worked_off_in_bounded_calls(pool: "Pool[asyncpg.Record]") -> None:
    log = ChangeLog(pool)
    await add_legs(pool, 100)
    for number in range(5):
        await pool.execute("UPDATE flight_leg SET dep_gate = $1", f"G{number}")
    taken = []
    while (count := await log.sequence(64)) > 0:
        taken.append(count)
        await pool.execute("UPDATE flight_leg SET dep_terminal = $1 WHERE leg_id = 1", str(count))
        await pool.execute("UPDATE flight_leg SET dep_stand = $1 WHERE leg_id = 1", str(count))
        if len(taken) > 40:
            break
    assert max(taken) == 64
    await drain(log)
    await assert_whole(pool)


async def test_the_probe_sees_what_sequencing_would_take_and_takes_no_lock(
    pool: "Pool[asyncpg.Record]", dsn: str
) -> None:
    log, probe = ChangeLog(pool), OutboxProbe(pool)
    (leg_id,) = await add_legs(pool)
    assert await probe.anything()
    await drain(log)
    await probe.refresh()
    assert not await probe.anything()
    session = await asyncpg.connect(dsn)
    transaction = session.transaction()
    await transaction.start()
    await set_gate(session, leg_id, "22")
    assert not await probe.anything()
    await transaction.commit()
    assert await probe.anything()
    await session.close()
    before = await pool.fetchval("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
    await probe.anything()
    assert await pool.fetchval("SELECT pg_snapshot_xmax(pg_current_snapshot())::text") == before


async def test_an_outbox_partition_waits_for_a_slow_writer(
    pool: "Pool[asyncpg.Record]", dsn: str
) -> None:
    """A partition that the ids have left may still get the rows of an open transaction."""
    log = ChangeLog(pool)
    (leg_id,) = await add_legs(pool)
    await pool.execute("DROP TABLE change_outbox_1_1000001, change_outbox_1000001_2000001")
    await pool.execute("CREATE TABLE change_outbox_1_10 PARTITION OF change_outbox"
                       " FOR VALUES FROM (1) TO (10)")  # fmt: skip
    await pool.execute("CREATE TABLE change_outbox_10_1000 PARTITION OF change_outbox"
                       " FOR VALUES FROM (10) TO (1000)")  # fmt: skip
    await pool.execute("SELECT setval('change_outbox_id', 1)")
    slow = await asyncpg.connect(dsn)
    transaction = slow.transaction()
    await transaction.start()
    await set_gate(slow, leg_id, "22")
    (other,) = await add_legs(pool, first=2)
    for number in range(12):
        await set_gate(pool, other, f"G{number}")
    await drain(log)
    started = asyncio.get_running_loop().time()
    assert await pool.fetchval("SELECT drop_drained_partitions()") == 0
    assert asyncio.get_running_loop().time() - started < 2
    await transaction.commit()
    assert await pool.fetchval("SELECT drop_drained_partitions()") == 0
    await drain(log)
    assert await pool.fetchval("SELECT drop_drained_partitions()") == 1
    gates = await pool.fetch(
        "SELECT state ->> 'dep_gate' AS gate FROM change_log WHERE leg_id = $1 ORDER BY seq", leg_id
    )
    assert [row["gate"] for row in gates][-1] == "22"
    await slow.close()


async def test_partitions_are_added_ahead_and_the_log_is_pruned_behind_every_reader(
    pool: "Pool[asyncpg.Record]",
) -> None:
    log = ChangeLog(pool)
    (leg_id,) = await add_legs(pool)
    await drain(log)
    await pool.execute("UPDATE relay_state SET last_seq = 999999")
    await pool.execute("SELECT setval('change_outbox_id', 1500000)")
    assert await pool.fetchval("SELECT add_partitions()") > 0
    assert await pool.fetchval("SELECT add_partitions()") == 0
    await set_gate(pool, leg_id, "22")
    await set_gate(pool, leg_id, "23")
    assert await drain(log) == 2
    await pool.execute("INSERT INTO log_reader SELECT 'slow', epoch, 10 FROM relay_state")
    assert await pool.fetchval("SELECT prune_log('-1 day')") == 0
    await pool.execute("UPDATE log_reader SET seq = 1000001")
    assert await pool.fetchval("SELECT prune_log('7 days')") == 0
    assert await pool.fetchval("SELECT prune_log('-1 day')") == 1
    rest = await pool.fetchval("SELECT count(*) FROM change_outbox_rest")
    assert rest + await pool.fetchval("SELECT count(*) FROM change_log_rest") == 0
    with pytest.raises(PositionLost):
        await log.read(Position((await log.position()).epoch, 5))


async def test_a_restore_that_keeps_the_system_identifier_makes_a_new_epoch(
    pool: "Pool[asyncpg.Record]",
) -> None:
    """The log is shorter than what a node holds: only the node can notice."""
    log = ChangeLog(pool)
    leg_ids = await add_legs(pool, 5)
    await drain(log)
    held = Position((await log.position()).epoch, 40)
    assert not await log.adopt_database()
    with pytest.raises(PositionLost):
        await log.read(held)
    after = await log.position()
    assert after.epoch != held.epoch
    with pytest.raises(PositionLost):
        await log.read(held)
    assert (await log.position()).epoch == after.epoch
    await set_gate(pool, leg_ids[0], "22")
    await drain(log)
    changes = await log.read(after)
    assert [change.kind for change in changes] == ["clock", "leg"]
    await assert_whole(pool)


async def test_a_restore_elsewhere_sequences_everything_untaken_once(
    pool: "Pool[asyncpg.Record]",
) -> None:
    """Transaction ids of another cluster mean nothing: neither lost nor taken twice."""
    log = ChangeLog(pool)
    leg_ids = await add_legs(pool, 3)
    await drain(log)
    before = await log.position()
    for leg_id in leg_ids:
        await set_gate(pool, leg_id, "22")
    await pool.execute("UPDATE change_outbox SET xid = (xid::text::bigint + 1000000)::text::xid8")
    await pool.execute(
        "UPDATE relay_state SET system_identifier = 1, snap = '1000000:1000000:'::pg_snapshot"
    )
    await pool.execute(
        "UPDATE change_outbox SET xid = '999'::xid8 WHERE version IS DISTINCT FROM 2"
    )
    assert await log.adopt_database()
    assert not await log.adopt_database()
    assert (await log.position()).epoch != before.epoch
    await set_gate(pool, leg_ids[0], "23")
    await drain(log)
    await assert_whole(pool)
    rows = await pool.fetch("SELECT kind FROM change_log WHERE seq > $1 ORDER BY seq", before.seq)
    assert sorted(row["kind"] for row in rows) == ["clock", "leg", "leg", "leg", "leg"]


async def test_each_board_minute_is_logged_once_and_an_epoch_begins_with_one(
    pool: "Pool[asyncpg.Record]",
) -> None:
    await pool.execute("SELECT start_replay('2013-03-08 21:00Z', 60)")
    flags = [await pool.fetchval("SELECT append_clock()") for _ in range(3)]
    assert flags == [False, False, False]
    await pool.execute("UPDATE clock SET board_at = board_at + interval '90 s'")
    assert await pool.fetchval("SELECT append_clock()")
    assert not await pool.fetchval("SELECT append_clock()")


async def test_a_replays_clock_stops_five_seconds_after_its_last_anchor(
    pool: "Pool[asyncpg.Record]",
) -> None:
    await pool.execute("SELECT start_replay('2013-03-08 21:00Z', 10)")
    await pool.execute("UPDATE clock SET wall_at = wall_at - interval '1 hour'")
    now = await pool.fetchval("SELECT board_now()")
    assert now.isoformat() == "2013-03-08T21:00:50+00:00"
    await pool.execute("SELECT anchor_clock()")
    later = await pool.fetchval("SELECT board_now()")
    assert 0 <= (later - now).total_seconds() < 10


async def test_legs_are_not_deleted(
    pool: "Pool[asyncpg.Record]",
) -> None:
    await add_legs(pool)
    for statement in (
        "DELETE FROM flight_leg",
        "TRUNCATE flight_leg CASCADE",
    ):
        with pytest.raises(asyncpg.RaiseError):
            await pool.execute(statement)


async def test_a_screen_still_knows_the_old_gate_after_a_reload(
    pool: "Pool[asyncpg.Record]",
) -> None:
    (leg_id,) = await add_legs(pool)
    await set_gate(pool, leg_id, "22")
    row = await pool.fetchrow(
        "SELECT state ->> 'dep_gate_was' AS was, length(state::text) AS size"
        " FROM flight_leg l, public_state(l) AS state"
    )
    assert row is not None
    assert row["was"] == "18"
    assert row["size"] <= 700
