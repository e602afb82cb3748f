"""A8: a receipt settles what it covers, whichever of receipt and delivery comes first."""

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from realtime.bus import Bus
from realtime.change_log import ChangeLog
from realtime.database import QUERIES
from realtime.errors import (
    BAD_REQUEST,
    INTERNAL,
    PERMISSION_DENIED,
    UNRECOVERABLE_POSITION,
    ErrorCode,
    Refused,
)
from realtime.notifier import Notifier
from realtime.receipts import MAX_LEGS, Receipts
from realtime.sender import Notice, Sent, Target
from realtime.settings import Settings
from tests.support.followers import IdleBus, add_follower, epoch_of
from tests.support.legs import add_legs, key_of, set_gate
from tests.support.wait import until

Pool = asyncpg.Pool
GRACE = Settings(grace=3600, grace_urgent=3600)


class NoSender:
    """A sender that must not be used."""

    async def send(self, sends: Sequence[tuple[Target, Notice]]) -> list[Sent]:
        raise AssertionError(f"sent {sends}")

    async def close(self) -> None:
        raise NotImplementedError


@pytest.fixture
async def notifier(pool: "Pool[asyncpg.Record]") -> Notifier:
    """A notifier at the end of the log, whose deliveries stay in their grace."""
    bus: Bus = IdleBus()
    made = Notifier(pool, bus, NoSender(), GRACE)
    await made.enqueue_batch()
    return made


async def enqueue(pool: "Pool[asyncpg.Record]", notifier: Notifier) -> None:
    """Sequence what was committed and make its deliveries."""
    await ChangeLog(pool).sequence()
    while await notifier.enqueue_batch():
        pass


async def states(pool: "Pool[asyncpg.Record]") -> list[tuple[int, str]]:
    """Version and state of all deliveries in order."""
    rows = await pool.fetch("SELECT version, state FROM delivery ORDER BY leg_id, version")
    return [(row["version"], row["state"]) for row in rows]


async def test_a_receipt_settles_open_deliveries_up_to_its_version(
    pool: "Pool[asyncpg.Record]", notifier: Notifier
) -> None:
    (leg_id,) = await add_legs(pool, departs_in="2 hours")
    account_id, key = await add_follower(pool, leg_id), await key_of(pool, leg_id)
    for gate in ("22", "23", "24"):
        await set_gate(pool, leg_id, gate)
    await enqueue(pool, notifier)
    await pool.execute("UPDATE delivery SET state = 'claimed', worker = 'w' WHERE version = 2")
    assert await states(pool) == [(2, "claimed"), (3, "held"), (4, "held")]
    receipts, epoch = Receipts(pool), await epoch_of(pool)
    assert await receipts.settle(account_id, epoch, False, {key: 3}) == 2
    assert await states(pool) == [(2, "seen"), (3, "seen"), (4, "held")]
    assert await receipts.settle(account_id, epoch, False, {key: 2}) == 0
    assert await receipts.settle(account_id, epoch, False, {key: 4}) == 1
    rows = await pool.fetch("SELECT reason, done_at, worker, lease_until FROM delivery")
    assert all(row["reason"] == "receipt" and row["done_at"] for row in rows)
    assert not any(row["worker"] or row["lease_until"] for row in rows)


async def test_a_receipt_of_one_account_settles_nothing_of_another(
    pool: "Pool[asyncpg.Record]", notifier: Notifier
) -> None:
    (leg_id,) = await add_legs(pool, departs_in="2 hours")
    first, _ = await add_follower(pool, leg_id), await add_follower(pool, leg_id)
    await set_gate(pool, leg_id, "22")
    await enqueue(pool, notifier)
    key = await key_of(pool, leg_id)
    assert await Receipts(pool).settle(first, await epoch_of(pool), True, {key: 2}) == 1
    assert sorted(await states(pool)) == [(2, "held"), (2, "seen")]


async def test_an_ended_delivery_stays_as_it_ended(
    pool: "Pool[asyncpg.Record]", notifier: Notifier
) -> None:
    (leg_id,) = await add_legs(pool, departs_in="2 hours")
    account_id, key = await add_follower(pool, leg_id), await key_of(pool, leg_id)
    await set_gate(pool, leg_id, "22")
    await enqueue(pool, notifier)
    await pool.execute("UPDATE delivery SET state = 'sent', done_at = wall_now()")
    assert await Receipts(pool).settle(account_id, await epoch_of(pool), True, {key: 2}) == 0
    assert await states(pool) == [(2, "sent")]


async def test_only_an_attentive_receipt_settles_an_urgent_delivery(
    pool: "Pool[asyncpg.Record]", notifier: Notifier
) -> None:
    (leg_id,) = await add_legs(pool, departs_in="30 minutes")
    account_id, key = await add_follower(pool, leg_id), await key_of(pool, leg_id)
    await set_gate(pool, leg_id, "22")
    await enqueue(pool, notifier)
    receipts, epoch = Receipts(pool), await epoch_of(pool)
    assert await receipts.settle(account_id, epoch, False, {key: 2}) == 0
    assert await states(pool) == [(2, "pending")]
    assert await receipts.settle(account_id, epoch, True, {key: 2}) == 1
    assert await states(pool) == [(2, "seen")]


@pytest.mark.parametrize(
    ("departs_in", "attentive", "state"),
    [
        ("2 hours", False, "seen"),
        ("2 hours", True, "seen"),
        ("30 minutes", False, "pending"),
        ("30 minutes", True, "seen"),
    ],
)
async def test_a_receipt_that_comes_before_its_delivery_counts(
    pool: "Pool[asyncpg.Record]",
    notifier: Notifier,
    departs_in: str,
    attentive: bool,
    state: str,
) -> None:
    (leg_id,) = await add_legs(pool, departs_in=departs_in)
    account_id, key = await add_follower(pool, leg_id), await key_of(pool, leg_id)
    await set_gate(pool, leg_id, "22")
    assert await Receipts(pool).settle(account_id, await epoch_of(pool), attentive, {key: 2}) == 0
    await enqueue(pool, notifier)
    assert await states(pool) == [(2, state)]


async def test_a_receipt_is_raised_and_never_lowered(pool: "Pool[asyncpg.Record]") -> None:
    (leg_id,) = await add_legs(pool)
    account_id, key = await add_follower(pool, leg_id), await key_of(pool, leg_id)
    for gate in "2345":
        await set_gate(pool, leg_id, gate)
    receipts, epoch = Receipts(pool), await epoch_of(pool)
    for attentive, version, expected in [
        (False, 3, (3, 0)),
        (True, 2, (3, 2)),
        (False, 1, (3, 2)),
        (True, 5, (5, 5)),
        (False, 4, (5, 5)),
    ]:
        await receipts.settle(account_id, epoch, attentive, {key: version})
        row = await pool.fetchrow("SELECT version, attentive_version FROM receipt")
        assert row is not None
        assert tuple(row) == expected


async def test_a_receipt_of_another_epoch_is_refused_and_a_stored_one_replaced(
    pool: "Pool[asyncpg.Record]", notifier: Notifier
) -> None:
    (leg_id,) = await add_legs(pool, departs_in="2 hours")
    account_id, key = await add_follower(pool, leg_id), await key_of(pool, leg_id)
    await set_gate(pool, leg_id, "22")
    await set_gate(pool, leg_id, "23")
    receipts, epoch = Receipts(pool), await epoch_of(pool)
    await receipts.settle(account_id, epoch, True, {key: 3})
    await pool.execute("UPDATE relay_state SET epoch = gen_random_uuid()")
    await refused(receipts, account_id, epoch, {key: 3}, UNRECOVERABLE_POSITION)
    await enqueue(pool, notifier)
    assert await states(pool) == [(2, "held"), (3, "held")]
    await receipts.settle(account_id, await epoch_of(pool), False, {key: 2})
    row = await pool.fetchrow("SELECT version, attentive_version FROM receipt")
    assert row is not None
    assert tuple(row) == (2, 0)
    assert await states(pool) == [(2, "seen"), (3, "held")]


async def refused(
    receipts: Receipts, account_id: str, epoch: str, legs: dict[str, int], error: ErrorCode
) -> None:
    with pytest.raises(Refused) as caught:
        await receipts.settle(account_id, epoch, True, legs)
    assert caught.value.error is error


async def test_what_cannot_have_been_displayed_is_refused_whole(
    pool: "Pool[asyncpg.Record]",
) -> None:
    (leg_id,) = await add_legs(pool)
    account_id, key = await add_follower(pool, leg_id), await key_of(pool, leg_id)
    receipts, epoch = Receipts(pool), await epoch_of(pool)
    many = {f"B6{number + 1}-2013-03-08-JFK-MCO": 1 for number in range(MAX_LEGS + 1)}
    for legs in [
        {},
        many,
        {key: 2},
        {key: 0},
        {key: -1},
        {key: 1 << 70},
        {key: 1, "B69-1999-03-08-JFK-MCO": 1},
        {key: 1, "nonsense": 1},
    ]:
        await refused(receipts, account_id, epoch, legs, BAD_REQUEST)
    for foreign in ("", "not an epoch", str(uuid.uuid4())):
        await refused(receipts, account_id, foreign, {key: 1}, UNRECOVERABLE_POSITION)
    await refused(receipts, str(uuid.uuid4()), epoch, {key: 1}, PERMISSION_DENIED)
    assert await pool.fetchval("SELECT count(*) FROM receipt") == 0


async def test_without_a_database_the_client_is_told_to_come_again(
    pool: "Pool[asyncpg.Record]",
) -> None:
    (leg_id,) = await add_legs(pool)
    account_id, key = await add_follower(pool, leg_id), await key_of(pool, leg_id)
    epoch = await epoch_of(pool)
    pool.terminate()
    await refused(Receipts(pool), account_id, epoch, {key: 1}, INTERNAL)


async def waits_for_a_lock(pool: "Pool[asyncpg.Record]") -> bool:
    """Somebody in this database is kept waiting by an advisory lock."""
    found: bool = await pool.fetchval(
        "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND"
        " database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
    )
    return found


async def test_a_receipt_during_an_enqueue_waits_and_then_settles(
    pool: "Pool[asyncpg.Record]", notifier: Notifier
) -> None:
    """The notifier has looked at the receipts and inserted, but not committed."""
    (leg_id,) = await add_legs(pool, departs_in="2 hours")
    account_id, key = await add_follower(pool, leg_id), await key_of(pool, leg_id)
    await set_gate(pool, leg_id, "22")
    epoch = await epoch_of(pool)
    async with pool.acquire() as session:
        transaction = session.transaction()
        await transaction.start()
        await session.execute(QUERIES["lock_receipts"])
        assert await insert_delivery(session, leg_id, epoch) == 1
        receipt = asyncio.create_task(Receipts(pool).settle(account_id, epoch, False, {key: 2}))
        await until(lambda: waits_for_a_lock(pool), within=5, what="the receipt waits")
        await transaction.commit()
    assert await receipt == 1
    assert await states(pool) == [(2, "seen")]


async def test_an_enqueue_during_a_receipt_waits_and_then_inserts_it_as_seen(
    pool: "Pool[asyncpg.Record]", notifier: Notifier
) -> None:
    """The receipt has looked for deliveries, but not committed."""
    (leg_id,) = await add_legs(pool, departs_in="2 hours")
    account_id, key = await add_follower(pool, leg_id), await key_of(pool, leg_id)
    await set_gate(pool, leg_id, "22")
    await ChangeLog(pool).sequence()
    async with pool.acquire() as session:
        transaction = session.transaction()
        await transaction.start()
        await session.execute(QUERIES["lock_receipts_shared"])
        await session.execute(
            QUERIES["raise_receipts"], account_id, await epoch_of(pool), False, [leg_id], [2]
        )
        (found,) = await session.fetch(QUERIES["settle"], account_id, [leg_id])
        assert found["settled"] == 0
        enqueueing = asyncio.create_task(notifier.enqueue_batch())
        await until(lambda: waits_for_a_lock(pool), within=5, what="the notifier waits")
        await transaction.commit()
    assert await enqueueing
    assert await states(pool) == [(2, "seen")]
    assert await Receipts(pool).settle(account_id, await epoch_of(pool), False, {key: 2}) == 0


async def insert_delivery(session: Any, leg_id: int, epoch: str) -> int:
    """As the notifier does it, version 2."""
    expires_at = await session.fetchval("SELECT board_now() + interval '1 hour'")
    added: int = await session.fetchval(
        QUERIES["enqueue"],
        leg_id,
        2,
        4,
        ["gate_changed"],
        False,
        None,
        expires_at,
        expires_at,
        8.0,
        epoch,
        "{}",
    )
    return added


async def test_receipts_and_enqueues_that_race_leave_nothing_open(
    pool: "Pool[asyncpg.Record]", notifier: Notifier
) -> None:
    """Every version is displayed once, by several sockets at random; all deliveries end seen."""
    leg_ids = list(await add_legs(pool, 4, departs_in="2 hours"))
    keys = [await key_of(pool, leg_id) for leg_id in leg_ids]
    accounts = [await add_follower(pool, *leg_ids) for _ in range(3)]
    receipts, epoch, log = Receipts(pool), await epoch_of(pool), ChangeLog(pool)
    rounds = 25
    for version in range(2, rounds + 2):
        for leg_id in leg_ids:
            await set_gate(pool, leg_id, f"G{version}")
        await log.sequence()
        async with asyncio.TaskGroup() as group:
            group.create_task(notifier.enqueue_batch())
            for account_id in accounts:
                for part in (keys[:3], keys[::-1][:3]):
                    legs = dict.fromkeys(part, version)
                    group.create_task(receipts.settle(account_id, epoch, False, legs))
    while await notifier.enqueue_batch():
        pass
    counts = await pool.fetch("SELECT state, count(*) FROM delivery GROUP BY state")
    assert [tuple(row) for row in counts] == [("seen", rounds * len(leg_ids) * len(accounts))]


async def test_an_account_deleted_while_it_is_enqueued_is_left_out(
    pool: "Pool[asyncpg.Record]", notifier: Notifier
) -> None:
    (leg_id,) = await add_legs(pool, departs_in="2 hours")
    leaving, staying = await add_follower(pool, leg_id), await add_follower(pool, leg_id)
    await set_gate(pool, leg_id, "22")
    await ChangeLog(pool).sequence()
    async with pool.acquire() as session:
        transaction = session.transaction()
        await transaction.start()
        await session.execute("DELETE FROM account WHERE account_id = $1::text::uuid", leaving)
        enqueueing = asyncio.create_task(notifier.enqueue_batch())

        async def waits() -> bool:
            found: bool = await pool.fetchval(
                "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'transactionid'"
                " AND NOT granted)"
            )
            return found

        await until(waits, within=5, what="the notifier waits")
        await transaction.commit()
    assert await enqueueing
    rows = await pool.fetch("SELECT account_id::text FROM delivery")
    assert [row["account_id"] for row in rows] == [staying]
