"""A leg whose key is corrected stays the same leg, for REST, feeds, followers and screens."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from api.feed import Patch, PatchKey
from api.leg_keys import KeyTaken
from realtime.flight import parse_leg_key
from tests.support.rest import DAY, World, problem

WRONG = f"B69-{DAY}-JFK-MCO"
RIGHT = f"B69D-{DAY}-JFK-BOS"


@pytest.fixture
async def world(dsn: str) -> AsyncIterator[World]:
    world = World(dsn)
    await world.leg(9, dep_gate="B22")
    yield world
    await world.close()


async def correct(world: World, wrong: str = WRONG, right: str = RIGHT) -> int | None:
    return await world.ingest.correct_key("operator", parse_leg_key(wrong), parse_leg_key(right))


async def aliases(world: World) -> list[tuple[str, str, int]]:
    return await world.rows(
        "SELECT a.key, l.key, a.version FROM leg_alias a JOIN flight_leg l USING (leg_id) "
        "ORDER BY 1"
    )


async def test_the_old_key_leads_to_the_new_one(world: World) -> None:
    before = await world.rows("SELECT leg_id FROM flight_leg")
    assert await correct(world) == 2
    assert await world.rows("SELECT leg_id FROM flight_leg") == before
    assert await aliases(world) == [(WRONG, RIGHT, 2)]
    for rest in ("", "/history?limit=7"):
        moved = await world.client.get(f"/api/flights/{WRONG}{rest}")
        assert moved.status_code == 308
        assert moved.headers["location"] == f"/api/flights/{RIGHT}{rest}"
        there = await world.client.get(moved.headers["location"])
        assert there.status_code == 200
    (changed, feed) = (await world.rows(
        "SELECT changed, feed FROM change_outbox WHERE kind = 'leg' ORDER BY id"
    ))[-1]  # fmt: skip
    assert changed["key"] == [WRONG, RIGHT]
    assert feed == "operator"
    nobody = WRONG.replace("B69", "B68")
    problem(await world.client.get(f"/api/flights/{nobody}"), 404, "unknown-leg")


async def test_a_follow_by_the_old_key_leads_to_the_new_one(world: World) -> None:
    await correct(world)
    me, old, new = await world.account(), *(f"/api/me/follows/{key}" for key in (WRONG, RIGHT))
    body = {"role": "pick_up"}
    moved = await world.client.put(old, headers=me, json=body)
    assert (moved.status_code, moved.headers["location"]) == (308, new)
    assert await world.rows("SELECT * FROM follow") == []
    done = await world.client.put(old, headers=me, json=body, follow_redirects=True)
    assert (done.status_code, done.json()["leg_key"], done.json()["role"]) == (
        200, RIGHT, "pick_up",
    )  # fmt: skip
    left = await world.client.delete(old, headers=me)
    assert (left.status_code, left.headers["location"]) == (308, new)
    assert len(await world.rows("SELECT * FROM follow")) == 1
    gone = await world.client.delete(old, headers=me, follow_redirects=True)
    assert gone.status_code == 204
    assert await world.rows("SELECT * FROM follow") == []
    problem(await world.client.put(old), 401)


async def test_psql_may_correct_a_key_too(world: World) -> None:
    await world.write("UPDATE flight_leg SET suffix = 'D' WHERE key = :key", key=WRONG)
    right = WRONG.replace("B69", "B69D")
    assert await aliases(world) == [(WRONG, right, 2)]
    await world.write("UPDATE flight_leg SET suffix = '' WHERE key = :key", key=right)
    assert await aliases(world) == [(right, WRONG, 3)]


async def test_a_key_that_is_used_again_is_no_alias(world: World) -> None:
    await correct(world)
    await world.write(
        "INSERT INTO flight_leg (airline, flight_no, origin_date, dep_airport, arr_airport, std) "
        "SELECT airline, flight_no, origin_date, dep_airport, 'MCO', std FROM flight_leg"
    )
    assert await aliases(world) == []
    assert (await world.client.get(f"/api/flights/{WRONG}")).status_code == 200


async def test_a_feed_may_go_on_using_the_old_key(world: World) -> None:
    await correct(world)
    key = PatchKey(airline="B6", number=9, origin_date=DAY, dep="JFK", arr="MCO")
    said = Patch(key=key, source_ts=datetime.now(UTC), set={"dep_gate": "C3"})
    (result,) = await world.ingest.apply("operator", [said])
    assert (result.key, result.outcome, result.version) == (RIGHT, "applied", 3)
    assert await world.rows("SELECT key, dep_gate FROM flight_leg") == [(RIGHT, "C3")]


async def test_follows_stay_with_the_leg(world: World) -> None:
    headers = await world.account()
    await world.client.put(f"/api/me/follows/{WRONG}", headers=headers)
    await correct(world)
    follows = (await world.client.get("/api/me/follows", headers=headers)).json()["items"]
    assert [follow["leg_key"] for follow in follows] == [RIGHT]


async def test_a_key_of_another_leg_or_of_none_is_refused(world: World) -> None:
    other = await world.leg(10)
    with pytest.raises(KeyTaken):
        await correct(world, WRONG, other)
    assert await correct(world, RIGHT, WRONG.replace("B69", "B68")) is None
    assert await aliases(world) == []
