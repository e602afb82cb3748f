"""Receipts, deliveries and changes of an account over HTTP."""

import asyncpg
import pytest

from realtime.change_log import ChangeLog
from realtime.database import QUERIES
from tests.support.rest import World, problem

Pool = asyncpg.Pool
EVERYTHING = "SELECT (SELECT count(*) FROM receipt), (SELECT array_agg(state) FROM delivery)"


async def deliver(world: World, credential: dict[str, str], versions: int) -> None:
    """Pending deliveries of the only leg for this account, one for each version."""
    await world.write(
        "INSERT INTO delivery (account_id, leg_id, version, seq, kinds, urgent, expires_at, due_at,"
        " state) SELECT CAST(:me AS uuid), leg_id, n, n + 10, '{gate_changed}', false,"
        " board_now() + interval '1 hour', wall_now(), 'pending'"
        " FROM flight_leg, generate_series(1, CAST(:n AS integer)) n",
        me=credential["Authorization"].split("_")[1],
        n=versions,
    )


async def epoch_of(world: World) -> str:
    ((epoch,),) = await world.rows("SELECT epoch::text FROM relay_state")
    return str(epoch)


async def test_a_receipt_settles_only_what_is_of_the_account(world: World) -> None:
    me, other, key = await world.account(), await world.account(), await world.leg(1)
    for who in (me, other):
        await world.client.put(f"/api/me/follows/{key}", headers=who)
        await deliver(world, who, 1)
    body = {"epoch": await epoch_of(world), "legs": {key: 1}}
    answer = await world.client.post("/api/me/receipts", headers=me, json=body)
    assert answer.json() == {"settled": 1}
    states = {}
    for name, who in (("me", me), ("other", other)):
        listed = (await world.client.get("/api/me/deliveries", headers=who)).json()
        states[name] = [(item["state"], item["reason"]) for item in listed["items"]]
    assert states == {"me": [("seen", "receipt")], "other": [("pending", None)]}


@pytest.mark.parametrize("case", ["epoch", "future", "zero", "unknown", "none", "many", "shape"])
async def test_a_refused_receipt_changes_nothing(world: World, case: str) -> None:
    me, key = await world.account(), await world.leg(1)
    await deliver(world, me, 1)
    before, epoch = await world.rows(EVERYTHING), await epoch_of(world)
    body, status, slug = {
        "epoch": ({"epoch": "other", "legs": {key: 1}}, 409, "position-lost"),
        "future": ({"epoch": epoch, "legs": {key: 2}}, 422, "bad-receipt"),
        "zero": ({"epoch": epoch, "legs": {key: 0}}, 422, "bad-receipt"),
        "unknown": ({"epoch": epoch, "legs": {key: 1, "B67-2013-03-08-JFK-MCO": 1}}, 422,
                    "bad-receipt"),
        "none": ({"epoch": epoch, "legs": {}}, 422, "bad-receipt"),
        "many": ({"epoch": epoch, "legs": {str(n): 1 for n in range(201)}}, 422, "bad-body"),
        "shape": ({"epoch": epoch, "legs": [key]}, 422, "bad-body"),
    }[case]  # fmt: skip
    answer = await world.client.post("/api/me/receipts", headers=me, json=body)
    problem(answer, status, slug)
    assert await world.rows(EVERYTHING) == before


async def test_a_receipt_that_an_enqueue_keeps_waiting_is_to_come_again(
    world: World, pool: "Pool[asyncpg.Record]"
) -> None:
    me, key = await world.account(), await world.leg(1)
    await deliver(world, me, 1)
    body = {"epoch": await epoch_of(world), "legs": {key: 1}}
    async with pool.acquire() as notifier, notifier.transaction():
        await notifier.execute(QUERIES["lock_receipts"])
        refused = await world.client.post("/api/me/receipts", headers=me, json=body)
    details = problem(refused, 503, "database-away")
    assert int(refused.headers["retry-after"]) >= 1
    assert "again" in details["detail"]
    again = await world.client.post("/api/me/receipts", headers=me, json=body)
    assert again.json() == {"settled": 1}


async def test_a_page_never_parts_what_one_row_of_the_log_called_for(world: World) -> None:
    me, _ = await world.account(), await world.leg(1)
    await deliver(world, me, 3)
    await world.write(
        "INSERT INTO delivery (account_id, leg_id, version, seq, kinds, urgent, expires_at, due_at,"
        " state) SELECT account_id, leg_id, -seq, seq, '{check_in_closing}', urgent, expires_at,"
        " due_at, state FROM delivery WHERE version = 2"
    )
    pages, after = [], ""
    while True:
        answer = await world.client.get(f"/api/me/deliveries?limit=2{after}", headers=me)
        page = answer.json()
        pages.append(sorted(item["version"] for item in page["items"]))
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert pages == [[-12, 2, 3], [1]]


async def test_deliveries_are_paged_from_the_newest(world: World) -> None:
    me, other, key = await world.account(), await world.account(), await world.leg(1)
    await deliver(world, me, 5)
    await deliver(world, other, 2)
    versions, after = [], ""
    while True:
        answer = await world.client.get(f"/api/me/deliveries?limit=2{after}", headers=me)
        page = answer.json()
        versions += [item["version"] for item in page["items"]]
        assert {item["leg_key"] for item in page["items"]} == {key}
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert versions == [5, 4, 3, 2, 1]
    wrong = await world.client.get("/api/me/deliveries?limit=0", headers=me)
    problem(wrong, 400, "bad-query")


async def test_changes_of_followed_legs_since_a_position(
    world: World, pool: "Pool[asyncpg.Record]"
) -> None:
    me, mine, other = await world.account(), await world.leg(1), await world.leg(2)
    log = ChangeLog(pool)
    await log.sequence()
    await world.client.put(f"/api/me/follows/{mine}", headers=me)
    url = "/api/me/changes"
    start = (await world.client.get(url, headers=me)).json()
    assert start["items"] == []
    for gate in ("B1", "B2", "B3"):
        for key in (mine, other):
            await world.write("UPDATE flight_leg SET dep_gate = :g WHERE key = :k", g=gate, k=key)
    await log.sequence()
    found, position = [], start["position"]
    while True:
        parameters: dict[str, str | int] = {"after": position, "limit": 2}
        page = (await world.client.get(url, headers=me, params=parameters)).json()
        found += [(item["leg_key"], item["changed"]["dep_gate"][1]) for item in page["items"]]
        position = page["position"]
        if not page["more"]:
            break
    assert found == [(mine, "B1"), (mine, "B2"), (mine, "B3")]
    epoch, _, seq = position.partition(":")
    for lost in (f"{epoch}:{int(seq) + 1}", f"00000000-0000-0000-0000-000000000000:{seq}"):
        problem(
            await world.client.get(url, headers=me, params={"after": lost}), 409, "position-lost"
        )
    for wrong in ("x", f"{epoch}:", f"{epoch}:-1", f"x:{seq}"):
        problem(await world.client.get(url, headers=me, params={"after": wrong}), 400, "bad-query")
    await world.write("DELETE FROM change_log WHERE seq <= :seq", seq=int(seq) - 1)
    cut = await world.client.get(url, headers=me, params={"after": start["position"]})
    problem(cut, 409, "position-lost")
