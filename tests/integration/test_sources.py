"""Whose word each shown value is, why it won, and what the others say."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.feed import Patch, PatchKey
from tests.support.rest import DAY, World, at, problem

KEY = f"B69-{DAY}-JFK-MCO"
START = datetime.now(UTC) - timedelta(minutes=2)


class Sources(World):
    """The world with an airport, an airline and a tracker, of falling weight."""

    async def open(self) -> None:
        for code, priority in (("airport", 100), ("airline", 50), ("tracker", 50)):
            party = code
            await self.ingest.register_feed(code, party, priority=priority)
        await self.write(
            "INSERT INTO airport (iata, name, tz) VALUES"
            " ('JFK', 'Kennedy', 'America/New_York'), ('MCO', 'Orlando', 'America/New_York')"
        )
        self._said = 0

    async def say(self, feed: str, *, clear: Any = (), number: int = 9, **values: Any) -> None:
        self._said += 1
        key = PatchKey(airline="B6", number=number, origin_date=DAY, dep="JFK", arr="MCO")
        when = START + timedelta(seconds=self._said)
        patch = Patch(key=key, source_ts=when, set=values, clear=list(clear))
        (result,) = await self.ingest.apply(feed, [patch])
        assert result.outcome != "refused", result

    async def read(self) -> dict[str, Any]:
        answer = await self.client.get(f"/api/flights/{KEY}/sources")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def field(self, name: str) -> dict[str, Any]:
        (found,) = [each for each in (await self.read())["fields"] if each["field"] == name]
        return dict(found)


@pytest.fixture
async def world(dsn: str) -> AsyncIterator[Sources]:
    world = Sources(dsn)
    await world.open()
    await world.say("airport", std=at(1), sta=at(4), dep_gate="B22")
    yield world
    await world.close()


def shown(field: dict[str, Any]) -> tuple[Any, ...]:
    return field["value"], field["feed"], field["why"]


def words(field: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(word["feed"], word["standing"], word.get("value")) for word in field["words"]]


async def test_one_feed_alone(world: Sources) -> None:
    sources = await world.read()
    assert (sources["key"], sources["version"], sources["flags"]) == (KEY, 1, [])
    (feed,) = sources["feeds"]
    assert (feed["code"], feed["party"], feed["priority"]) == ("airport", "airport", 100)
    gate = await world.field("dep_gate")
    assert shown(gate) == ("B22", "airport", "only")
    assert (
        gate["words"][0]["source_ts"]
        == feed["as_of"].replace("Z", "") + (gate["words"][0]["source_ts"][19:])
    )
    assert shown(await world.field("phase")) == ("scheduled", None, "evidence")


async def test_authority_then_fall_back_and_what_others_say(world: Sources) -> None:
    await world.say("airline", dep_gate="C3", etd=at(2))
    await world.say("tracker", dep_gate="B22", etd=at(3))
    gate = await world.field("dep_gate")
    assert shown(gate) == ("B22", "airport", "authority")
    assert words(gate) == [
        ("airport", "shown", "B22"), ("tracker", "agrees", "B22"), ("airline", "differs", "C3"),
    ]  # fmt: skip
    assert shown(await world.field("etd")) == (at(3), "tracker", "newest")
    await world.say("airport", clear=["dep_gate"])
    gate = await world.field("dep_gate")
    assert shown(gate) == ("B22", "tracker", "fallback")
    assert ("airport", "cleared", None) in words(gate)
    flagged = {(flag["code"], *flag["fields"]) for flag in (await world.read())["flags"]}
    assert flagged == {("contradiction", "dep_gate"), ("contradiction", "etd")}


async def test_an_estimate_of_a_silent_feed_yields(world: Sources) -> None:
    await world.say("airport", etd=at(2))
    await world.write("UPDATE feed SET silent = true WHERE code = 'airport'")
    await world.say("airline", etd=at(3), dep_gate="C3")
    estimate = await world.field("etd")
    assert shown(estimate) == (at(3), "airline", "fallback")
    assert estimate["words"][1]["silent"] is True
    assert shown(await world.field("dep_gate")) == ("B22", "airport", "authority")


async def test_what_was_written_by_hand_is_nobody_s_word(world: Sources) -> None:
    await world.write("UPDATE flight_leg SET dep_gate = 'Z9'")
    gate = await world.field("dep_gate")
    assert shown(gate) == ("Z9", None, "hand")
    assert words(gate) == [("airport", "shown", "B22")]


async def test_a_phase_names_its_proof_and_a_feed_that_is_off_has_no_say(world: Sources) -> None:
    await world.say("airline", boarding_at=at(-0.1), dep_gate="C3")
    phase = await world.field("phase")
    assert (shown(phase), phase["proof"]) == (("boarding", "airline", "evidence"), "boarding_at")
    await world.write("UPDATE feed SET enabled = false WHERE code = 'airline'")
    assert words(await world.field("dep_gate")) == [
        ("airport", "shown", "B22"), ("airline", "switched_off", "C3"),
    ]  # fmt: skip


async def test_doubtful_legs_are_flagged(world: Sources) -> None:
    await world.say("airport", std=at(1), sta=at(1), atd=at(-1), atot=at(-2))
    flagged = {flag["code"]: flag["fields"] for flag in (await world.read())["flags"]}
    assert flagged == {"block_time": ["std", "sta"], "disorder": ["atd", "atot"]}
    await world.write("UPDATE airport SET placeholder = true WHERE iata = 'MCO'")
    await world.write("UPDATE flight_leg SET uncertain = true")
    flagged = {flag["code"]: flag["fields"] for flag in (await world.read())["flags"]}
    assert flagged.keys() == {"block_time", "disorder", "placeholder", "uncertain"}


async def test_nothing_but_public_values_and_no_leg_that_is_not(world: Sources) -> None:
    await world.say("airport", registration="N123", dep_stand="12")
    names = {field["field"] for field in (await world.read())["fields"]}
    assert not names & {"registration", "dep_stand"}
    nobody = await world.client.get(f"/api/flights/{KEY.replace('B69', 'B68')}/sources")
    problem(nobody, 404, "unknown-leg")
    problem(await world.client.get("/api/flights/what/sources"), 400, "bad-leg-key")
    etag = (await world.client.get(f"/api/flights/{KEY}/sources")).headers["etag"]
    again = await world.client.get(f"/api/flights/{KEY}/sources", headers={"If-None-Match": etag})
    assert again.status_code == 304
