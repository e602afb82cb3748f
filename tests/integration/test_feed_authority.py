"""Which feeds answer for the times of a board: a tracker that still talks keeps no board fresh."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.support.client import RawClient
from tests.support.legs import add_feed, add_legs
from tests.support.node import RunningNode, running_node
from tests.support.wait import until

Pool = asyncpg.Pool
Answering = dict[str, list[str]]


@pytest.fixture
async def node(pool: "Pool[asyncpg.Record]") -> AsyncIterator[RunningNode]:
    """Four departures of JFK, stated by a tracker of little authority and by the airport."""
    await add_legs(pool, 4)
    await add_feed(pool, "tracker", priority=10)
    await add_feed(pool, "aodb")
    async with running_node(pool, status_interval=0.2) as running:
        yield running


async def assert_answering(node: RunningNode, airport: str, expected: Answering) -> None:
    """Of the feeds that spoke of the airport, the boards that each answers for, before long."""
    async with RawClient(node.url) as client:
        await client.connect()
        await client.subscribe(f"status:{airport}")

        async def as_expected() -> bool:
            feeds = (await client.push(f"status:{airport}"))["pub"]["data"]["feeds"]
            return {feed["code"]: feed["boards"] for feed in feeds} == expected

        await until(as_expected, within=10, what=f"{airport}: {expected}")


async def test_the_feed_with_most_authority_over_the_times_answers(
    node: RunningNode, pool: "Pool[asyncpg.Record]"
) -> None:
    await assert_answering(node, "JFK", {"tracker": [], "aodb": ["departures"]})
    await assert_answering(node, "MCO", {"tracker": [], "aodb": ["arrivals"]})
    await pool.execute(
        "INSERT INTO feed_authority"
        " SELECT feed_id, 'arr_times', 200 FROM feed WHERE code = 'tracker'"
    )
    await assert_answering(node, "MCO", {"tracker": ["arrivals"], "aodb": []})
    await assert_answering(node, "JFK", {"tracker": [], "aodb": ["departures"]})


async def test_equals_answer_together_and_one_of_few_legs_does_not(
    node: RunningNode, pool: "Pool[asyncpg.Record]"
) -> None:
    await pool.execute("UPDATE feed SET priority = 100 WHERE code = 'tracker'")
    await assert_answering(node, "JFK", {"tracker": ["departures"], "aodb": ["departures"]})
    await pool.execute("UPDATE feed SET priority = 200 WHERE code = 'tracker'")
    await assert_answering(node, "JFK", {"tracker": ["departures"], "aodb": []})
    await pool.execute(
        "DELETE FROM leg_statement s USING feed f"
        " WHERE f.feed_id = s.feed_id AND f.code = 'tracker' AND s.leg_id > 1"
    )
    await assert_answering(node, "JFK", {"tracker": [], "aodb": ["departures"]})


async def test_who_states_no_time_or_is_never_late_or_switched_off_answers_for_nothing(
    node: RunningNode, pool: "Pool[asyncpg.Record]"
) -> None:
    await pool.execute("UPDATE feed SET max_silence = NULL WHERE code = 'aodb'")
    await assert_answering(node, "JFK", {"tracker": ["departures"]})
    await pool.execute("UPDATE feed SET max_silence = '1 hour', enabled = code <> 'tracker'")
    await assert_answering(node, "JFK", {"aodb": ["departures"]})
    await pool.execute("UPDATE leg_statement SET fields = fields - 'std'")
    await assert_answering(node, "JFK", {"aodb": []})
    await assert_answering(node, "MCO", {"aodb": ["arrivals"]})
