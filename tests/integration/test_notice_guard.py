"""A feed that cancels much of an airport at once is not believed before a second word."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest

from api.feed import Patch
from realtime.metrics import Readings, exposition
from realtime.readings import notifier_readings
from tests.support.day import AODB, TRACKER, Day, named
from tests.support.followers import add_person, finish
from tests.support.rest import at
from tests.support.wait import until

Pool = asyncpg.Pool
HELD = "SELECT count(*) FROM delivery WHERE state = 'held' AND reason LIKE 'doubted: % at once'"
AGAIN = "UPDATE delivery SET held_until = board_now() WHERE state = 'held'"
KNOWN = """UPDATE follow SET told =
  '{"phase": "scheduled", "irregularity": "none", "version": 1}'"""  # as whoever begins to follow


class Airport(Day):
    """Forty departures of JFK that two feeds speak of, each with a follower."""

    async def fill(self) -> None:
        await self.say_all(AODB, 40, std=at(2), sta=at(4))
        await self.told()
        for leg_id in await self.database.fetch("SELECT leg_id FROM flight_leg ORDER BY leg_id"):
            await add_person(self.database, leg_id[0], f"ok-phone-{leg_id[0]}")
        await self.database.execute(KNOWN)

    async def say_all(self, feed: str, count: int, **values: str) -> None:
        """Of the first legs, in one batch."""
        now = datetime.now(UTC)
        said = [Patch(key=named(n), source_ts=now, set=dict(values)) for n in range(1, count + 1)]
        results = await self.ingest.apply(feed, said)
        assert {result.outcome for result in results} <= {"applied", "unchanged"}

    async def cancel(self, feed: str, count: int) -> None:
        await self.say_all(feed, count, irregularity="cancelled")

    async def hold(self, count: int) -> None:
        await self.cancel(AODB, count)
        await self.database.fetchval("SELECT sequence_changes()")

        async def held() -> bool:
            return bool(await self.database.fetchval(HELD) == count)

        await until(held, within=10, what="all notices are held")
        assert self.sender.sent == []

    async def rang(self) -> int:
        """How many phones rang once all that is held was looked at again."""
        await self.database.execute(AGAIN)
        await finish(self.database)
        return len(self.sender.sent)


@pytest.fixture
async def airport(dsn: str, pool: "Pool[asyncpg.Record]") -> AsyncIterator[Airport]:
    airport = Airport(dsn, pool)
    async with airport.begun():
        await airport.fill()
        yield airport


async def test_one_in_ten_is_told_at_once(airport: Airport) -> None:
    await airport.cancel(AODB, 4)
    assert await airport.rang() == 4


async def test_by_hand_as_many_as_one_likes_are_told(airport: Airport) -> None:
    await airport.database.execute("UPDATE flight_leg SET irregularity = 'cancelled'")
    assert await airport.rang() == 40


async def test_four_in_ten_wait_and_a_second_feed_frees_them(airport: Airport) -> None:
    await airport.hold(16)
    readings = Readings()
    readings.add(notifier_readings(airport.notifier))
    assert b"gatecast_cancellations_doubted_total 16" in exposition(readings)
    await airport.database.execute(AGAIN)
    await until(lambda: all_held(airport), within=10, what="all are held anew")
    await airport.cancel(TRACKER, 5)
    await airport.database.execute(AGAIN)
    await until(lambda: five(airport), within=10, what="five are told")
    assert await airport.database.fetchval(HELD) == 11


async def five(airport: Airport) -> bool:
    return len(airport.sender.sent) == 5 and await airport.database.fetchval(HELD) == 11


async def test_the_same_feed_frees_them_by_saying_so_again(airport: Airport) -> None:
    await airport.hold(16)
    await airport.say_all(AODB, 16, dep_gate="B22")  # of something else: no confirmation
    await airport.database.execute(AGAIN)
    await until(lambda: all_held(airport), within=10, what="all are held again")
    await airport.cancel(AODB, 16)
    assert await airport.rang() == 16
    assert {notice.kinds for _, notice in airport.sender.sent} == {("cancelled",)}


async def all_held(airport: Airport) -> bool:
    held = HELD + " AND held_until > board_now()"
    return bool(await airport.database.fetchval(held) == 16)


async def test_after_ten_minutes_silence_is_consent(airport: Airport) -> None:
    await airport.hold(16)
    await airport.database.execute("UPDATE leg_change SET at = at - interval '11 minutes'")
    assert await airport.rang() == 16


async def test_cancellations_that_are_taken_back_ring_nobody(airport: Airport) -> None:
    await airport.hold(16)
    await airport.say_all(AODB, 16, irregularity="none")
    assert await airport.rang() == 0


async def test_the_operator_blocks_and_releases(airport: Airport) -> None:
    await airport.hold(16)
    assert (await airport.run("notices", "block", "jfk")).returncode == 0
    await airport.database.execute("UPDATE leg_change SET at = at - interval '9 minutes'")
    await airport.cancel(TRACKER, 16)
    await airport.database.execute(AGAIN)
    blocked = (
        "SELECT count(*) = 16 FROM delivery WHERE state = 'held'"
        " AND reason = 'blocked by the operator: cancellations at JFK'"
    )
    await until(lambda: airport.database.fetchval(blocked), within=10, what="all are blocked")
    assert airport.sender.sent == []
    assert (await airport.run("notices", "release", "JFK")).returncode == 0
    assert await airport.rang() == 16
    refused = await airport.run("notices", "release", "XXX")
    assert (refused.returncode, refused.stderr) == (1, "gatecast: there is no airport XXX\n")
