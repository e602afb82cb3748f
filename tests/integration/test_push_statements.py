"""What single guards in the statements of the push path are for, one by one."""

import asyncio
import json
from typing import Any

import asyncpg
import pytest

from realtime.change_log import ChangeLog
from realtime.database import QUERIES
from realtime.receipts import Receipts
from realtime.settings import Settings
from tests.support.followers import RecordingSender, add_person, epoch_of, make
from tests.support.legs import add_legs, key_of, set_gate
from tests.support.wait import until

Pool = asyncpg.Pool
PENDING = """INSERT INTO delivery (account_id, leg_id, version, seq, kinds, urgent, expires_at,
    due_at, state) VALUES ($1::text::uuid, 1, $2, $2, '{gate_changed}', $3,
    board_now() + interval '1 hour', wall_now() - interval '1 minute', 'pending')"""
CLAIMED = """UPDATE delivery SET state = 'claimed', worker = 'w', attempts = 1,
    lease_until = wall_now() + interval '1 minute'"""
HOLD = "UPDATE delivery SET held_until = board_now() + interval '1 minute'"
LATE = Settings(grace=3600, grace_urgent=3600)


@pytest.fixture
async def person(pool: "Pool[asyncpg.Record]") -> str:
    """A follower of leg 1, with a phone, for whom version 2 is to be sent."""
    await add_legs(pool, departs_in="2 hours")
    account_id = await add_person(pool, 1, "ok-phone")
    await pool.execute(PENDING, account_id, 2, False)
    return account_id


def result(account_id: str, state: str, **more: Any) -> str:
    """What `record` takes."""
    return json.dumps(
        [{"account_id": account_id, "leg_id": 1, "version": 2, "state": state} | more]
    )


async def state_of(pool: "Pool[asyncpg.Record]") -> str:
    found: str = await pool.fetchval("SELECT state FROM delivery")
    return found


async def waits(pool: "Pool[asyncpg.Record]") -> bool:
    """Somebody waits for a row."""
    found: bool = await pool.fetchval(
        "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted)"
    )
    return found


async def test_a_receipt_that_waits_for_a_result_leaves_what_was_sent(
    pool: "Pool[asyncpg.Record]", person: str
) -> None:
    await set_gate(pool, 1, "22")
    await pool.execute(CLAIMED)
    legs, epoch = {await key_of(pool, 1): 2}, await epoch_of(pool)
    async with pool.acquire() as session:
        transaction = session.transaction()
        await transaction.start()
        await session.execute(QUERIES["record"], "w", result(person, "sent"))
        receipt = asyncio.create_task(Receipts(pool).settle(person, epoch, True, legs))
        await until(lambda: waits(pool), within=5, what="the receipt waits for the row")
        await transaction.commit()
    assert await receipt == 0
    assert await state_of(pool) == "sent"


async def test_after_a_new_epoch_receipts_count_before_their_deliveries_again(
    pool: "Pool[asyncpg.Record]", person: str
) -> None:
    notifier = await make(pool, RecordingSender(), LATE)
    receipts, key = Receipts(pool), await key_of(pool, 1)
    await receipts.settle(person, await epoch_of(pool), True, {key: 1})
    await pool.execute("UPDATE relay_state SET epoch = gen_random_uuid()")
    for version, gate in ((2, "22"), (3, "23")):
        await set_gate(pool, 1, gate)
        await receipts.settle(person, await epoch_of(pool), True, {key: version})
    await ChangeLog(pool).sequence()
    while await notifier.enqueue_batch():
        pass
    newest = "SELECT state, reason FROM delivery WHERE version = 3"
    row = await pool.fetchrow(newest)
    assert row is not None
    assert tuple(row) == ("seen", "receipt before the delivery")


async def test_who_saw_a_version_knows_what_it_showed_whatever_came_after(
    pool: "Pool[asyncpg.Record]", person: str
) -> None:
    for gate in ("22", "23", "24"):
        await set_gate(pool, 1, gate)
    await Receipts(pool).settle(person, await epoch_of(pool), False, {await key_of(pool, 1): 2})
    assert await pool.fetchval("SELECT told ->> 'dep_gate' FROM follow") == "22"


async def test_a_receipt_teaches_beyond_an_urgent_change_that_it_settles(
    pool: "Pool[asyncpg.Record]", person: str
) -> None:
    await pool.execute("UPDATE delivery SET urgent = true")
    await pool.execute(PENDING, person, 3, False)
    epoch = await epoch_of(pool)
    for attentive, version in ((False, 3), (True, 2)):
        await pool.execute(QUERIES["raise_receipts"], person, epoch, attentive, [1], [version])
    (row,) = await pool.fetch(QUERIES["settle"], person, [1])
    assert (row["settled"], row["seen"]) == (2, 3)


async def test_what_is_held_is_not_claimed(pool: "Pool[asyncpg.Record]", person: str) -> None:
    claim = QUERIES["claim"]
    await pool.execute(HOLD)
    assert await pool.execute(claim, "w", 60.0, 9) == "UPDATE 0"
    await pool.execute("UPDATE delivery SET held_until = board_now()")
    assert await pool.execute(claim, "w", 60.0, 9) == "UPDATE 1"


async def test_a_lease_that_ran_out_gives_back_what_was_held_as_held(
    pool: "Pool[asyncpg.Record]", person: str
) -> None:
    await pool.execute(CLAIMED)
    await pool.execute(HOLD)
    await pool.execute("UPDATE delivery SET lease_until = wall_now() - interval '1 second'")
    await pool.execute(QUERIES["release_leases"])
    assert await state_of(pool) == "held"


async def test_a_lease_whose_row_somebody_has_is_left_for_the_next_time(
    pool: "Pool[asyncpg.Record]", person: str
) -> None:
    await pool.execute(CLAIMED)
    await pool.execute("UPDATE delivery SET lease_until = wall_now() - interval '1 second'")
    async with pool.acquire() as session, session.transaction():
        await session.execute("SELECT FROM delivery FOR UPDATE")
        assert await pool.execute(QUERIES["release_leases"]) == "UPDATE 0"
    assert await pool.execute(QUERIES["release_leases"]) == "UPDATE 1"


async def test_waiting_for_a_board_time_is_no_attempt(
    pool: "Pool[asyncpg.Record]", person: str
) -> None:
    for state, attempts in (("held", 0), ("pending", 1)):
        await pool.execute(CLAIMED)
        await pool.execute(QUERIES["record"], "w", result(person, state, reason="later"))
        assert await pool.fetchval("SELECT attempts FROM delivery") == attempts


async def test_what_rang_is_written_down_with_its_board_time(
    pool: "Pool[asyncpg.Record]", person: str
) -> None:
    """Flapping is judged by it."""
    await pool.execute("SELECT start_replay('2013-03-08T20:00:00Z', 1)")
    await pool.execute(CLAIMED)
    await pool.execute(QUERIES["record"], "w", result(person, "sent", said=["gate_changed"]))
    rang = "SELECT said = '{gate_changed}' AND said_at::date = '2013-03-08' FROM delivery"
    assert await pool.fetchval(rang) is True


@pytest.mark.parametrize(
    ("known", "before", "gate"),
    [
        ({"version": 2, "dep_gate": "18"}, {"version": 2, "dep_gate": "18"}, "22"),
        ({"version": 3, "dep_gate": "18"}, {"version": 3, "dep_gate": "18"}, "22"),
        ({"version": 2, "dep_gate": "19"}, {"version": 1, "dep_gate": "18"}, "22"),
        ({"version": 4, "dep_gate": "23"}, {"version": 2, "dep_gate": "18"}, "23"),
    ],
    ids=["nothing new", "the same version", "an older screen", "a newer screen"],
)
async def test_a_notice_teaches_unless_a_newer_version_has_been_seen(
    pool: "Pool[asyncpg.Record]",
    person: str,
    known: dict[str, object],
    before: dict[str, object],
    gate: str,
) -> None:
    await pool.execute("UPDATE follow SET told = $1::text::jsonb", json.dumps(known))
    told = {"version": 3, "dep_gate": "22"}
    learned = [{"account_id": person, "leg_id": 1, "before": before, "told": told}]
    await pool.execute(QUERIES["tell_sent"], json.dumps(learned))
    assert await pool.fetchval("SELECT told ->> 'dep_gate' FROM follow") == gate


async def test_a_device_that_is_gone_stays_gone(pool: "Pool[asyncpg.Record]", person: str) -> None:
    """In one batch, whatever else was answered for it, and afterwards."""
    device = await pool.fetchval("SELECT device_id::text FROM device")
    dead = "SELECT dead_reason FROM device WHERE dead_at IS NOT NULL"
    targets, answers = ["ok-phone"] * 3, [None, "UNREGISTERED", None]
    asked_at = await pool.fetchval("SELECT wall_now()")
    await pool.execute(QUERIES["note_devices"], [device] * 3, targets, answers, asked_at)
    assert await pool.fetchval(dead) == "UNREGISTERED"
    await pool.execute(QUERIES["note_devices"], [device], ["ok-phone"], [None], asked_at)
    assert await pool.fetchval(dead) == "UNREGISTERED"


async def test_one_notifier_at_a_time_reads_the_log(pool: "Pool[asyncpg.Record]") -> None:
    await make(pool, RecordingSender())
    async with pool.acquire() as session, session.transaction():
        assert await session.fetchrow(QUERIES["lock_reader"], "notifier")
        assert await pool.fetchrow(QUERIES["lock_reader"], "notifier") is None
