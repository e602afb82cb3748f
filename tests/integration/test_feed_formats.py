"""Bodies in the formats of airports over HTTP: legs on the board, and what the sender is told."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import msgspec
import pytest

from api.database import open_sessions
from api.keys import create_key
from tests.support.operator import Operator
from tests.support.rest import DAY, World, at, problem

CSV = "flight,origin_date,dep,arr,std,sta,dep_gate\n"


class Formats(Operator):
    """A shell and REST, with a feed and its key."""

    async def open(self) -> None:
        await self.ingest.register_feed("aodb", "airport")
        async with open_sessions(self.engine).begin() as session:
            self.key = await create_key(session, "aodb")

    async def post(self, format: str, body: str | bytes, **query: str) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.key}"}
        url = f"/api/feeds/aodb/{format}"
        return await self.client.post(url, content=body, params=query, headers=headers)

    async def taken(self, format: str, body: str | bytes, **query: str) -> dict[str, Any]:
        answer = await self.post(format, body, **query)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
async def world(dsn: str) -> AsyncIterator[Formats]:
    world = Formats(dsn)
    await world.open()
    yield world
    await world.close()


def row(number: int, gate: str = "B22", hours: float = 1) -> str:
    return f"B6{number},{DAY},JFK,MCO,{at(hours)},{at(hours + 3)},{gate}\n"


async def outcomes(world: World) -> list[Any]:
    return await world.rows("SELECT flight_no, dep_gate FROM flight_leg ORDER BY 1")


async def test_a_file_of_legs_with_a_faulty_one(world: Formats) -> None:
    answer = await world.taken("csv", CSV + row(9) + row(10, "=1+1") + row(11, "x" * 20))
    assert [(each["key"], each["outcome"]) for each in answer["results"]] == [
        (f"B69-{DAY}-JFK-MCO", "applied"), (f"B611-{DAY}-JFK-MCO", "refused"),
    ]  # fmt: skip
    assert answer["records"] == [0, 2]
    assert [(each["record"], each["code"]) for each in answer["complaints"]] == [(1, "formula")]
    assert await outcomes(world) == [(9, "B22")]
    again = await world.taken("any", CSV + row(9))
    assert [each["outcome"] for each in again["results"]] == ["unchanged"]


async def test_a_repeated_message_is_answered_as_the_first_time(world: Formats) -> None:
    first = await world.post("csv", CSV + row(9), message_id="m-1")
    assert first.json()["results"][0]["outcome"] == "applied"
    assert (await world.post("csv", CSV + row(9, "C3"), message_id="m-1")).content == first.content
    assert await outcomes(world) == [(9, "B22")]


async def test_a_movement_finds_its_leg_and_changes_no_other(world: Formats) -> None:
    await world.taken("csv", CSV + row(9, hours=-2) + row(10, hours=-2))
    left = datetime.now(UTC) - timedelta(minutes=50)
    mvt = f".JFKOOB6 {left:%d%H%M}\nMVT\nB69/{left:%d}.N123JB.JFK\nAD{left:%H%M}\n"
    (result,) = (await world.taken("any", mvt))["results"]
    assert (result["key"], result["outcome"]) == (f"B69-{DAY}-JFK-MCO", "applied")
    rows = "SELECT flight_no, atd IS NOT NULL, phase FROM flight_leg ORDER BY 1"
    assert await world.rows(rows) == [(9, True, "off_block"), (10, False, "scheduled")]
    repeated = await world.taken("typeb", mvt)
    assert repeated["results"] == [result]
    lost = await world.taken("typeb", mvt.replace("B69/", "B699/"))
    assert (lost["results"], lost["complaints"][0]["code"]) == ([], "unknown_leg")


async def test_a_webhook_may_send_the_key_as_a_password(world: Formats) -> None:
    url, body = "/api/feeds/aodb/csv", CSV + row(9)
    answer = await world.client.post(url, content=body, auth=("aodb", world.key))
    assert answer.status_code == 200, answer.text
    problem(await world.client.post(url, content=body, auth=("aodb", "wrong")), 401)
    for words in ("Basic", "Basic ???", "Basic w7w=", "Digest x"):
        refused = await world.client.post(url, content=body, headers={"Authorization": words})
        problem(refused, 401)


async def test_what_cannot_be_read_is_refused_with_what_to_do(world: Formats) -> None:
    assert "flight" in problem(await world.post("csv", b"hello,you\n"), 422, "bad-body")["detail"]
    assert "csv" in problem(await world.post("any", b"\x00\x01"), 422, "bad-body")["detail"]
    assert "csv" in problem(await world.post("excel", CSV), 422, "bad-body")["detail"]
    problem(await world.post("csv", CSV, times="soon"), 400, "bad-query")
    problem(await world.post("csv", CSV, what="ever"), 400, "bad-query")
    problem(await world.post("csv", b"x" * (5 * 1024 * 1024 + 1)), 413)
    problem(await world.client.post("/api/feeds/aodb/csv", content=CSV), 401)
    assert await outcomes(world) == []


async def test_the_state_of_a_feed_tells_what_was_wrong(world: Formats) -> None:
    await world.taken("csv", CSV.replace("dep_gate", "Crew") + row(9))
    await world.taken("csv", CSV + row(9) + row(10, "much too long for a gate"))
    await world.post("csv", b"hello,you\n")
    (state,) = [
        each
        for each in msgspec.json.decode((await world.run("feed", "status", "--json")).stdout)
        if each["code"] == "aodb"
    ]
    assert (state["legs_taken"], state["legs_refused"]) == (2, 2)
    assert state["unknown"] == {"column Crew": 1}
    assert state["last_complaint"].startswith("bad_body: columns are missing")
    assert 0 <= state["lag"] < 60
    text = (await world.run("feed", "status")).stdout
    assert "words on legs taken 2, refused 2" in text
    assert "  1 unknown: column Crew (1)\n" in text


async def test_unknown_words_are_counted_up_to_a_bound(world: Formats) -> None:
    for n in range(4):
        more = ",".join(f"Extra {n} {column}" for column in range(90))
        await world.taken("csv", f"{CSV.strip()},{more}\n{row(9)}")
    ((count,),) = await world.rows("SELECT count(*) FROM feed_unknown")
    assert 200 <= count <= 300


async def test_an_export_is_read_again_as_it_is(world: Formats) -> None:
    await world.taken("csv", CSV + row(9) + row(10, hours=30) + row(11))
    await world.write("UPDATE flight_leg SET hidden = flight_no = 11, public_remark = '=1+1'")
    answer = await world.client.get("/api/airports/JFK/legs.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    lines = answer.text.splitlines()
    assert [line.partition(",")[0] for line in lines] == ["key", f"B69-{DAY}-JFK-MCO"]
    assert ",'=1+1," in lines[1]
    states = "SELECT version, public_state(l)::text FROM flight_leg l ORDER BY key"
    before = await world.rows(states)
    results = (await world.taken("csv", answer.text.replace("'=1+1", "")))["results"]
    assert [each["version"] for each in results] == [2]
    assert await world.rows(states) == before
    later = await world.client.get("/api/airports/MCO/legs.csv", params={"to": at(40)})
    assert len(later.text.splitlines()) == 3
    problem(await world.client.get("/api/airports/jfk/legs.csv"), 400, "bad-airport")
    problem(await world.client.get("/api/airports/QQQ/legs.csv"), 404, "unknown-airport")
    wrong = await world.client.get("/api/airports/JFK/legs.csv", params={"to": at(-9)})
    problem(wrong, 400, "bad-query")
