"""Follows over a real PostgreSQL: whose, of which leg, and how many."""

import asyncio

from tests.support.rest import World, problem


async def test_legs_are_followed_listed_and_left(world: World) -> None:
    first, second = await world.leg(1), await world.leg(2)
    me, other = await world.account(), await world.account()
    made = await world.client.put(f"/api/me/follows/{first}", headers=me)
    assert made.status_code == 200
    assert made.json()["leg_key"] == first
    again = await world.client.put(f"/api/me/follows/{first}", headers=me)
    assert again.json() == made.json()
    await world.client.put(f"/api/me/follows/{second}", headers=me)
    listed = (await world.client.get("/api/me/follows", headers=me)).json()
    assert [item["leg_key"] for item in listed["items"]] == [second, first]
    assert (await world.client.get("/api/me/follows", headers=other)).json() == {"items": []}
    await world.client.delete(f"/api/me/follows/{first}", headers=other)
    for _ in range(2):
        gone = await world.client.delete(f"/api/me/follows/{first}", headers=me)
        assert (gone.status_code, gone.content) == (204, b"")
    listed = (await world.client.get("/api/me/follows", headers=me)).json()
    assert [item["leg_key"] for item in listed["items"]] == [second]


async def test_only_a_known_leg_can_be_followed(world: World) -> None:
    me = await world.account()
    unknown = "/api/me/follows/B69-2013-03-08-JFK-MCO"
    problem(await world.client.put(unknown, headers=me), 404, "unknown-leg")
    problem(await world.client.put("/api/me/follows/B69", headers=me), 400, "bad-leg-key")
    problem(await world.client.delete("/api/me/follows/B69", headers=me), 400, "bad-leg-key")
    assert (await world.client.delete(unknown, headers=me)).status_code == 204


async def test_an_account_follows_at_most_200_legs_also_at_once(world: World) -> None:
    me = await world.account()
    made = [await world.leg(number) for number in range(1, 6)]
    await world.write(
        "INSERT INTO flight_leg (airline, flight_no, origin_date, dep_airport, arr_airport, std)"
        " SELECT 'ZZ', n, '2026-03-01', 'JFK', 'MCO', wall_now() FROM generate_series(1, 198) n"
    )
    await world.write(
        "INSERT INTO follow SELECT account_id, leg_id FROM account, flight_leg WHERE airline = 'ZZ'"
    )
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(world.client.put(f"/api/me/follows/{key}", headers=me))
            for key in made
        ]
    statuses = sorted(task.result().status_code for task in tasks)
    assert statuses == [200, 200, 409, 409, 409]
    refused = next(task.result() for task in tasks if task.result().status_code == 409)
    problem(refused, 409, "too-many-follows")
    ((count,),) = await world.rows("SELECT count(*) FROM follow")
    assert count == 200
