"""A8: every (significant change, follower) ends in one terminal state, and is sent at most once."""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import Any

import asyncpg
import pytest

from realtime.bus import Position
from realtime.change_log import ChangeLog
from realtime.notifier import RETRY_CAP, Notifier, retry_in, worth
from realtime.receipts import Receipts
from realtime.sender import Notice, Outcome, Sender, Sent, Target
from realtime.sender_fcm import FcmSender
from realtime.settings import Settings
from tests.integration.test_receipts import IdleBus, add_follower, epoch_of
from tests.support.fcm import FcmDouble
from tests.support.legs import add_legs, key_of, set_gate
from tests.support.process import Child
from tests.support.wait import until

Pool = asyncpg.Pool
REPOSITORY = Path(__file__).parents[2]
AT_ONCE = Settings(grace=0, grace_urgent=0, lease=30)
ACCEPTED = Sent(Outcome.ACCEPTED)


class RecordingSender:
    """Remembers what it was given and answers as `answer` says."""

    def __init__(self, answer: Callable[[Target, Notice], Sent] = lambda *_: ACCEPTED) -> None:
        self.sent: list[tuple[Target, Notice]] = []
        self.accepted: Counter[tuple[str, str]] = Counter()
        self.answer = answer

    async def send(self, sends: Sequence[tuple[Target, Notice]]) -> list[Sent]:
        await asyncio.sleep(0)
        answers = [self.answer(target, notice) for target, notice in sends]
        self.sent += sends
        for (target, notice), answer in zip(sends, answers, strict=True):
            if answer.outcome is Outcome.ACCEPTED:
                self.accepted[target.target, notice.id] += 1
        return answers

    async def close(self) -> None:
        """Nothing is open."""


async def add_device(pool: "Pool[asyncpg.Record]", account_id: str, target: str) -> None:
    await pool.execute(
        "INSERT INTO device (account_id, platform, kind, target)"
        " VALUES ($1::text::uuid, 'web', 'fid', $2)",
        account_id,
        target,
    )


async def add_person(pool: "Pool[asyncpg.Record]", leg_id: int, *targets: str) -> str:
    """A follower of the leg with these devices."""
    account_id = await add_follower(pool, leg_id)
    for target in targets:
        await add_device(pool, account_id, target)
    return account_id


async def make(
    pool: "Pool[asyncpg.Record]", sender: Sender, settings: Settings = AT_ONCE, name: str = "n"
) -> Notifier:
    """A notifier whose reader stands at the end of the log."""
    notifier = Notifier(pool, IdleBus(), sender, settings, name)
    await ChangeLog(pool).sequence()
    while await notifier.enqueue_batch():
        pass
    return notifier


@asynccontextmanager
async def running(*notifiers: Notifier) -> AsyncIterator[None]:
    """The notifiers at work; a fault of one fails the test."""
    tasks = [asyncio.create_task(notifier.run()) for notifier in notifiers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if not isinstance(ended, asyncio.CancelledError):
                assert isinstance(ended, BaseException)
                raise ended


async def at_rest(pool: "Pool[asyncpg.Record]") -> bool:
    """The notifier has read the whole log and every delivery has ended."""
    done: bool = await pool.fetchval(
        "SELECT NOT EXISTS (SELECT FROM delivery WHERE done_at IS NULL)"
        " AND (SELECT seq FROM log_reader WHERE name = 'notifier')"
        " = (SELECT last_seq FROM relay_state)"
    )
    return done


async def finish(pool: "Pool[asyncpg.Record]", within: float = 10) -> list[tuple[int, str, str]]:
    """Sequence, wait until everything has ended; version, state and reason of all deliveries."""
    await ChangeLog(pool).sequence()
    await until(lambda: at_rest(pool), within=within, what="all deliveries ended")
    return await ends(pool)


async def ends(pool: "Pool[asyncpg.Record]") -> list[tuple[int, str, str]]:
    rows = await pool.fetch("SELECT version, state, reason FROM delivery ORDER BY leg_id, version")
    return [(row["version"], row["state"], row["reason"] or "") for row in rows]


async def cancel(pool: "Pool[asyncpg.Record]", leg_id: int) -> None:
    await pool.execute("UPDATE flight_leg SET irregularity = 'cancelled' WHERE leg_id = $1", leg_id)


async def reinstate(pool: "Pool[asyncpg.Record]", leg_id: int) -> None:
    await pool.execute("UPDATE flight_leg SET irregularity = 'none' WHERE leg_id = $1", leg_id)


async def test_one_gate_change_is_pushed_once(
    pool: "Pool[asyncpg.Record]", monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FcmDouble() as fcm:
        for name, value in fcm.environment.items():
            monkeypatch.setenv(name, value)
        sender = await FcmSender.open(fcm.service_account, fcm.base_url)
        notifier = await make(pool, sender, Settings(grace=0.5, grace_urgent=0.5))
        (leg_id,) = await add_legs(pool, departs_in="2 hours")
        await add_person(pool, leg_id, "ok-phone")
        await set_gate(pool, leg_id, "22")
        async with running(notifier):
            assert await finish(pool) == [(2, "sent", "")]
        (push,) = await fcm.accepted()
        await sender.close()
    row = await pool.fetchrow(
        "SELECT d.seq, d.done_at - l.wall_at AS took, v.last_ok_at, v.dead_at"
        " FROM delivery d JOIN change_log l USING (seq), device v"
    )
    assert row is not None
    assert push["fid"] == "ok-phone"
    assert push["data"]["id"] == f"{await epoch_of(pool)}:{row['seq']}"
    assert push["data"]["title"] == "B6 1: gate now 22"
    assert push["data"]["body"].endswith("from gate 22, not 18.")
    assert push["data"]["leg"] == await key_of(pool, leg_id)
    assert row["took"] >= timedelta(seconds=0.5)
    assert row["last_ok_at"]
    assert row["dead_at"] is None


async def test_a_receipt_in_the_grace_keeps_the_notice_back(pool: "Pool[asyncpg.Record]") -> None:
    sender = RecordingSender()
    notifier = await make(pool, sender, Settings(grace=1.0))
    (leg_id,) = await add_legs(pool, departs_in="2 hours")
    account_id = await add_person(pool, leg_id, "ok-phone")
    async with running(notifier):
        await set_gate(pool, leg_id, "22")
        await ChangeLog(pool).sequence()
        await until(lambda: pool.fetchval("SELECT count(*) FROM delivery"), within=5, what="a row")
        legs = {await key_of(pool, leg_id): 2}
        assert await Receipts(pool).settle(account_id, await epoch_of(pool), False, legs) == 1
        # The next change shows that the notifier went on past the time when the first was due.
        await asyncio.sleep(1.0)
        await set_gate(pool, leg_id, "23")
        assert [end[:2] for end in await finish(pool)] == [(2, "seen"), (3, "sent")]
    assert [notice.title for _, notice in sender.sent] == ["B6 1: gate now 23"]


async def test_of_two_changes_the_newest_is_sent(pool: "Pool[asyncpg.Record]") -> None:
    sender = RecordingSender()
    notifier = await make(pool, sender, Settings(grace=0.3, grace_urgent=0.3))
    (leg_id,) = await add_legs(pool, departs_in="2 hours")
    await add_person(pool, leg_id, "ok-phone")
    await set_gate(pool, leg_id, "22")
    await set_gate(pool, leg_id, "23")
    async with running(notifier):
        assert await finish(pool) == [(2, "superseded", "version 3 is newer"), (3, "sent", "")]
    ((_, notice),) = sender.sent
    assert (notice.title, notice.version) == ("B6 1: gate now 23", 3)


async def test_a_cancellation_that_was_taken_back_is_not_said(pool: "Pool[asyncpg.Record]") -> None:
    sender = RecordingSender()
    notifier = await make(pool, sender)
    (leg_id,) = await add_legs(pool)
    await add_person(pool, leg_id, "ok-phone")
    await cancel(pool, leg_id)
    await reinstate(pool, leg_id)
    async with running(notifier):
        assert await finish(pool) == [(2, "superseded", "no longer cancelled")]
    assert not sender.sent


async def test_a_gate_change_survives_a_cancellation_that_was_taken_back(
    pool: "Pool[asyncpg.Record]",
) -> None:
    sender = RecordingSender()
    notifier = await make(pool, sender)
    (leg_id,) = await add_legs(pool)
    await add_person(pool, leg_id, "ok-phone")
    await set_gate(pool, leg_id, "22")
    await cancel(pool, leg_id)
    await reinstate(pool, leg_id)
    async with running(notifier):
        assert [end[:2] for end in await finish(pool)] == [(2, "superseded"), (3, "sent")]
    ((_, notice),) = sender.sent
    assert (notice.title, notice.kinds) == ("B6 1: gate now 22", ("gate_changed",))


async def test_a_departed_leg_gets_no_gate_notice(pool: "Pool[asyncpg.Record]") -> None:
    sender = RecordingSender()
    notifier = await make(pool, sender)
    (leg_id,) = await add_legs(pool)
    await add_person(pool, leg_id, "ok-phone")
    await set_gate(pool, leg_id, "22")
    await pool.execute("UPDATE flight_leg SET phase = 'off_block', atd = board_now()")
    async with running(notifier):
        assert await finish(pool) == [(2, "superseded", "departed")]
    assert not sender.sent


async def test_what_expires_in_its_grace_is_not_sent(pool: "Pool[asyncpg.Record]") -> None:
    sender = RecordingSender()
    notifier = await make(pool, sender, Settings(grace_urgent=2.5))
    (leg_id,) = await add_legs(pool)
    await add_person(pool, leg_id, "ok-phone")
    await pool.execute("UPDATE flight_leg SET etd = board_now() - interval '14 min 58 s'")
    await set_gate(pool, leg_id, "22")
    async with running(notifier):
        assert await finish(pool) == [(3, "expired", "expired")]
    assert not sender.sent


async def test_who_has_no_device_or_follows_no_more_is_accounted_for(
    pool: "Pool[asyncpg.Record]",
) -> None:
    sender = RecordingSender()
    notifier = await make(pool, sender)
    (leg_id,) = await add_legs(pool)
    await add_person(pool, leg_id)
    leaving = await add_person(pool, leg_id, "ok-phone")
    await set_gate(pool, leg_id, "22")
    await ChangeLog(pool).sequence()
    await notifier.enqueue_batch()
    await pool.execute("DELETE FROM follow WHERE account_id = $1::text::uuid", leaving)
    async with running(notifier):
        assert sorted(end[1:] for end in await finish(pool)) == [
            ("suppressed", "not followed any more"),
            ("undeliverable", "no device"),
        ]
    assert not sender.sent


async def test_a_target_that_is_gone_is_marked_and_never_used_again(
    pool: "Pool[asyncpg.Record]", monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FcmDouble() as fcm:
        for name, value in fcm.environment.items():
            monkeypatch.setenv(name, value)
        sender = await FcmSender.open(fcm.service_account, fcm.base_url)
        notifier = await make(pool, sender)
        gone, half = await add_legs(pool, 2)
        await add_person(pool, gone, "unreg-phone")
        await add_person(pool, half, "unreg-tablet", "ok-tablet")
        async with running(notifier):
            await set_gate(pool, gone, "22")
            await set_gate(pool, half, "22")
            first, second = await finish(pool)
            assert first == (2, "undeliverable", "no device took it: UNREGISTERED")
            assert second == (2, "sent", "")
            dead = "SELECT target, dead_reason FROM device WHERE dead_at IS NOT NULL ORDER BY 1"
            assert [tuple(row) for row in await pool.fetch(dead)] == [
                ("unreg-phone", "UNREGISTERED"),
                ("unreg-tablet", "UNREGISTERED"),
            ]
            await set_gate(pool, gone, "23")
            await set_gate(pool, half, "23")
            assert (3, "undeliverable", "no device") in await finish(pool)
        asked = Counter(request["target"] for request in await fcm.requests())
        assert asked == {"unreg-phone": 1, "unreg-tablet": 1, "ok-tablet": 2}
        await sender.close()


async def test_a_device_that_registered_anew_meanwhile_is_not_marked(
    pool: "Pool[asyncpg.Record]",
) -> None:
    notifier: Notifier

    class Slow(RecordingSender):
        async def send(self, sends: Sequence[tuple[Target, Notice]]) -> list[Sent]:
            await pool.execute("UPDATE device SET target = 'ok-newer'")
            return await super().send(sends)

    notifier = await make(pool, Slow(lambda *_: Sent(Outcome.GONE, "UNREGISTERED")))
    (leg_id,) = await add_legs(pool)
    await add_person(pool, leg_id, "ok-older")
    await set_gate(pool, leg_id, "22")
    async with running(notifier):
        await finish(pool)
    assert await pool.fetchval("SELECT count(*) FROM device WHERE dead_at IS NULL") == 1


async def test_a_quota_answer_is_waited_for_as_asked(
    pool: "Pool[asyncpg.Record]", monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FcmDouble() as fcm:
        for name, value in fcm.environment.items():
            monkeypatch.setenv(name, value)
        sender = await FcmSender.open(fcm.service_account, fcm.base_url)
        notifier = await make(pool, sender)
        (leg_id,) = await add_legs(pool)
        await add_person(pool, leg_id, "quota-phone")
        await set_gate(pool, leg_id, "22")
        async with running(notifier):
            await ChangeLog(pool).sequence()
            refused = "SELECT state FROM delivery WHERE state = 'pending' AND attempts = 1"
            await until(lambda: pool.fetchval(refused), within=5, what="back to pending")
            await fcm.force("ok")
            assert await finish(pool) == [(2, "sent", "")]
        first, second = await fcm.requests()
        assert [first["status"], second["status"]] == [429, 200]
        assert 2.0 <= second["at"] - first["at"] < 5.0
        assert await pool.fetchval("SELECT attempts FROM delivery") == 2
        await sender.close()


async def test_refused_by_all_is_undeliverable_and_the_device_lives(
    pool: "Pool[asyncpg.Record]",
) -> None:
    notifier = await make(pool, RecordingSender(lambda *_: Sent(Outcome.REFUSED, "bad payload")))
    (leg_id,) = await add_legs(pool)
    await add_person(pool, leg_id, "ok-phone")
    await set_gate(pool, leg_id, "22")
    async with running(notifier):
        assert await finish(pool) == [(2, "undeliverable", "no device took it: bad payload")]
    assert await pool.fetchval("SELECT dead_at FROM device") is None


async def test_a_failing_provider_is_tried_until_the_notice_expires(
    pool: "Pool[asyncpg.Record]",
) -> None:
    sender = RecordingSender(lambda *_: Sent(Outcome.RETRY, "503", retry_after=0.0))
    notifier = await make(pool, sender)
    (leg_id,) = await add_legs(pool)
    await add_person(pool, leg_id, "ok-phone")
    await pool.execute("UPDATE flight_leg SET etd = board_now() - interval '14 min 57 s'")
    await set_gate(pool, leg_id, "22")
    async with running(notifier):
        assert await finish(pool) == [(3, "expired", "expired")]
    assert len({notice.id for _, notice in sender.sent}) == 1
    assert await pool.fetchval("SELECT attempts FROM delivery") == len(sender.sent) + 1 > 1


def test_the_waiting_times_between_attempts() -> None:
    named = [Sent(Outcome.RETRY), Sent(Outcome.RETRY, retry_after=40.0)]
    assert all(40.0 <= retry_in(named, 1) <= 41.0 for _ in range(50))
    drawn = {
        attempts: [retry_in(named[:1], attempts) for _ in range(400)] for attempts in (1, 3, 9)
    }
    for attempts, bound in ((1, 10.0), (3, 40.0), (9, RETRY_CAP)):
        assert 1.0 <= min(drawn[attempts]) < bound / 4
        assert bound * 0.75 < max(drawn[attempts]) <= bound


async def test_a_replay_labels_its_notices_and_shortens_their_life(
    pool: "Pool[asyncpg.Record]",
) -> None:
    await pool.execute("SELECT start_replay('2013-03-08T22:00:00Z', 10)")
    sender = RecordingSender()
    notifier = await make(pool, sender)
    (leg_id,) = await add_legs(pool, departs_in="45 minutes")
    await add_person(pool, leg_id, "ok-phone")
    await set_gate(pool, leg_id, "22")
    async with running(notifier):
        await finish(pool)
    ((_, notice),) = sender.sent
    assert notice.title == "Demo: B6 1: gate now 22"
    assert "leaves at 17:45 from" in notice.body
    assert 60 * 60 / 10 - 10 <= notice.ttl <= 60 * 60 / 10


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
    from tests.integration.test_receipts import IdleBus

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
