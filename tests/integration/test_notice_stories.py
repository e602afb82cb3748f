"""Days of followers, from rows that are changed to the words on their phones."""

import json
from collections.abc import Sequence
from typing import Any

import asyncpg

from tests.support.followers import RecordingSender, add_person, end_holds, finish, make, running
from tests.support.legs import add_legs
from tests.support.wait import until

Pool = asyncpg.Pool


async def prefer(pool: "Pool[asyncpg.Record]", account_id: str, **wishes: Any) -> None:
    await pool.execute(
        "UPDATE account SET preferences = $2 WHERE account_id = $1::text::uuid",
        account_id,
        json.dumps(wishes),
    )


async def knows_the_schedule(pool: "Pool[asyncpg.Record]") -> None:
    """The followers have seen the leg as it is."""
    await pool.execute(
        "UPDATE follow f SET told = jsonb_build_object('std', s ->> 'std', 'sta', s ->> 'sta',"
        " 'dep_gate', s ->> 'dep_gate', 'phase', s ->> 'phase', 'version', l.version)"
        " FROM flight_leg l, public_state(l) s WHERE l.leg_id = f.leg_id"
    )


async def happen(pool: "Pool[asyncpg.Record]", change: str) -> None:
    """One committed change of leg 1, and what it makes of the deliveries."""
    await pool.execute(f"UPDATE flight_leg SET {change} WHERE leg_id = 1")
    await end_holds(pool)
    await finish(pool)


def titles(sender: RecordingSender) -> Sequence[str]:
    return [notice.title for _, notice in sender.sent]


async def test_a_delay_is_told_in_steps_and_in_the_language_of_the_person(
    pool: "Pool[asyncpg.Record]",
) -> None:
    sender = RecordingSender()
    notifier = await make(pool, sender)
    await add_legs(pool, departs_in="3 hours")
    account_id = await add_person(pool, 1, "ok-phone")
    await prefer(pool, account_id, language="es")
    await knows_the_schedule(pool)
    said: list[int] = []
    async with running(notifier):
        for minutes in (10, 14, 16, 24, 31, 29, 12, 8, 30):
            before = len(sender.sent)
            await happen(pool, f"etd = std + interval '{minutes} minutes'")
            said += [minutes] * (len(sender.sent) - before)
            await pool.execute("UPDATE delivery SET said_at = said_at - interval '1 hour'")
    assert said == [16, 31, 12, 30]
    bodies = " ".join(notice.body for _, notice in sender.sent)
    assert "16 min" in bodies
    assert " de " in bodies
    assert "late" not in bodies


async def test_boarding_and_the_last_call_follow_each_other(
    pool: "Pool[asyncpg.Record]",
) -> None:
    sender = RecordingSender()
    notifier = await make(pool, sender)
    await add_legs(pool, departs_in="40 minutes")
    await add_person(pool, 1, "ok-phone")
    await knows_the_schedule(pool)
    async with running(notifier):
        await happen(pool, "phase = 'boarding', boarding_at = board_now()")
        await happen(pool, "phase = 'final_call'")
        await happen(pool, "phase = 'off_block', atd = board_now()")
    kinds = [notice.kinds[0] for _, notice in sender.sent]
    assert kinds == ["boarding", "final_call"]  # a passenger knows that the flight has left


async def test_who_picks_up_hears_of_the_landing_and_no_gate(pool: "Pool[asyncpg.Record]") -> None:
    sender = RecordingSender()
    notifier = await make(pool, sender)
    await add_legs(pool, departs_in="-2 hours")
    await add_person(pool, 1, "ok-phone")
    await pool.execute("UPDATE follow SET role = 'pick_up', kinds = '{cancelled,delay,landed}'")
    await knows_the_schedule(pool)
    async with running(notifier):
        await happen(pool, "dep_gate = '40'")
        await happen(pool, "phase = 'landed', aldt = board_now(), atot = std, atd = std")
    assert [notice.kinds for _, notice in sender.sent] == [("landed",)]
    assert len(titles(sender)[0]) <= 40


async def test_quiet_hours_hold_what_is_not_urgent(pool: "Pool[asyncpg.Record]") -> None:
    sender = RecordingSender()
    notifier = await make(pool, sender)
    await add_legs(pool, departs_in="20 hours")
    account_id = await add_person(pool, 1, "ok-phone")
    hour = await pool.fetchval("SELECT extract(hour FROM board_now() AT TIME ZONE 'UTC')::int")
    quiet = {"start": f"{(hour - 1) % 24:02}:00:00", "end": f"{(hour + 2) % 24:02}:00:00"}
    await prefer(pool, account_id, quiet=quiet, zone="UTC")
    await knows_the_schedule(pool)
    async with running(notifier):
        await pool.execute("UPDATE flight_leg SET etd = std + interval '50 minutes'")
        await end_holds(pool)
        waits = "SELECT held_until - board_now() > interval '30 minutes' FROM delivery"
        await until_true(pool, waits)
        assert sender.sent == []
        await happen(pool, "irregularity = 'cancelled'")
        assert [notice.kinds for _, notice in sender.sent] == [("cancelled",)]


async def until_true(pool: "Pool[asyncpg.Record]", query: str) -> None:
    await until(lambda: pool.fetchval(query), within=10, what=query)
