"""F14: a screen or the phones, over real sockets: receipts that settle, do not, or are lost."""

from collections.abc import Mapping
from types import MappingProxyType

import asyncpg
import pytest

from realtime.settings import Settings
from tests.support.accounting import account, check_claims, watch_claims
from tests.support.crowd import Crowd, Habit, Person
from tests.support.followers import (
    RecordingSender,
    at_rest,
    end_holds,
    epoch_of,
    make,
    running,
)
from tests.support.legs import add_legs, key_of, set_gate
from tests.support.node import SECRET, running_node
from tests.support.wait import until

Pool = asyncpg.Pool
TWO = ("ok", "ok")
SCREEN, PHONES = ("seen", 0), ("sent", 2)
OUTCOMES: Mapping[Habit, tuple[tuple[str, int], tuple[str, int]]] = MappingProxyType({
    Habit("visible, with input", TWO, screen=True, there=True): (SCREEN, SCREEN),
    Habit("visible, without input", TWO, screen=True): (SCREEN, PHONES),
    Habit("hidden tab", TWO, screen=True, visible=False): (PHONES, PHONES),
    Habit("receipts lost", TWO, screen=True, there=True, loses=1.0): (PHONES, PHONES),
    Habit("no screen", TWO): (PHONES, PHONES),
})  # fmt: skip
"""R9: how the delivery of a normal and of an urgent change ends, and how many phones ring."""
BESIDE = (
    ("hidden tab", Habit("a visible one", (), screen=True), SCREEN, PHONES),
    ("hidden tab", Habit("one with input", (), screen=True, there=True), SCREEN, SCREEN),
    ("receipts lost", Habit("a hidden one", (), screen=True, visible=False), PHONES, PHONES),
)
"""The same with another screen of the account."""


async def ends_of(
    pool: "Pool[asyncpg.Record]", sender: RecordingSender, person: Person, leg_id: int
) -> tuple[str, int]:
    row = await pool.fetchrow(
        "SELECT state, seq FROM delivery WHERE account_id = $1::text::uuid AND leg_id = $2",
        person.account_id,
        leg_id,
    )
    assert row is not None
    notice = f"{await epoch_of(pool)}:{row['seq']}"
    return row["state"], sum(sender.accepted[target, notice] for target in person.targets)


@pytest.mark.parametrize("first", ["delivery", "receipt"])
async def test_each_change_reaches_a_screen_or_all_phones(
    pool: "Pool[asyncpg.Record]", first: str
) -> None:
    """Whether the receipt or the delivery comes first makes no difference."""
    sender = RecordingSender()
    notifier = await make(pool, sender, Settings(grace=2.5, grace_urgent=2.5))
    (normal,), (urgent,) = (
        await add_legs(pool, departs_in="2 hours"),
        await add_legs(pool, departs_in="30 minutes", first=2),
    )
    keys = [await key_of(pool, normal), await key_of(pool, urgent)]
    async with running_node(pool) as node:
        crowd = Crowd(pool, node.url, SECRET)
        expected = {}
        for habit, (calm, hasty) in OUTCOMES.items():
            expected[await crowd.add(habit, keys)] = habit.name, calm, hasty
        for name, screen, calm, hasty in BESIDE:
            person = await crowd.add(next(each for each in OUTCOMES if each.name == name), keys)
            crowd.add_screen(screen, person)
            expected[person] = f"{name}, {screen.name}", calm, hasty
        await watch_claims(pool)

        async def receipts() -> bool:
            newest = "SELECT count(*) FROM receipt WHERE version = 2 AND leg_id = ANY ($1)"
            return bool(await pool.fetchval(newest, [normal, urgent]) == 2 * 4)

        async with crowd.living():
            if first == "receipt":
                await change(pool, normal, urgent)
                await until(receipts, within=10, what="all receipts are there")
            async with running(notifier):
                if first == "delivery":
                    await change(pool, normal, urgent)
                    await until(receipts, within=10, what="all receipts are there")
                await end_holds(pool)
                await until(lambda: at_rest(pool), within=15, what="every delivery has ended")
    found = {
        person: (
            name,
            await ends_of(pool, sender, person, normal),
            await ends_of(pool, sender, person, urgent),
        )
        for person, (name, *_) in expected.items()
    }
    print(*(f"\n{name:30} normal {calm} urgent {hasty}" for name, calm, hasty in found.values()))
    assert list(found.values()) == list(expected.values())
    await check_claims(pool)


async def change(pool: "Pool[asyncpg.Record]", *leg_ids: int) -> None:
    for leg_id in leg_ids:
        await set_gate(pool, leg_id, "22")


async def test_of_a_third_of_receipts_that_are_lost_each_costs_one_push(
    pool: "Pool[asyncpg.Record]",
) -> None:
    """I2: display and push together are one, but for the receipts that never arrived."""
    sender = RecordingSender()
    notifier = await make(pool, sender, Settings(grace=1.0, grace_urgent=1.0))
    (leg_id,) = await add_legs(pool, departs_in="18 minutes")  # gates may flap so close to it
    key = await key_of(pool, leg_id)
    lossy = Habit("lossy", screen=True, there=True, loses=0.3)
    async with running_node(pool) as node, running(notifier):
        crowd = Crowd(pool, node.url, SECRET)
        people = [await crowd.add(lossy, [key]) for _ in range(30)]
        start: int = await pool.fetchval("SELECT last_seq FROM relay_state")
        await watch_claims(pool)
        async with crowd.living():
            for version in range(2, 8):
                await set_gate(pool, leg_id, f"G{version}")

                async def ended(version: int = version) -> bool:
                    count: int = await pool.fetchval(
                        "SELECT count(*) FROM delivery WHERE version = $1 AND done_at IS NOT NULL",
                        version,
                    )
                    return count == len(people)

                await until(ended, within=15, what="all deliveries of the change ended")
    lost = {(target, version) for each in people for _, version in each.lost if version > 1
            for target in each.targets}  # fmt: skip
    assert {(target.target, notice.version) for target, notice in sender.sent} == lost
    assert len(sender.sent) == len(lost) > 30
    for (target, notice), count in sender.accepted.items():
        crowd.evidence.pushed[target, notice] += count
    ledger = await account(pool, crowd.evidence, start)
    assert ledger.wrong == []
    assert ledger.ends == {"live": 6 * len(people) - len(lost), "pushed": len(lost)}
    await check_claims(pool)
