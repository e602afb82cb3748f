"""A follower with several devices: each takes a notice once, and none is given up for another."""

from collections import Counter
from time import monotonic

import asyncpg
import pytest

from realtime.change_log import ChangeLog
from realtime.receipts import Receipts
from realtime.sender import Notice, Outcome, Sent, Target
from tests.support.followers import (
    ACCEPTED,
    RecordingSender,
    add_device,
    add_person,
    at_rest,
    cancel,
    end_holds,
    ends,
    epoch_of,
    finish,
    make,
    running,
)
from tests.support.legs import add_legs, key_of, set_gate
from tests.support.wait import until

Pool = asyncpg.Pool
PHONE, TABLET = "ok-phone", "ok-tablet"
HALF = "SELECT count(*) FROM delivery WHERE state = 'pending' AND said <> '{}'"


class Flaky(RecordingSender):
    """The tablet's sends get these answers, one after the other; then it takes what it gets."""

    def __init__(self, *answers: Sent) -> None:
        super().__init__(self._next)
        self.left = list(answers)
        self.times: dict[str, list[float]] = {}

    def _next(self, target: Target, _: Notice) -> Sent:
        self.times.setdefault(target.target, []).append(monotonic())
        return self.left.pop(0) if target.target == TABLET and self.left else ACCEPTED

    def ids(self, target: str) -> list[str]:
        """Of the notices that were sent to it, in order."""
        return [notice.id for to, notice in self.sent if to.target == target]


def later(seconds: float) -> Sent:
    return Sent(Outcome.RETRY, "503", retry_after=seconds)


async def test_who_took_a_notice_does_not_get_it_again_who_did_not_does(
    pool: "Pool[asyncpg.Record]",
) -> None:
    sender = Flaky(later(0.1), later(0.1))
    notifier = await make(pool, sender)
    (leg_id,) = await add_legs(pool)
    await add_person(pool, leg_id, PHONE, TABLET)
    await set_gate(pool, leg_id, "22")
    async with running(notifier):
        assert await finish(pool) == [(2, "sent", "")]
        assert Counter(target.target for target, _ in sender.sent) == {PHONE: 1, TABLET: 3}
        assert len({notice.id for _, notice in sender.sent}) == 1
        assert len({(notice.title, notice.body) for _, notice in sender.sent}) == 1
        row = await pool.fetchrow("SELECT said, said_at, answers, attempts FROM delivery")
        assert row is not None
        assert list(row["said"]) == ["gate_changed"]
        assert row["said_at"] is not None
        assert (row["answers"], row["attempts"]) == (None, 3)
        await set_gate(pool, leg_id, "23")  # what the phone was told is known
        await finish(pool)
    assert [notice.old for _, notice in sender.sent[-2:]] == ["22", "22"]


async def test_what_one_device_took_is_told_while_another_has_still_to_take_it(
    pool: "Pool[asyncpg.Record]",
) -> None:
    sender = Flaky(later(60))
    notifier = await make(pool, sender)
    (leg_id,) = await add_legs(pool)
    await add_person(pool, leg_id, PHONE, TABLET)
    await set_gate(pool, leg_id, "22")
    await ChangeLog(pool).sequence()
    async with running(notifier):
        await until(lambda: pool.fetchval(HALF), within=5, what="one of two has it")
        told = await pool.fetchval("SELECT told ->> 'dep_gate' FROM follow")
        assert told == "22"
        await cancel(pool, leg_id)
        assert await finish(pool) == [
            (2, "sent", "said anew with version 3"),
            (3, "sent", ""),
        ]
    assert [len(sender.ids(each)) for each in (PHONE, TABLET)] == [2, 2]
    assert sender.ids(PHONE) == sender.ids(TABLET)


async def test_a_notice_that_is_not_true_any_more_is_not_repeated_for_the_other_device(
    pool: "Pool[asyncpg.Record]",
) -> None:
    sender = Flaky(later(0.5))
    notifier = await make(pool, sender)
    (leg_id,) = await add_legs(pool, departs_in="2 hours")
    await add_person(pool, leg_id, PHONE, TABLET)
    await set_gate(pool, leg_id, "22")
    async with running(notifier):
        await end_holds(pool)
        await until(lambda: pool.fetchval(HALF), within=5, what="one of two has it")
        await set_gate(pool, leg_id, "23")  # held for a while, as it may flap
        await ChangeLog(pool).sequence()
        await until(
            lambda: pool.fetchval("SELECT count(*) = 1 FROM delivery WHERE state = 'sent'"),
            within=5,
            what="the first is over",
        )
        assert len(sender.ids(TABLET)) == 1
        await end_holds(pool)
        assert [end[:2] for end in await finish(pool)] == [(2, "sent"), (3, "sent")]
    assert [notice.new for target, notice in sender.sent if target.target == TABLET] == ["22", "23"]


async def test_a_receipt_spares_the_other_device(pool: "Pool[asyncpg.Record]") -> None:
    sender = Flaky(later(0.5))
    notifier = await make(pool, sender)
    (leg_id,) = await add_legs(pool)
    account_id = await add_person(pool, leg_id, PHONE, TABLET)
    await set_gate(pool, leg_id, "22")
    await ChangeLog(pool).sequence()
    async with running(notifier):
        await until(lambda: pool.fetchval(HALF), within=5, what="one of two has it")
        legs = {await key_of(pool, leg_id): 2}
        assert await Receipts(pool).settle(account_id, await epoch_of(pool), True, legs) == 1
        assert await ends(pool) == [(2, "seen", "receipt")]
        await set_gate(pool, leg_id, "23")
        await finish(pool)
    assert len(sender.ids(TABLET)) == 1 + 1


async def test_a_refusal_is_final_for_its_device_alone(pool: "Pool[asyncpg.Record]") -> None:
    refused, states = Sent(Outcome.REFUSED, "bad payload"), []

    def answer(target: Target, _: Notice) -> Sent:
        states.append(target.target)
        if target.target == PHONE:
            return refused
        return later(0.1) if states.count(TABLET) < 3 else refused

    notifier = await make(pool, RecordingSender(answer))
    (leg_id,) = await add_legs(pool)
    await add_person(pool, leg_id, PHONE, TABLET)
    await set_gate(pool, leg_id, "22")
    async with running(notifier):
        assert await finish(pool) == [(2, "undeliverable", "no device took it: bad payload")]
    assert Counter(states) == {PHONE: 1, TABLET: 3}


async def test_each_device_is_left_alone_for_as_long_as_was_asked_for_it(
    pool: "Pool[asyncpg.Record]",
) -> None:
    watch, sender = "ok-watch", Flaky(later(3.0))
    answers = {watch: [later(0.1)]}
    next_of, sender.answer = (
        sender.answer,
        lambda target, notice: (
            answers[target.target].pop(0) if answers.get(target.target) else next_of(target, notice)
        ),
    )
    notifier = await make(pool, sender)
    (leg_id,) = await add_legs(pool)
    await add_person(pool, leg_id, PHONE, TABLET, watch)
    await set_gate(pool, leg_id, "22")
    begun = monotonic()
    async with running(notifier):
        assert await finish(pool) == [(2, "sent", "")]
    assert Counter(target.target for target, _ in sender.sent) == {PHONE: 1, TABLET: 2, watch: 2}
    assert sender.times[watch][-1] - begun < 2.5
    assert sender.times[TABLET][-1] - sender.times[TABLET][0] >= 3.0


REMOVALS: dict[str, str] = {
    "off": "UPDATE device SET alerts = false WHERE target = 'ok-tablet'",
    "deleted": "DELETE FROM device WHERE target = 'ok-tablet'",
    "dead": "UPDATE device SET dead_at = wall_now(), dead_reason = 'x' WHERE target = 'ok-tablet'",
    "not followed": "DELETE FROM follow",
    "expired": "UPDATE delivery SET answers = jsonb_set(answers, '{expires_at}',"
    " to_jsonb(board_now() - interval '1 second'))",
}


@pytest.mark.parametrize("removal", REMOVALS)
async def test_a_notice_that_the_other_device_cannot_take_any_more_was_sent(
    pool: "Pool[asyncpg.Record]", removal: str
) -> None:
    sender = Flaky(later(0.6))
    notifier = await make(pool, sender)
    (leg_id,) = await add_legs(pool)
    await add_person(pool, leg_id, PHONE, TABLET)
    await set_gate(pool, leg_id, "22")
    await ChangeLog(pool).sequence()
    async with running(notifier):
        await until(lambda: pool.fetchval(HALF), within=5, what="one of two has it")
        await pool.execute(REMOVALS[removal])
        await until(lambda: at_rest(pool), within=5, what="it has ended")
        ((_, state, _),) = await ends(pool)
    assert state == "sent"
    assert len(sender.ids(TABLET)) == 1


async def test_nothing_is_pushed_where_alerts_are_off(pool: "Pool[asyncpg.Record]") -> None:
    """Elsewhere it is; off everywhere, the change is suppressed and never told later."""
    sender = Flaky()
    notifier = await make(pool, sender)
    (leg_id,) = await add_legs(pool)
    await add_person(pool, leg_id, PHONE, TABLET)
    async with running(notifier):
        await pool.execute("UPDATE device SET alerts = false WHERE target = $1", TABLET)
        await set_gate(pool, leg_id, "22")
        assert await finish(pool) == [(2, "sent", "")]
        await pool.execute("UPDATE device SET alerts = false")
        await set_gate(pool, leg_id, "23")
        suppressed = (3, "suppressed", "alerts are off on every device")
        assert suppressed in await finish(pool)
        await pool.execute("UPDATE device SET alerts = true WHERE target = $1", TABLET)
        await set_gate(pool, leg_id, "24")
        assert (4, "sent", "") in await finish(pool)
    assert (len(sender.ids(PHONE)), len(sender.ids(TABLET))) == (1, 1)


async def test_another_notifier_goes_on_with_what_one_device_has_taken(
    pool: "Pool[asyncpg.Record]",
) -> None:
    """The answers are in the database, not in the notifier that heard them."""
    first, second = Flaky(later(0.2)), Flaky()
    (leg_id,) = await add_legs(pool)
    account_id = await add_person(pool, leg_id, PHONE, TABLET)
    one = await make(pool, first, name="one")
    await set_gate(pool, leg_id, "22")
    await ChangeLog(pool).sequence()
    async with running(one):
        await until(lambda: pool.fetchval(HALF), within=5, what="one of two has it")
    await add_device(pool, account_id, "ok-newcomer")
    async with running(await make(pool, second, name="two")):
        assert await finish(pool) == [(2, "sent", "")]
    assert second.ids(PHONE) == []
    assert first.ids(PHONE) == first.ids(TABLET) == second.ids(TABLET) == second.ids("ok-newcomer")
