"""An urgent notice of what a screen without anybody at it has shown comes without a sound (R9)."""

from uuid import uuid4

import asyncpg
import pytest

from realtime.change_log import ChangeLog
from realtime.notifier import Notifier
from realtime.receipts import Receipts
from tests.support.followers import AT_ONCE, IdleBus, RecordingSender, add_person, epoch_of
from tests.support.legs import add_legs, key_of, set_gate

Pool = asyncpg.Pool


async def enqueued(pool: "Pool[asyncpg.Record]", sender: RecordingSender) -> tuple[Notifier, str]:
    """A gate change half an hour before departure, due at once; its follower has a phone."""
    notifier = Notifier(pool, IdleBus(), sender, AT_ONCE)
    await notifier.enqueue_batch()
    (leg_id,) = await add_legs(pool, departs_in="30 minutes")
    account_id = await add_person(pool, leg_id, "ok-phone")
    await change_gate(pool, notifier, "22")
    return notifier, account_id


async def change_gate(pool: "Pool[asyncpg.Record]", notifier: Notifier, gate: str) -> None:
    await set_gate(pool, 1, gate)
    await ChangeLog(pool).sequence()
    while await notifier.enqueue_batch():
        pass
    await pool.execute("UPDATE delivery SET held_until = NULL, state = 'pending'")


async def said(sender: RecordingSender) -> list[tuple[str, bool]]:
    return [(notice.title, notice.silent) for _, notice in sender.sent]


@pytest.mark.parametrize(("version", "silent"), [(None, False), (1, False), (2, True)])
async def test_it_is_silent_when_a_screen_has_shown_it_to_nobody(
    pool: "Pool[asyncpg.Record]", version: int | None, silent: bool
) -> None:
    sender = RecordingSender()
    notifier, account_id = await enqueued(pool, sender)
    if version is not None:
        legs, epoch = {await key_of(pool, 1): version}, await epoch_of(pool)
        assert await Receipts(pool).settle(account_id, epoch, False, legs) == 0
    assert await notifier.deliver_batch()
    assert await said(sender) == [("B6 1: gate now 22", silent)]
    assert await pool.fetchval("SELECT state FROM delivery") == "sent"


async def test_what_the_screen_has_not_shown_yet_rings(pool: "Pool[asyncpg.Record]") -> None:
    sender = RecordingSender()
    notifier, account_id = await enqueued(pool, sender)
    shown = {await key_of(pool, 1): 2}
    await Receipts(pool).settle(account_id, await epoch_of(pool), False, shown)
    await change_gate(pool, notifier, "23")
    assert await notifier.deliver_batch()
    assert await said(sender) == [("B6 1: gate now 23", False)]


async def test_what_was_shown_before_a_restore_or_to_others_rings(
    pool: "Pool[asyncpg.Record]",
) -> None:
    sender = RecordingSender()
    notifier, account_id = await enqueued(pool, sender)
    other = await add_person(pool, 1)
    shown = {await key_of(pool, 1): 2}
    for each in (account_id, other):
        await Receipts(pool).settle(each, await epoch_of(pool), False, shown)
    await pool.execute(
        "UPDATE receipt SET epoch = $2 WHERE account_id = $1::text::uuid", account_id, uuid4()
    )
    assert await notifier.deliver_batch()
    assert await said(sender) == [("B6 1: gate now 22", False)]
