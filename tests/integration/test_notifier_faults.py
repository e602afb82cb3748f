"""A8 when something dies: crashes, cut sessions, other epochs; the ledger adds up."""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import Any

import asyncpg
import pytest

from realtime.bus import Position
from realtime.change_log import ChangeLog
from realtime.notifier import worth
from realtime.receipts import Receipts
from realtime.sender import Notice, Outcome, Sent, Target
from realtime.settings import Settings
from tests.support.followers import (
    ACCEPTED,
    RecordingSender,
    add_device,
    add_follower,
    add_person,
    at_rest,
    cancel,
    ends,
    epoch_of,
    finish,
    make,
    reinstate,
    running,
)
from tests.support.legs import add_legs, key_of, set_gate
from tests.support.process import Child
from tests.support.wait import until

Pool = asyncpg.Pool
REPOSITORY = Path(__file__).parents[2]


async def test_two_notifiers_send_once_and_share_the_work(pool: "Pool[asyncpg.Record]") -> None:
    sender = RecordingSender()
    notifiers = [await make(pool, sender, name=name) for name in ("a", "b")]
    leg_ids = await add_legs(pool, 150)
    for leg_id in leg_ids:
        await add_person(pool, leg_id, f"ok-{leg_id}-phone", f"ok-{leg_id}-tablet")
    async with running(*notifiers):
        for gate in ("22", "23", "24"):
            await pool.execute("UPDATE flight_leg SET dep_gate = $1", gate)
            rows = await finish(pool, within=30)
    assert Counter(state for _, state, _ in rows) == {"sent": 450}
    assert len(sender.accepted) == 900
    assert set(sender.accepted.values()) == {1}
    workers = await pool.fetch("SELECT DISTINCT worker FROM delivery")
    assert {row["worker"] for row in workers} == {notifier.worker for notifier in notifiers}


DYING = dedent("""
    import asyncio, os, signal, sys
    from realtime.database import open_pool
    from realtime.notifier import Notifier
    from realtime.settings import Settings
    from tests.support.followers import IdleBus

    class DyingSender:
        async def send(self, sends):
            print(*(f"accepted {notice.id}" for _, notice in sends), sep="\\n", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

    async def main():
        pool = await open_pool(sys.argv[1])
        settings = Settings(grace=0, grace_urgent=0, lease=1.5)
        await Notifier(pool, IdleBus(), DyingSender(), settings).run()

    asyncio.run(main())
""")


async def test_a_crash_after_the_send_repeats_it_once_under_the_same_id(
    pool: "Pool[asyncpg.Record]", dsn: str
) -> None:
    sender = RecordingSender()
    notifier = await make(pool, sender)
    (leg_id,) = await add_legs(pool)
    await add_person(pool, leg_id, "ok-phone")
    await set_gate(pool, leg_id, "22")
    await ChangeLog(pool).sequence()
    async with Child([sys.executable, "-c", DYING, dsn], folder=REPOSITORY) as child:
        await child.wait()
        printed = child.output().split()
    assert [end[1] for end in await ends(pool)] == ["claimed"]
    async with running(notifier):
        assert await finish(pool) == [(2, "sent", "")]
    ((_, notice),) = sender.sent
    assert printed == ["accepted", notice.id]
    assert await pool.fetchval("SELECT attempts FROM delivery") == 2


async def test_a_notifier_stopped_in_a_send_leaves_the_delivery_to_the_next(
    pool: "Pool[asyncpg.Record]",
) -> None:
    begun = asyncio.Event()

    class Hanging(RecordingSender):
        async def send(self, sends: Sequence[tuple[Target, Notice]]) -> list[Sent]:
            await super().send(sends)
            begun.set()
            await asyncio.Event().wait()
            raise AssertionError

    first, second = Hanging(), RecordingSender()
    stopped = await make(pool, first, Settings(grace=0, grace_urgent=0, lease=1.0))
    (leg_id,) = await add_legs(pool)
    await add_person(pool, leg_id, "ok-phone")
    await set_gate(pool, leg_id, "22")
    await ChangeLog(pool).sequence()
    async with running(stopped):
        await asyncio.wait_for(begun.wait(), 5)
    async with running(await make(pool, second)):
        assert await finish(pool) == [(2, "sent", "")]
    assert [notice.id for _, notice in first.sent] == [notice.id for _, notice in second.sent]


async def test_a_receipt_during_the_send_wins(pool: "Pool[asyncpg.Record]") -> None:
    class Overtaken(RecordingSender):
        async def send(self, sends: Sequence[tuple[Target, Notice]]) -> list[Sent]:
            assert await Receipts(pool).settle(account_id, epoch, True, legs) == 1
            return await super().send(sends)

    notifier = await make(pool, Overtaken())
    (leg_id,) = await add_legs(pool)
    account_id = await add_person(pool, leg_id, "ok-phone")
    legs, epoch = {await key_of(pool, leg_id): 2}, await epoch_of(pool)
    await set_gate(pool, leg_id, "22")
    await ChangeLog(pool).sequence()
    async with running(notifier):
        await until(lambda: notifier.ended["sent"], within=5, what="the result was written down")
        assert await ends(pool) == [(2, "seen", "receipt")]


async def test_a_leg_of_which_a_receipt_holds_a_row_is_left_for_the_next_time(
    pool: "Pool[asyncpg.Record]",
) -> None:
    sender = RecordingSender()
    notifier = await make(pool, sender)
    (leg_id,) = await add_legs(pool)
    await add_person(pool, leg_id, "ok-phone")
    await set_gate(pool, leg_id, "22")
    await set_gate(pool, leg_id, "23")
    await ChangeLog(pool).sequence()
    await notifier.enqueue_batch()
    for version in (2, 3):
        async with pool.acquire() as session, session.transaction():
            await session.execute(
                "SELECT FROM delivery WHERE version = $1 FOR NO KEY UPDATE", version
            )
            assert not await notifier.deliver_batch()
    assert await notifier.deliver_batch()
    assert [end[:2] for end in await ends(pool)] == [(2, "superseded"), (3, "sent")]
    assert len(sender.sent) == 1


async def test_a_newer_change_waits_for_the_answer_to_the_older(
    pool: "Pool[asyncpg.Record]",
) -> None:
    release = asyncio.Event()

    class Waiting(RecordingSender):
        async def send(self, sends: Sequence[tuple[Target, Notice]]) -> list[Sent]:
            answers = await super().send(sends)
            await release.wait()
            return answers

    slow, quick = Waiting(), RecordingSender()
    busy, idle = await make(pool, slow, name="busy"), await make(pool, quick, name="idle")
    leg_id, other = await add_legs(pool, 2)
    for each in (leg_id, other):
        await add_person(pool, each, f"ok-phone-{each}")
    async with running(busy):
        await set_gate(pool, leg_id, "22")
        await ChangeLog(pool).sequence()
        await until(lambda: slow.sent, within=5, what="the first send has begun")
        async with running(idle):
            await set_gate(pool, leg_id, "23")
            await ChangeLog(pool).sequence()
            await until(lambda: idle.enqueued + busy.enqueued == 2, within=5, what="enqueued")
            await set_gate(pool, other, "22")
            await ChangeLog(pool).sequence()
            await until(lambda: quick.sent, within=5, what="the other leg's notice")
            assert [target.target for target, _ in quick.sent] == [f"ok-phone-{other}"]
            release.set()
            assert [end[1] for end in await finish(pool)] == ["sent"] * 3


async def test_a_database_that_cuts_all_sessions_costs_no_notice_and_no_repeat(
    pool: "Pool[asyncpg.Record]", dsn: str
) -> None:
    watcher, cutter = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    cut = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'gatecast'"
    )

    class Cutting(RecordingSender):
        async def send(self, sends: Sequence[tuple[Target, Notice]]) -> list[Sent]:
            answers = await super().send(sends)
            assert await cutter.execute(cut) != "SELECT 0"
            return answers

    sender = Cutting()
    notifier = await make(pool, sender)
    (leg_id,) = await add_legs(pool)
    await add_person(pool, leg_id, "ok-phone")
    async with running(notifier):
        for sent, gate in enumerate(("22", "23", "24"), 1):
            await watcher.execute("UPDATE flight_leg SET dep_gate = $1", gate)
            await watcher.fetchval("SELECT sequence_changes()")
            await until(partial(is_sent, watcher, sent), within=15, what=f"gate {gate} sent")
    await watcher.close()
    await cutter.close()
    assert list(sender.accepted.values()) == [1, 1, 1]


async def is_sent(session: Any, count: int) -> bool:
    """So many deliveries are recorded as sent."""
    found: int = await session.fetchval("SELECT count(*) FROM delivery WHERE state = 'sent'")
    return found == count


async def test_any_other_fault_stops_the_notifier(pool: "Pool[asyncpg.Record]") -> None:
    class Broken(RecordingSender):
        async def send(self, sends: Sequence[tuple[Target, Notice]]) -> list[Sent]:
            raise RuntimeError("a bug")

    notifier = await make(pool, Broken())
    (leg_id,) = await add_legs(pool)
    await add_person(pool, leg_id, "ok-phone")
    await set_gate(pool, leg_id, "22")
    await ChangeLog(pool).sequence()
    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(notifier.run(), 10)
    assert caught.group_contains(RuntimeError, match="a bug")


async def test_another_epoch_neither_repeats_nor_loses(pool: "Pool[asyncpg.Record]") -> None:
    sender = RecordingSender()
    notifier = await make(pool, sender)
    (leg_id,) = await add_legs(pool)
    await add_person(pool, leg_id, "ok-phone")
    async with running(notifier):
        await set_gate(pool, leg_id, "22")
        await finish(pool)
        await pool.execute("UPDATE relay_state SET epoch = gen_random_uuid()")
        await set_gate(pool, leg_id, "23")
        assert [end[:2] for end in await finish(pool)] == [(2, "sent"), (3, "sent")]
    reader = await pool.fetchrow("SELECT epoch::text, seq FROM log_reader WHERE name = 'notifier'")
    assert reader is not None
    assert Position(*reader) == await ChangeLog(pool).position()


async def test_a_log_that_went_back_begins_a_new_epoch_and_repeats_nothing(
    pool: "Pool[asyncpg.Record]",
) -> None:
    sender = RecordingSender()
    notifier = await make(pool, sender)
    (leg_id,) = await add_legs(pool)
    await add_person(pool, leg_id, "ok-phone")
    before = await epoch_of(pool)
    async with running(notifier):
        await set_gate(pool, leg_id, "22")
        await finish(pool)
        await pool.execute("UPDATE log_reader SET seq = seq + 100")
        await until(lambda: at_rest(pool), within=5, what="the reader is back at the end")
        await set_gate(pool, leg_id, "23")
        assert [end[:2] for end in await finish(pool)] == [(2, "sent"), (3, "sent")]
    assert await epoch_of(pool) != before
    assert len(sender.sent) == 2


async def test_a_large_batch_is_enqueued_in_bounded_transactions(
    pool: "Pool[asyncpg.Record]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.notifier.ENQUEUED_AT_ONCE", 10)
    notifier = await make(pool, RecordingSender(), Settings(grace=3600, grace_urgent=3600))
    leg_ids = await add_legs(pool, 12)
    for leg_id in leg_ids:
        for _ in range(4):
            await add_follower(pool, leg_id)
    await ChangeLog(pool).sequence()
    await notifier.enqueue_batch()
    for leg_id in leg_ids:
        await set_gate(pool, leg_id, "22")
    await ChangeLog(pool).sequence()
    sizes = []
    while await notifier.enqueue_batch():
        sizes.append(await pool.fetchval("SELECT count(*) FROM delivery"))
    assert sizes == [12, 24, 36, 48]


async def only_held(pool: "Pool[asyncpg.Record]") -> bool:
    """Whatever is open waits for a board time: three notices of a gate are enough for a while."""
    busy: int = await pool.fetchval(
        "SELECT count(*) FROM delivery WHERE state IN ('pending', 'claimed')"
    )
    read: bool = await pool.fetchval(
        "SELECT seq = last_seq FROM log_reader, relay_state WHERE name = 'notifier'"
    )
    return read and not busy


async def test_the_ledger_has_no_open_or_missing_entry(pool: "Pool[asyncpg.Record]") -> None:
    """Changes, receipts and provider faults at random, two notifiers: every pair has one end."""
    dice = random.Random(11)

    def answer(target: Target, _: Notice) -> Sent:
        if target.target.startswith("unreg") and dice.random() < 0.2:
            return Sent(Outcome.GONE, "UNREGISTERED")
        if dice.random() < 0.2:
            return Sent(Outcome.RETRY, "503", retry_after=0.05)
        return ACCEPTED

    sender = RecordingSender(answer)
    settings = Settings(grace=0.3, grace_urgent=0.1, lease=5)
    notifiers = [await make(pool, sender, settings, name) for name in ("a", "b")]
    near, far = await add_legs(pool, 3), await add_legs(pool, 3, departs_in="2 hours", first=10)
    legs = {leg_id: await key_of(pool, leg_id) for leg_id in (*near, *far)}
    accounts = [await add_follower(pool, *legs) for _ in range(6)]
    for number, account_id in enumerate(accounts[1:]):
        await add_device(pool, account_id, f"ok-phone-{number}")
        await add_device(pool, account_id, f"unreg-tablet-{number}")
    log, receipts, epoch = ChangeLog(pool), Receipts(pool), await epoch_of(pool)
    async with running(*notifiers):
        for number in range(60):
            leg_id = dice.choice(list(legs))
            action = dice.choices(("gate", "cancel", "reinstate"), (6, 1, 2))[0]
            if action == "gate":
                await set_gate(pool, leg_id, f"G{number}")
            else:
                await (cancel if action == "cancel" else reinstate)(pool, leg_id)
            await log.sequence()
            if dice.random() < 0.5:
                version = await pool.fetchval(
                    "SELECT version FROM flight_leg WHERE leg_id = $1", leg_id
                )
                account_id, attentive = dice.choice(accounts), dice.random() < 0.5
                await receipts.settle(account_id, epoch, attentive, {legs[leg_id]: version})
            await asyncio.sleep(dice.random() * 0.05)
        await until(lambda: only_held(pool), within=30, what="only flapping gates are left")
        await pool.execute(
            "UPDATE delivery SET said_at = said_at - interval '30 minutes',"
            " held_until = held_until - interval '30 minutes'"
        )
        await finish(pool, within=30)
    changes = await log.read(Position(epoch, 0), 1000)
    expected = {
        (account_id, change.leg_id, change.version)
        for change in changes
        if worth(change) is not None
        for account_id in accounts
    }
    rows = await pool.fetch("SELECT account_id::text, leg_id, version, seq, state FROM delivery")
    assert {(row["account_id"], row["leg_id"], row["version"]) for row in rows} == expected
    assert len(rows) == len(expected) > 100
    assert set(sender.accepted.values()) == {1}
    assert {id for _, id in sender.accepted} >= {
        f"{epoch}:{row['seq']}" for row in rows if row["state"] == "sent"
    }
    states = Counter(row["state"] for row in rows)
    assert states.keys() >= {"sent", "seen", "superseded", "undeliverable"}


async def test_a_claim_whose_lease_is_nearly_over_is_given_back_unsent(
    pool: "Pool[asyncpg.Record]",
) -> None:
    """Such as one of which the notifier lost the answer when its session was cut."""
    sender = RecordingSender()
    notifier = await make(pool, sender, Settings(grace=0, grace_urgent=0, lease=4.0))
    (leg_id,) = await add_legs(pool)
    await add_person(pool, leg_id, "ok-phone")
    await set_gate(pool, leg_id, "22")
    await ChangeLog(pool).sequence()
    await notifier.enqueue_batch()
    await pool.execute(
        "UPDATE delivery SET state = 'claimed', worker = $1,"
        " lease_until = wall_now() + interval '1.5 s'",
        notifier.worker,
    )
    assert await notifier.deliver_batch()
    assert not sender.sent
    assert await ends(pool) == [(2, "pending", "too little of the lease was left")]
    await until(notifier.deliver_batch, within=5, what="it was claimed again")
    assert await ends(pool) == [(2, "sent", "")]
    assert len(sender.sent) == 1
