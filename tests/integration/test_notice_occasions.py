"""Notices that no change of their own leg calls for, from the database to the words on a phone."""

from collections.abc import Sequence

import asyncpg

from realtime.change_log import ChangeLog
from realtime.receipts import Receipts
from tests.support.followers import (
    READ_ALL,
    RecordingSender,
    add_device,
    add_follower,
    add_person,
    end_holds,
    epoch_of,
    finish,
    make,
    running,
)
from tests.support.legs import add_legs, key_of
from tests.support.wait import until

Pool = asyncpg.Pool
DESKS = "UPDATE flight_leg SET check_in_close_at = board_now() + interval '{}' WHERE leg_id = {}"
ASKED = """WITH asked AS (
  UPDATE account SET preferences = '{"kinds": ["check_in_closing"]}' WHERE account_id IN (
    SELECT account_id FROM device WHERE target LIKE 'ok-asked-%') RETURNING account_id)
UPDATE follow SET kinds = '{check_in_closing}' WHERE account_id IN (SELECT account_id FROM asked)"""


def kinds(sender: RecordingSender) -> Sequence[tuple[str, ...]]:
    return [notice.kinds for _, notice in sender.sent]


async def read(pool: "Pool[asyncpg.Record]") -> None:
    """The notifier has read what is committed."""
    await ChangeLog(pool).sequence()
    await until(lambda: pool.fetchval(READ_ALL), within=10, what="the log was read")


async def minute(pool: "Pool[asyncpg.Record]") -> None:
    """A board minute passes in the log, and all that comes of it."""
    await pool.execute("SELECT append_clock(true)")
    await end_holds(pool)
    await finish(pool)


async def test_desks_that_close_soon_ring_once_for_who_asked(pool: "Pool[asyncpg.Record]") -> None:
    sender = RecordingSender()
    notifier = await make(pool, sender)
    soon, later, cancelled = await add_legs(pool, 3, departs_in="2 hours")
    await add_person(pool, soon, "ok-did-not-ask")
    for leg_id, span in ((soon, "29 min"), (later, "32 min"), (cancelled, "20 min")):
        await pool.execute(DESKS.format(span, leg_id))
    await pool.execute(f"UPDATE flight_leg SET irregularity = 'cancelled' WHERE leg_id={cancelled}")
    async with running(notifier):
        await minute(pool)
        assert sender.sent == []
        for leg_id in (soon, later, cancelled):
            await add_person(pool, leg_id, f"ok-asked-{leg_id}")
        await pool.execute(ASKED)
        await minute(pool)
        await minute(pool)
        assert [
            (target.target, notice.kinds, notice.version) for target, notice in sender.sent
        ] == [(f"ok-asked-{soon}", ("check_in_closing",), 0)]
        await pool.execute(DESKS.format("28 min", later))
        await minute(pool)
    assert [target.target for target, _ in sender.sent] == [f"ok-asked-{soon}", f"ok-asked-{later}"]
    assert await pool.fetchval("SELECT bool_and(version = -seq) FROM delivery WHERE kinds"
                               " = '{check_in_closing}'")  # fmt: skip


async def rotation(pool: "Pool[asyncpg.Record]") -> tuple[int, int]:
    """A leg from Orlando, and the one that its aircraft flies an hour after it is due."""
    inbound, own, _ = await add_legs(pool, 3, departs_in="4 hours")
    await pool.execute(
        "UPDATE flight_leg SET (dep_airport, arr_airport, std, sta) = ('MCO', 'JFK',"
        " std - interval '4 hours', std - interval '1 hour') WHERE leg_id = $1", inbound
    )  # fmt: skip
    await pool.execute(
        "UPDATE flight_leg SET registration = 'N612JB' WHERE leg_id = ANY ($1::bigint[])",
        [inbound, own],
    )
    return inbound, own


LATE = "UPDATE flight_leg SET eta = sta + interval '{} minutes' WHERE leg_id = {}"


async def test_a_late_aircraft_is_told_of_the_next_leg_that_it_flies(
    pool: "Pool[asyncpg.Record]",
) -> None:
    """Not of one later in the day: until then it may have caught up, or another may fly."""
    sender = RecordingSender()
    notifier = await make(pool, sender)
    inbound, own = await rotation(pool)
    evening = await pool.fetchval("SELECT max(leg_id) FROM flight_leg")
    await pool.execute(
        "UPDATE flight_leg SET registration = 'N612JB', std = std + interval '60 min',"
        " sta = sta + interval '60 min' WHERE leg_id = $1", evening
    )  # fmt: skip
    for leg_id in (evening, own):
        await add_person(pool, leg_id, f"ok-phone-{leg_id}")
    async with running(notifier):
        await pool.execute(LATE.format(120, inbound))
        await end_holds(pool)
        await finish(pool)
    late = [target.target for target, notice in sender.sent if "inbound_late" in notice.kinds]
    assert late == [f"ok-phone-{own}"]


async def test_a_late_aircraft_rings_once_for_those_who_wait_for_it(
    pool: "Pool[asyncpg.Record]",
) -> None:
    sender = RecordingSender()
    notifier = await make(pool, sender)
    inbound, own = await rotation(pool)
    account_id = await add_person(pool, own, "ok-phone")
    key = await key_of(pool, own)
    async with running(notifier):
        for minutes in (40, 60, 70):
            await pool.execute(LATE.format(minutes, inbound))
            if minutes == 60:  # a screen that shows the leg does not show this
                await read(pool)
                version = await pool.fetchval(f"SELECT version FROM flight_leg WHERE leg_id={own}")
                receipts, epoch = Receipts(pool), await epoch_of(pool)
                await receipts.settle(account_id, epoch, True, {key: version})
            await end_holds(pool)
            await finish(pool)
    ((_, notice),) = sender.sent
    assert (notice.kinds, notice.leg_key, notice.version) == (("inbound_late",), key, 0)
    assert notice.body.endswith("is about 1 h late: a delay is likely.")


async def test_an_aircraft_that_catches_up_or_a_leg_that_says_more_rings_nobody(
    pool: "Pool[asyncpg.Record]",
) -> None:
    sender = RecordingSender()
    notifier = await make(pool, sender)
    inbound, own = await rotation(pool)
    await add_person(pool, own, "ok-phone")
    async with running(notifier):
        await pool.execute(LATE.format(60, inbound))
        await read(pool)
        await pool.execute(LATE.format(5, inbound))
        await end_holds(pool)
        assert [state for _, state, _ in await finish(pool)] == ["superseded"]
        await pool.execute(
            f"UPDATE flight_leg SET etd = std + interval '20 min' WHERE leg_id = {own}"
        )
        await pool.execute(LATE.format(60, inbound))
        await end_holds(pool)
        await finish(pool)
    assert kinds(sender) == [("delay",)]


async def test_who_follows_the_next_leg_too_is_told_that_it_may_leave_without_them(
    pool: "Pool[asyncpg.Record]",
) -> None:
    sender = RecordingSender()
    notifier = await make(pool, sender)
    first, onward = await add_legs(pool, 2, departs_in="2 hours")
    await pool.execute(
        "UPDATE flight_leg SET (dep_airport, arr_airport, std, sta) = ('MCO', 'BOS',"
        " sta + interval '80 min', sta + interval '4 hours') WHERE leg_id = $1", onward
    )  # fmt: skip
    both = await add_follower(pool, first, onward)
    await add_device(pool, both, "ok-connects")
    await add_person(pool, first, "ok-stays-here")
    await pool.execute(
        "UPDATE follow f SET told = jsonb_build_object('std', s ->> 'std', 'sta', s ->> 'sta')"
        " FROM flight_leg l, public_state(l) s WHERE l.leg_id = f.leg_id"
    )
    async with running(notifier):
        await pool.execute(LATE.format(10, first))
        await end_holds(pool)
        await finish(pool)
        assert sender.sent == []
        await pool.execute(LATE.format(30, first))
        await end_holds(pool)
        await finish(pool)
    assert [target.target for target, _ in sender.sent] == ["ok-connects"]
    ((_, notice),) = sender.sent
    assert notice.kinds == ("connection_risk",)
    assert "B6 2 closes its gate at" in notice.body
