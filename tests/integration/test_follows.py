"""Follows over a real PostgreSQL: whose, of which leg, and how many."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec

from api.feed import CodeShare, Patch, PatchKey
from realtime.follower import Told
from tests.support.rest import DAY, World, at, problem


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


async def shared_leg(world: World, days: int = 0) -> str:
    """B6 9 of so many days from today, which Aer Lingus sells as EI 5009."""
    origin = DAY + timedelta(days=days)
    key = PatchKey(airline="B6", number=9, origin_date=origin, dep="JFK", arr="MCO")
    departs = 24 * days + 1
    said_of = {"std": at(departs), "sta": at(departs + 3), "etd": at(departs + 1)}
    said = Patch(
        key=key, source_ts=datetime.now(UTC), set={**said_of, "dep_gate": "B22"},
        codeshares=[CodeShare(airline="EI", number=5009)],
    )  # fmt: skip
    (result,) = await world.ingest.apply("operator", [said])
    assert result.outcome == "applied", result
    return result.key


async def test_a_leg_is_followed_in_a_role_and_by_a_number_that_it_has(world: World) -> None:
    me, key = await world.account(), await shared_leg(world)
    url = f"/api/me/follows/{key}"
    made = await world.client.put(url, headers=me, json={"role": "pick_up", "number": "ei 5009"})
    assert (made.json()["role"], made.json()["number"]) == ("pick_up", "EI5009")
    assert "landed" in made.json()["kinds"]
    assert (await world.client.put(url, headers=me)).json() == made.json()
    listed = (await world.client.get("/api/me/follows", headers=me)).json()["items"]
    assert listed == [made.json()]
    refused = await world.client.put(url, headers=me, json={"number": "LH400"})
    assert problem(refused, 422, "bad-body")["errors"][0]["pointer"] == "/number"
    wrong: list[dict[str, object]] = [{"number": "nine"}, {"role": "pilot"}, {"told": {}}]
    for body in wrong:
        problem(await world.client.put(url, headers=me, json=body), 422, "bad-body")
    assert (await world.client.put(url, headers=me)).json() == made.json()
    own = await world.client.put(url, headers=me, json={"number": "B6 009"})
    assert (own.json()["role"], own.json()["number"]) == ("passenger", "B69")
    assert await world.rows("SELECT number FROM follow") == [("",)]


async def test_who_begins_to_follow_knows_the_leg_as_it_is(world: World) -> None:
    me, key = await world.account(), await shared_leg(world)
    await world.client.put(f"/api/me/follows/{key}", headers=me)
    ((kept,),) = await world.rows("SELECT told FROM follow")
    told = msgspec.convert(kept, Told)
    assert told.etd is not None
    assert told.etd.strftime("%Y-%m-%dT%H:%M:%SZ") == at(2)
    assert (told.dep_gate, told.phase) == ("B22", "scheduled")
    await world.write("UPDATE flight_leg SET dep_gate = 'C3'")
    await world.client.put(f"/api/me/follows/{key}", headers=me, json={"role": "pick_up"})
    assert await world.rows("SELECT told FROM follow") == [(kept,)]


async def test_a_flight_is_followed_by_its_number_when_that_means_one_leg(world: World) -> None:
    me, today, tomorrow = await world.account(), await shared_leg(world), await shared_leg(world, 1)
    url = "/api/me/follows"
    several = await world.client.post(url, headers=me, json={"q": "EI5009"})
    details = problem(several, 409, "ambiguous-flight")
    assert [fault["detail"] for fault in details["errors"]] == [today, tomorrow]
    date = str(DAY + timedelta(days=1))
    made = await world.client.post(url, headers=me, json={"q": "EI5009", "date": date})
    assert made.status_code == 200
    assert (made.json()["leg_key"], made.json()["number"]) == (tomorrow, "EI5009")
    none = await world.client.post(url, headers=me, json={"q": "EI5009", "date": "2001-01-01"})
    problem(none, 404, "unknown-flight")
    wrong = await world.client.post(url, headers=me, json={"q": "nine"})
    assert problem(wrong, 422, "bad-body")["errors"][0]["pointer"] == "/q"
    assert await world.rows("SELECT count(*) FROM follow") == [(1,)]
