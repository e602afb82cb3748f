"""Whatever a feed calls a leg, it meets the other feeds in one row."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.feed import CodeShare, Patch, PatchKey
from api.ingest import Result
from tests.support.rest import World

# Tomorrow at 00:40 UTC it is still today in New York.
MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
LOCAL_DAY = MIDNIGHT.date() - timedelta(days=1)
STD, STA = MIDNIGHT + timedelta(minutes=40), MIDNIGHT + timedelta(hours=3, minutes=40)


@pytest.fixture
async def world(dsn: str) -> AsyncIterator[World]:
    world = World(dsn)
    for feed in ("departures", "arrivals"):
        await world.ingest.register_feed(feed, "airport")
    await world.write(
        "INSERT INTO airport (iata, icao, name, tz, lat, lon) VALUES"
        " ('JFK', 'KJFK', 'Kennedy', 'America/New_York', 40.6397, -73.7789),"
        " ('MCO', 'KMCO', 'Orlando', 'America/New_York', 28.4294, -81.3090)"
    )
    await world.write(
        "INSERT INTO airline VALUES ('B6', 'JBU', 'JetBlue'), ('EI', 'EIN', 'Aer Lingus')"
    )
    yield world
    await world.close()


def iso(at: datetime) -> str:
    return at.isoformat()


async def say(world: World, feed: str, key: dict[str, Any], **values: Any) -> Result:
    named = PatchKey(**{"airline": "B6", "number": 9, "dep": "JFK", "arr": "MCO", **key})
    shares = values.pop("codeshares", None)
    patch = Patch(key=named, source_ts=datetime.now(UTC), set=values, codeshares=shares)
    (result,) = await world.ingest.apply(feed, [patch])
    return result


async def keys(world: World) -> list[Any]:
    return [key for (key,) in await world.rows("SELECT key FROM flight_leg ORDER BY 1")]


ICAO = {"airline": "JBU", "dep": "KJFK", "arr": "KMCO"}


async def test_icao_codes_are_the_same_leg(world: World) -> None:
    await say(world, "departures", {"origin_date": LOCAL_DAY}, std=iso(STD))
    shares = [CodeShare(airline="EIN", number=5009), CodeShare(airline="JBU", number=9)]
    result = await say(
        world, "arrivals", {**ICAO, "origin_date": LOCAL_DAY}, sta=iso(STA), codeshares=shares,
        irregularity="diverted", divert_airport="KJFK",
    )  # fmt: skip
    assert result.key == f"B69-{LOCAL_DAY}-JFK-MCO"
    rows = await world.rows("SELECT key, std IS NULL, codeshares, divert_airport FROM flight_leg")
    assert rows == [(result.key, False, [{"airline": "EI", "number": 5009}], "JFK")]


async def test_a_carrier_without_iata_code_keeps_its_three_letters(world: World) -> None:
    key = {"airline": "QQX", "origin_date": LOCAL_DAY}
    assert (await say(world, "arrivals", key, sta=iso(STA))).key == f"QQX9-{LOCAL_DAY}-JFK-MCO"
    refused = await say(world, "arrivals", {"dep": "QQQQ", "origin_date": LOCAL_DAY}, sta=iso(STA))
    assert (refused.outcome, refused.code) == ("refused", "bad_key")


@pytest.mark.parametrize("first", ["arrivals", "departures"])
async def test_an_arrival_without_a_date_meets_its_departure(world: World, first: str) -> None:
    for feed in sorted(("arrivals", "departures"), reverse=first == "departures"):
        if feed == "arrivals":
            await say(world, feed, {}, sta=iso(STA), belts=["3"])
        else:
            await say(world, feed, {"origin_date": LOCAL_DAY}, std=iso(STD))
    assert await keys(world) == [f"B69-{LOCAL_DAY}-JFK-MCO"]
    late = STA + timedelta(hours=2)
    result = await say(world, "arrivals", {}, eta=iso(late))
    assert (result.key, result.outcome) == (f"B69-{LOCAL_DAY}-JFK-MCO", "applied")


async def test_a_guessed_date_is_corrected_in_place(world: World) -> None:
    right = LOCAL_DAY + timedelta(days=1)
    await say(world, "arrivals", {}, sta=iso(STA), belts=["3"])
    before = await world.rows("SELECT leg_id FROM flight_leg")
    result = await say(world, "departures", {"origin_date": right}, std=iso(STD), sta=iso(STA))
    assert (result.key, result.outcome) == (f"B69-{right}-JFK-MCO", "applied")
    assert await world.rows("SELECT leg_id FROM flight_leg") == before
    assert await world.rows("SELECT key FROM leg_alias") == [(f"B69-{LOCAL_DAY}-JFK-MCO",)]
    assert (await say(world, "arrivals", {}, sta=iso(STA), belts=["4"])).key == result.key
    assert await world.rows("SELECT belts FROM flight_leg") == [(["4"],)]


async def test_two_given_dates_are_two_legs(world: World) -> None:
    for day in (LOCAL_DAY, LOCAL_DAY + timedelta(days=1)):
        await say(world, "departures", {"origin_date": day}, std=iso(STD), sta=iso(STA))
    assert len(await keys(world)) == 2


async def test_the_flight_of_the_day_before_stays_another_leg(world: World) -> None:
    day = timedelta(days=1)
    await say(world, "arrivals", {}, sta=iso(STA - day))
    await say(world, "departures", {"origin_date": LOCAL_DAY}, std=iso(STD), sta=iso(STA))
    assert await keys(world) == [f"B69-{d}-JFK-MCO" for d in (LOCAL_DAY - day, LOCAL_DAY)]


async def test_without_date_and_schedule_a_leg_is_refused(world: World) -> None:
    result = await say(world, "arrivals", {}, belts=["3"])
    assert (result.outcome, result.code, result.key) == ("refused", "no_origin_date", "B69")
    assert await keys(world) == []
