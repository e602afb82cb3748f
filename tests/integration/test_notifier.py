"""A8: every (significant change, follower) ends in one terminal state, and is sent at most once."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import asyncpg
import pytest

from realtime.change_log import ChangeLog
from realtime.claims import RETRY_CAP, own_wait
from realtime.notifier import Notifier
from realtime.receipts import Receipts
from realtime.sender import Notice, Outcome, Sent, Target
from realtime.sender_fcm import FcmSender
from realtime.settings import Settings
from tests.support.fcm import FcmDouble
from tests.support.followers import (
    RecordingSender,
    add_person,
    cancel,
    end_holds,
    epoch_of,
    finish,
    make,
    reinstate,
    running,
)
from tests.support.legs import add_legs, key_of, set_gate
from tests.support.wait import until

Pool = asyncpg.Pool


async def test_one_gate_change_is_pushed_once(
    pool: "Pool[asyncpg.Record]",
) -> None:
    async with FcmDouble() as fcm:
        sender = await FcmSender.open(fcm.service_account, fcm.base_url)
        notifier = await make(pool, sender, Settings(grace=0.5, grace_urgent=0.5))
        (leg_id,) = await add_legs(pool, departs_in="2 hours")
        await add_person(pool, leg_id, "ok-phone")
        await set_gate(pool, leg_id, "22")
        async with running(notifier):
            assert await end_holds(pool) == 1
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
        await end_holds(pool)
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
        assert await end_holds(pool) == 2
        assert await finish(pool) == [(2, "superseded", "said with version 3"), (3, "sent", "")]
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
        assert await finish(pool) == [
            (2, "superseded", "no longer cancelled"),
            (3, "superseded", "never told of a cancellation"),
        ]
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
        states = [state for _, state, _ in await finish(pool)]
        assert states == ["sent", "superseded", "superseded"]
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
    await pool.execute("UPDATE flight_leg SET etd = board_now() - interval '14 min 58 s'")
    await ChangeLog(pool).sequence()
    while await notifier.enqueue_batch():  # so that nobody is told of the estimate
        pass
    await add_person(pool, leg_id, "ok-phone")
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
    pool: "Pool[asyncpg.Record]",
) -> None:
    async with FcmDouble() as fcm:
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


@pytest.mark.parametrize("renewal", ["target = 'ok-newer'", "refreshed_at = wall_now()"])
async def test_a_device_that_registered_anew_meanwhile_is_not_marked(
    pool: "Pool[asyncpg.Record]", renewal: str
) -> None:
    notifier: Notifier

    class Slow(RecordingSender):
        async def send(self, sends: Sequence[tuple[Target, Notice]]) -> list[Sent]:
            await pool.execute(f"UPDATE device SET {renewal}")
            return await super().send(sends)

    notifier = await make(pool, Slow(lambda *_: Sent(Outcome.GONE, "UNREGISTERED")))
    (leg_id,) = await add_legs(pool)
    await add_person(pool, leg_id, "ok-older")
    await set_gate(pool, leg_id, "22")
    async with running(notifier):
        await finish(pool)
    assert await pool.fetchval("SELECT count(*) FROM device WHERE dead_at IS NULL") == 1


async def test_a_quota_answer_is_waited_for_as_asked(
    pool: "Pool[asyncpg.Record]",
) -> None:
    async with FcmDouble() as fcm:
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
    await pool.execute("UPDATE flight_leg SET etd = board_now() - interval '14 min 57 s'")
    await ChangeLog(pool).sequence()
    while await notifier.enqueue_batch():  # so that nobody is told of the estimate
        pass
    await add_person(pool, leg_id, "ok-phone")
    await set_gate(pool, leg_id, "22")
    async with running(notifier):
        assert await finish(pool) == [(3, "expired", "expired")]
    assert len({notice.id for _, notice in sender.sent}) == 1
    assert await pool.fetchval("SELECT attempts FROM delivery") == len(sender.sent) + 1 > 1


def test_the_waiting_times_between_attempts() -> None:
    drawn = {attempts: [own_wait(attempts) for _ in range(400)] for attempts in (1, 3, 9)}
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


async def test_a_gate_that_flaps_within_the_grace_rings_nobody(
    pool: "Pool[asyncpg.Record]",
) -> None:
    sender = RecordingSender()
    notifier = await make(pool, sender, Settings(grace=0.2, grace_urgent=0.2))
    (leg_id,) = await add_legs(pool)
    await add_person(pool, leg_id, "ok-phone")
    await set_gate(pool, leg_id, "22")
    await set_gate(pool, leg_id, "18")
    async with running(notifier):
        assert [state for _, state, _ in await finish(pool)] == ["superseded"] * 2
    assert not sender.sent


async def test_a_gate_that_was_told_is_corrected(pool: "Pool[asyncpg.Record]") -> None:
    sender = RecordingSender()
    notifier = await make(pool, sender)
    (leg_id,) = await add_legs(pool)
    await add_person(pool, leg_id, "ok-phone")
    async with running(notifier):
        for gate in ("22", "18"):
            await set_gate(pool, leg_id, gate)
            await finish(pool)
    assert [notice.title for _, notice in sender.sent] == ["B6 1: gate now 22", "B6 1: gate now 18"]
    told = await pool.fetchrow("SELECT told ->> 'dep_gate', told ->> 'version' FROM follow")
    assert told is not None
    assert tuple(told) == ("18", "3")


async def test_a_change_of_a_feed_that_is_dead_now_is_withheld(
    pool: "Pool[asyncpg.Record]",
) -> None:
    sender = RecordingSender()
    notifier = await make(pool, sender)
    (leg_id,) = await add_legs(pool)
    await add_person(pool, leg_id, "ok-phone")
    await pool.execute(
        "INSERT INTO feed (code, party, max_silence, last_seen_at)"
        " VALUES ('tower', 'airport', '1 minute', wall_now() - interval '4 minutes')"
    )
    async with pool.acquire() as session, session.transaction():
        await session.execute("SET LOCAL gatecast.feed = 'tower'")
        await set_gate(session, leg_id, "22")
    async with running(notifier):
        await ChangeLog(pool).sequence()
        held = "SELECT reason FROM delivery WHERE state = 'held'"
        assert await until(lambda: pool.fetchval(held), within=5, what="held") == "its feed is dead"
        assert not sender.sent
        await pool.execute("UPDATE feed SET last_seen_at = wall_now()")
        await pool.execute("UPDATE delivery SET held_until = NULL")
        assert [end[:2] for end in await finish(pool)] == [(2, "sent")]


async def test_what_is_urgent_goes_first(pool: "Pool[asyncpg.Record]") -> None:
    sender = RecordingSender()
    notifiers = [await make(pool, sender, name=name) for name in ("a", "b")]
    far = await add_legs(pool, 200, departs_in="2 hours", first=1)
    near = await add_legs(pool, 200, departs_in="30 minutes", first=500)
    for leg_id in (*far, *near):
        await add_person(pool, leg_id, f"ok-phone-{leg_id}")
    await pool.execute("UPDATE flight_leg SET dep_gate = '22'")
    await ChangeLog(pool).sequence()
    while await notifiers[0].enqueue_batch():
        pass
    assert await end_holds(pool) == 200
    async with running(*notifiers):
        await finish(pool, within=30)
    urgent = [notice.urgent for _, notice in sender.sent]
    assert len(urgent) == 400
    assert urgent.index(False) >= 200 - 2 * 90  # the batches that were claimed at that time
    assert not any(urgent[300:])
