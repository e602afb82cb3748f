"""Feeds over HTTP: keys, bulk, repeats, and what is refused."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from api.database import open_sessions
from api.keys import KeyRefused, create_key, list_keys, revoke_key
from tests.support.rest import DAY, World, at, problem

URL = "/api/feeds/aodb/legs"


class Feeds(World):
    """The world with two feeds and the key of one."""

    async def open(self) -> None:
        for code in ("aodb", "airline"):
            await self.ingest.register_feed(code, "airport")
        async with open_sessions(self.engine).begin() as session:
            self.key = await create_key(session, "aodb")

    async def post(self, body: Any, url: str = URL, key: str | None = None) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {key or self.key}"}
        return await self.client.post(url, json=body, headers=headers)

    async def results(self, *legs: Any, **body: Any) -> list[dict[str, Any]]:
        answer = await self.post({"legs": legs, **body})
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["results"]
        return found


@pytest.fixture
async def world(dsn: str) -> AsyncIterator[Feeds]:
    world = Feeds(dsn)
    await world.open()
    yield world
    await world.close()


def leg(number: int = 9, **values: Any) -> dict[str, Any]:
    key = {"airline": "B6", "number": number, "origin_date": str(DAY), "dep": "JFK", "arr": "MCO"}
    said = datetime.now(UTC).isoformat()
    return {"key": key, "source_ts": said, "set": {"std": at(1), "sta": at(3), **values}}


async def test_each_leg_gets_its_result(world: Feeds) -> None:
    good, bad = leg(9, dep_gate="B22"), leg(10, dep_gate="much too long for a gate")
    results = await world.results(good, bad, {"key": 7}, leg(11))
    assert [result["outcome"] for result in results] == ["applied", "refused", "refused", "applied"]
    assert results[0]["version"] == 1
    assert (results[1]["code"], results[1]["field"]) == ("bad_value", "dep_gate")
    assert results[2]["code"] == "bad_leg"
    rows = await world.rows("SELECT flight_no, dep_gate FROM flight_leg ORDER BY flight_no")
    assert rows == [(9, "B22"), (11, None)]
    assert await world.rows("SELECT DISTINCT feed FROM change_outbox WHERE kind = 'leg'") == [
        ("aodb",)
    ]


async def test_what_cannot_be_is_refused_with_its_field_and_neighbours_stay(world: Feeds) -> None:
    timeless = {**leg(4), "set": {"dep_gate": "B22"}}
    unknown = leg(5)
    unknown["key"]["arr"] = "QQZ"
    bad_airport = leg(6)
    bad_airport["key"]["arr"] = "qq"
    results = await world.results(
        leg(1, etd="2026-02-30T10:00:00Z"), leg(2, etd="2066-01-01T10:00:00Z"),
        leg(3, atd=at(1)), timeless, unknown, bad_airport, leg(7),
    )  # fmt: skip
    assert [(r["outcome"], r.get("code"), r.get("field")) for r in results] == [
        ("refused", "bad_value", "etd"),
        ("refused", "implausible_time", "etd"),
        ("refused", "implausible_time", "atd"),
        ("refused", "no_schedule", "std"),
        ("applied", None, None),
        ("refused", "bad_key", "key"),
        ("applied", None, None),
    ]
    assert all(result["text"] for result in results if result["outcome"] == "refused")
    assert await world.rows("SELECT flight_no FROM flight_leg ORDER BY 1") == [(5,), (7,)]
    assert await world.rows("SELECT placeholder FROM airport WHERE iata = 'QQZ'") == [(True,)]


async def test_a_leg_can_be_hidden_and_others_stay(world: Feeds) -> None:
    await world.results(leg(9), leg(10))
    await world.results({**leg(9), "action": "hide"})
    rows = await world.rows("SELECT flight_no, hidden, irregularity FROM flight_leg ORDER BY 1")
    assert rows == [(9, True, "none"), (10, False, "none")]


async def test_a_refresh_of_unchanged_legs_publishes_nothing(world: Feeds) -> None:
    legs = [leg(number, dep_gate="B22") for number in range(1, 1001)]
    assert {r["outcome"] for r in await world.results(*legs)} == {"applied"}
    count = "SELECT (SELECT count(*) FROM change_outbox), (SELECT count(*) FROM leg_change)"
    before = await world.rows(count)
    again = [leg(number, dep_gate="B22") for number in range(1, 1001)]
    assert {r["outcome"] for r in await world.results(*again)} == {"unchanged"}
    assert await world.rows(count) == before
    assert before[0][1] == 1000


async def test_a_repeat_is_answered_as_the_first_time(world: Feeds) -> None:
    body = {"message_id": "m-1", "legs": [leg(9, dep_gate="B22")]}
    first = await world.post(body)
    second = await world.post(body)
    assert first.json()["results"][0]["outcome"] == "applied"
    assert second.content == first.content
    third = await world.post({**body, "message_id": "m-2"})
    assert third.json()["results"][0]["outcome"] == "unchanged"
    at_once = await asyncio.gather(
        *(world.post({"message_id": "m-3", "legs": [leg(9, dep_gate="C3")]}) for _ in range(4))
    )
    assert len({answer.content for answer in at_once}) == 1
    rows = await world.rows("SELECT message_key, outcome FROM feed_message ORDER BY 1")
    assert rows == [("m-1", "taken"), ("m-2", "taken"), ("m-3", "taken")]


async def test_a_heartbeat_keeps_the_feed_alive(world: Feeds) -> None:
    seen = "SELECT last_seen_at IS NOT NULL FROM feed WHERE code = 'aodb'"
    assert await world.rows(seen) == [(False,)]
    assert await world.results(heartbeat=True) == []
    assert await world.rows(seen) == [(True,)]


async def test_a_key_opens_its_own_feed_until_it_is_revoked(world: Feeds) -> None:
    body: dict[str, Any] = {"heartbeat": True}
    problem(await world.post(body, "/api/feeds/airline/legs"), 403, "other-feed")
    problem(await world.post(body, "/api/feeds/nobody/legs"), 404, "unknown-feed")
    stranger = f"{world.key[:-1]}{'A' if world.key[-1] != 'A' else 'B'}"
    account = (await world.account())["Authorization"].removeprefix("Bearer ")
    for key in (stranger, "gck_", "gck__x", "gck_000000000000_x", "x", account):
        refused = await world.post(body, key=key)
        problem(refused, 401)
        assert refused.headers["www-authenticate"].startswith("Bearer")
    problem(await world.client.post(URL, json=body), 401)
    sessions = open_sessions(world.engine)
    async with sessions.begin() as session:
        (key_view,) = await list_keys(session)
        second = await create_key(session, "aodb")
        await revoke_key(session, key_view.key_id)
    problem(await world.post(body), 401)
    assert (await world.post(body, key=second)).status_code == 200
    async with sessions.begin() as session:
        with pytest.raises(KeyRefused):
            await revoke_key(session, "nothing")
        with pytest.raises(KeyRefused):
            await create_key(session, "nobody")
    stored = str(await world.rows("SELECT * FROM api_key"))
    assert second.rpartition("_")[2] not in stored


async def test_a_feed_that_is_switched_off_is_unknown(world: Feeds) -> None:
    await world.write("UPDATE feed SET enabled = false WHERE code = 'aodb'")
    for body in ({"heartbeat": True}, {"legs": [leg()]}):
        problem(await world.post(body), 404, "unknown-feed")


async def test_a_body_that_cannot_be_is_refused(world: Feeds) -> None:
    bodies: list[dict[str, Any]] = [
        {"legs": 7}, {"leg": []}, {"message_id": ""}, {"message_id": "a b"},
    ]  # fmt: skip
    for body in bodies:
        problem(await world.post(body), 422, "bad-body")
    problem(await world.post({"feed": "airline"}), 422, "other-feed")
    headers = {"Authorization": f"Bearer {world.key}", "Content-Type": "application/json"}
    broken = await world.client.post(URL, content=b"{", headers=headers)
    problem(broken, 400, "bad-json")
    large = b'{"legs": [' + b" " * (5 * 1024 * 1024) + b"]}"
    problem(await world.client.post(URL, content=large, headers=headers), 413)
    fits = b'{"legs": [' + b" " * (4 * 1024 * 1024) + b"]}"
    assert (await world.client.post(URL, content=fits, headers=headers)).status_code == 200
    text = await world.client.post(
        URL, content=b"{}", headers={**headers, "Content-Type": "text/plain"}
    )
    problem(text, 415)
