"""F12: a provider that calls every target dead does not cost the targets."""

import asyncpg
import pytest

from realtime.change_log import ChangeLog
from realtime.sender_fcm import FcmSender
from tests.support.fcm import FcmDouble
from tests.support.followers import add_person, finish, make, running
from tests.support.legs import add_legs, set_gate
from tests.support.wait import until

Pool = asyncpg.Pool
PEOPLE = 400


async def test_a_wrong_project_costs_at_most_200_targets(
    pool: "Pool[asyncpg.Record]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.sender_fcm.BREAKER_PAUSE", 0.2)
    (leg_id,) = await add_legs(pool)
    for number in range(PEOPLE):
        await add_person(pool, leg_id, f"ok-phone-{number}")
    async with FcmDouble() as fcm:
        sender = await FcmSender.open(fcm.service_account, fcm.base_url)
        notifier = await make(pool, sender)
        await fcm.force("unreg")
        await set_gate(pool, leg_id, "22")
        await ChangeLog(pool).sequence()
        async with running(notifier):
            await until(lambda: sender.breaker.open, within=60, what="the breaker opened")
            asked = len(await fcm.requests())

            async def asked_on() -> bool:
                return len(await fcm.requests()) >= asked + PEOPLE

            await until(asked_on, within=60, what="the kept targets were tried again")
            dead = await pool.fetchval("SELECT count(*) FROM device WHERE dead_at IS NOT NULL")
            await fcm.force("")
            ends = await finish(pool, within=60)
        await sender.close()
        accepted = len(await fcm.accepted())
    assert 0 < dead <= 200
    states = [state for _, state, _ in ends]
    assert states.count("undeliverable") == dead
    assert states.count("sent") == accepted == PEOPLE - dead
