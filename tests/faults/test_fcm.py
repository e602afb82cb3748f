"""F11: a provider that answers late, badly or not at all; two notifiers, the real SDK, a double."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest
import pytest_asyncio

from realtime.change_log import ChangeLog
from realtime.sender import SEND_SHARE, Notice, Sent, Target
from realtime.sender_fcm import FcmSender
from realtime.settings import Settings
from tests.support.fcm import FcmDouble
from tests.support.followers import add_person, make, running
from tests.support.legs import add_legs, set_gate
from tests.support.wait import until

Pool = asyncpg.Pool


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def double() -> AsyncIterator[FcmDouble]:
    async with FcmDouble() as running_double:
        yield running_double


@pytest.fixture
async def fcm(double: FcmDouble, monkeypatch: pytest.MonkeyPatch) -> FcmDouble:
    """The double, clean, and trusted by the SDK."""
    for name, value in double.environment.items():
        monkeypatch.setenv(name, value)
    await double.force("")
    await double.reset()
    return double


class Overlaps:
    """Passes sends on; how often a device was being sent to by two callers at the same time."""

    def __init__(self, sender: FcmSender, under_way: set[tuple[str, str]]) -> None:
        self.sender = sender
        self.under_way = under_way
        self.found = self.calls = 0

    async def send(self, sends: Sequence[tuple[Target, Notice]]) -> list[Sent]:
        mine = {(target.target, notice.id) for target, notice in sends}
        self.found += len(mine & self.under_way)
        self.calls += 1
        self.under_way |= mine
        try:
            return await self.sender.send(sends)
        finally:
            self.under_way -= mine

    async def close(self) -> None:
        await self.sender.close()


async def test_no_answers_at_all_do_not_outlast_the_lease(
    pool: "Pool[asyncpg.Record]", fcm: FcmDouble
) -> None:
    """A claim whose lease has ended is another's: whoever still sent for it would send twice."""
    settings = Settings(grace=0, grace_urgent=0, lease=2.0)
    under_way: set[tuple[str, str]] = set()
    senders = [
        Overlaps(
            await FcmSender.open(fcm.service_account, fcm.base_url, settings.lease * SEND_SHARE),
            under_way,
        )
        for _ in range(2)
    ]
    (leg_id,) = await add_legs(pool)
    for number in range(60):
        await add_person(pool, leg_id, *(f"hang-{number}-{each}" for each in range(3)))
    notifiers = [await make(pool, sender, settings) for sender in senders]
    await set_gate(pool, leg_id, "22")
    await ChangeLog(pool).sequence()
    async with running(*notifiers):
        await until(
            lambda: (
                any(sender.found for sender in senders)
                or min(sender.calls for sender in senders) >= 2
            ),
            within=20,
            what="both have sent twice",
        )
    assert [sender.found for sender in senders] == [0, 0]
    assert await pool.fetchval("SELECT count(*) FROM delivery WHERE reason LIKE '%lease%'") == 0
    await asyncio.gather(*(sender.close() for sender in senders))
