"""The sixteen worked cases of the domain rules, from what feeds say to the words on phones."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from api.feed import CodeShare, Patch, PatchKey
from realtime.board import shows_arrival, shows_departure
from realtime.claims import LEG
from realtime.database import QUERIES
from realtime.flight import FlightLeg
from realtime.node import Feed
from tests.support.day import AODB, TRACKER, Day, named
from tests.support.followers import finish
from tests.support.rest import NOW, at, keys

Pool = asyncpg.Pool
LEG_9 = named(9)
MINUTE = timedelta(minutes=1)


def plan(hours: float = 4) -> dict[str, str]:
    return {"std": at(hours), "sta": at(hours + 3)}


def late(minutes: float, hours: float = 4) -> str:
    return at(hours + minutes / 60)


@pytest.fixture
async def day(dsn: str, pool: "Pool[asyncpg.Record]") -> AsyncIterator[Day]:
    async with Day(dsn, pool).begun() as begun:
        yield begun


async def state(day: Day, number: int = 9) -> FlightLeg:
    query = "SELECT public_state(l) FROM flight_leg l WHERE flight_no = $1"
    return LEG.decode(await day.database.fetchval(query, number))


async def test_case_01_estimates_ring_at_16_31_12_and_30(day: Day) -> None:
    await day.say(LEG_9, **plan())
    await day.follow(LEG_9)
    rang: list[int] = []
    for minutes in (10, 14, 16, 24, 31, 29, 12, 8, 30):
        await day.say(LEG_9, etd=late(minutes))
        before = len(day.kinds)
        rang += [minutes] * (len(await day.told()) - before)
    assert rang == [16, 31, 12, 30]
    assert day.kinds == [("delay",), ("delay",), ("delay_reduced",), ("delay",)]
    assert "now only 12 min late" in day.notices[2].title


async def test_case_02_a_gate_that_comes_back_rings_only_close_to_the_departure(day: Day) -> None:
    far, near = named(1), named(2)
    for leg, hours in ((far, 4), (near, 0.5)):
        await day.say(leg, **plan(hours), dep_gate="B22")
        await day.follow(leg)
    for gate in ("C3", "B22"):
        await day.say(near, dep_gate=gate)
        await finish(day.database)
    assert day.kinds == [("gate_changed",), ("gate_changed",)]
    await day.say(far, dep_gate="C3")
    await day.database.fetchval("SELECT sequence_changes()")
    await day.say(far, dep_gate="B22")
    assert len(await day.told()) == 2


@pytest.mark.parametrize("minutes", [-30, 0])
async def test_case_03_a_late_gate_changes_nothing_for_a_cancelled_leg(
    day: Day, minutes: int
) -> None:
    await day.say(LEG_9, **plan(2))
    await day.follow(LEG_9)
    await day.say(LEG_9, irregularity="cancelled")
    await day.told()
    moment = datetime.now(UTC) + minutes * MINUTE
    await day.say(LEG_9, at=moment, dep_gate="B1", boarding_at=at(-0.1))
    assert await day.told() == [("cancelled",)]
    assert await day.column(LEG_9, "irregularity") == "cancelled"


async def test_case_04_a_reinstated_leg_and_its_time_are_one_text(day: Day) -> None:
    await day.say(LEG_9, **plan())
    await day.follow(LEG_9)
    await day.say(LEG_9, irregularity="cancelled")
    await day.told()
    await day.say(LEG_9, irregularity="none", etd=late(60))
    assert await day.told() == [("cancelled",), ("reinstated", "delay")]
    assert "flies after all" in day.notices[1].title


STEPS = ("gate_open_at", "boarding_at", "final_call_at", "gate_close_at")
RANKS = ("gate_open", "boarding", "final_call", "gate_closed")


async def test_case_05_steps_in_any_order_end_alike_and_never_ring_backwards(day: Day) -> None:
    chance, legs = random.Random(5), [named(number) for number in range(1, 9)]
    orders = [chance.sample(list(STEPS) * 2, 8) for _ in legs]
    for leg in legs:
        await day.say(leg, **plan(0.5))
        await day.follow(leg, kinds=list(RANKS))
    for turn in range(8):
        for leg, order in zip(legs, orders, strict=True):
            place = STEPS.index(order[turn])
            await day.say(leg, at=NOW + place * MINUTE / 60, **{order[turn]: at(place / 3600)})
        await day.told()
    assert {await day.column(leg, "phase") for leg in legs} == {"gate_closed"}
    for leg in legs:
        rang = [RANKS.index(notice.kinds[0]) for notice in day.notices
                if notice.leg_key == str(leg.leg_key())]  # fmt: skip
        assert rang == sorted(set(rang))
        assert rang[-1] == 3


async def test_case_06_over_midnight_it_is_the_same_leg_and_tomorrow_is_said(day: Day) -> None:
    evening = datetime(2026, 3, 9, 1, 0, tzinfo=UTC)  # 21:00 in New York
    await day.database.execute("SELECT start_replay($1, 0.01)", evening)
    leg = named(9, day=evening.date() - timedelta(days=1))
    std, etd = "2026-03-09T03:40:00Z", "2026-03-09T04:55:00Z"
    await day.say(leg, at=evening, std=std, sta="2026-03-09T06:40:00Z")
    await day.database.execute("UPDATE airport SET tz = 'America/New_York'")
    await day.follow(leg)
    await day.say(leg, at=evening, etd=etd)
    await day.told()
    assert "00:55 tomorrow" in day.notices[0].body
    assert await day.database.fetchval("SELECT count(*) FROM flight_leg") == 1
    shown = await state(day)
    assert shown.key == "B69-2026-03-08-JFK-MCO"
    for hour in (3, 4):  # 23:00 on the 8th and midnight on the 9th
        assert shows_departure(shown, evening.replace(hour=hour))


async def test_case_07_followers_of_the_first_leg_hear_nothing_of_the_second(day: Day) -> None:
    first, second = named(9, "OSL", "LHR"), named(9, "LHR", "JFK")
    for leg, hours in ((first, 2), (second, 6)):
        await day.say(leg, **plan(hours))
    await day.follow(first, kinds=["delay", "cancelled", "gate_changed"])
    await day.say(second, etd=late(90, 6))
    assert await day.told() == []
    await day.follow(second)
    await day.say(second, etd=late(180, 6))
    assert await day.told() == [("delay",)]


async def test_case_08_the_number_that_was_searched_is_the_one_that_is_said(day: Day) -> None:
    await day.database.execute("INSERT INTO airline (iata, name) VALUES ('B6', 'JetBlue Airways')")
    share = CodeShare(airline="EI", number=5009)
    await day.say(LEG_9, codeshares=[share], **plan(), dep_gate="B22")
    await day.follow(LEG_9, q="EI 5009")
    await day.say(LEG_9, dep_gate="C3")
    assert await day.told() == [("gate_changed",)]
    (notice,) = day.notices
    assert notice.title == "EI 5009: gate now C3"
    assert notice.body.startswith("EI 5009 (JetBlue Airways)")


async def test_case_09_each_real_departure_and_the_return_are_told_once(day: Day) -> None:
    await day.say(LEG_9, **plan(0))
    await day.follow(LEG_9, "pick_up")
    await day.say(LEG_9, atd=at(-0.2))
    await day.told()
    await day.say(LEG_9, irregularity="returned_to_gate", eta=late(300, 0))
    await day.told()
    assert await day.column(LEG_9, "phase") == "scheduled"
    await day.say(LEG_9, atd=(datetime.now(UTC) + MINUTE / 2).isoformat())
    await day.say(LEG_9, atd=(datetime.now(UTC) + MINUTE / 2).isoformat())
    told = [("departed",), ("returned_to_gate", "delay"), ("departed",)]
    assert await day.told() == told


async def test_case_10_who_follows_a_diverted_leg_follows_where_it_goes_on(day: Day) -> None:
    await day.say(LEG_9, std=at(-2), sta=at(1), atd=at(-2), atot=at(-1.9))
    me = await day.follow(LEG_9, "pick_up")
    await day.say(LEG_9, irregularity="diverted", divert_airport="TPA")
    await day.told()
    await day.say(LEG_9, aldt=at(-0.1), ata=at(0))
    assert await day.told() == [("diverted",), ("arrived",)]
    onward = named(9, "TPA", "MCO")
    await day.say(onward, std=at(1), sta=at(2))
    await day.told()
    follows = (await day.client.get("/api/me/follows", headers=me)).json()["items"]
    assert {(each["leg_key"], each["role"]) for each in follows} == {
        (str(LEG_9.leg_key()), "pick_up"), (str(onward.leg_key()), "pick_up"),
    }  # fmt: skip
    await day.say(onward, eta=at(3))
    assert (await day.told())[2:] == [("delay",)]
    assert day.notices[2].leg_key == str(onward.leg_key())


async def test_case_11_two_departures_at_half_past_one_sort_and_read_right(day: Day) -> None:
    night = datetime(2026, 11, 1, 4, 0, tzinfo=UTC)  # summer time ends in New York at 06:00 UTC
    await day.database.execute("SELECT start_replay($1, 0.01)", night)
    second, first = named(1, day=night.date()), named(2, day=night.date())
    await day.say(second, at=night, std="2026-11-01T06:30:00Z", sta="2026-11-01T09:30:00Z")
    await day.say(first, at=night, std="2026-11-01T05:30:00Z", sta="2026-11-01T08:30:00Z")
    await day.database.execute("UPDATE airport SET tz = 'America/New_York'")
    listed = await day.client.get("/api/flights?airport=JFK&direction=departures")
    assert keys(listed) == ["B62", "B61"]
    for leg in (first, second):
        await day.follow(leg)
        await day.say(leg, at=night, dep_gate="C3")
        await day.say(leg, at=night + MINUTE, dep_gate="C4")
        await day.told()
    assert ["at 01:30 from gate" in notice.body for notice in day.notices] == [True, True]


async def test_case_12_of_two_gates_the_authority_s_counts_until_it_is_cleared(day: Day) -> None:
    await day.say(LEG_9, **plan(2), dep_gate="B22")
    await day.follow(LEG_9)
    await day.say(LEG_9, TRACKER, dep_gate="C3")
    assert await day.told() == []
    assert await day.column(LEG_9, "dep_gate") == "B22"
    await day.say(LEG_9, clear=["dep_gate"])
    await day.say(LEG_9, TRACKER, dep_gate="C3")
    assert await day.told() == [("gate_changed",)]
    assert await day.column(LEG_9, "dep_gate") == "C3"


async def feed_state(day: Day) -> str:
    rows = {row["code"]: row for row in await day.database.fetch(QUERIES["load_feeds"])}
    feed = Feed(AODB, rows[AODB]["last_seen_at"], rows[AODB]["max_silence"], False, {})
    return feed.state(datetime.now(UTC))


async def test_case_13_a_feed_that_was_silent_announces_nothing_twice(day: Day) -> None:
    await day.say(LEG_9, **plan())
    await day.follow(LEG_9)
    await day.say(LEG_9, etd=late(40), dep_gate="C3")
    told = await day.told()
    assert told == [("delay",)]
    silence = "UPDATE feed SET last_seen_at = wall_now() - interval '10 minutes'"
    await day.database.execute(silence)
    assert await feed_state(day) == "late"
    await day.say(LEG_9, **plan(), etd=late(40), dep_gate="C3")
    assert await feed_state(day) == "fresh"
    assert await day.told() == told


def restated(leg: PatchKey) -> Patch:
    return Patch(key=leg, source_ts=datetime.now(UTC), set=dict(plan(), dep_gate="B22"))


async def test_case_14_a_thousand_unchanged_legs_are_no_change(day: Day) -> None:
    legs = [named(number) for number in range(1, 1001)]
    for _ in range(2):
        results = await day.ingest.apply(AODB, [restated(leg) for leg in legs])
        assert {result.version for result in results} == {1}
    assert {result.outcome for result in results} == {"unchanged"}
    assert await day.database.fetchval("SELECT count(*) FROM change_outbox WHERE kind = 'leg'"
                                       " OR xid IS NULL") == 1000  # fmt: skip
    assert await day.database.fetchval("SELECT max(version) FROM flight_leg") == 1


async def test_case_15_the_arrival_comes_first_and_it_is_one_leg(day: Day) -> None:
    await day.say(LEG_9, TRACKER, sta=at(3))
    assert await day.column(LEG_9, "std") is None
    assert shows_arrival(await state(day), NOW)
    await day.say(LEG_9, **plan(0.5))
    assert await day.database.fetchval("SELECT count(*) FROM flight_leg") == 1
    assert shows_departure(await state(day), NOW)


async def test_case_16_an_estimate_that_has_passed_is_no_departure(day: Day) -> None:
    """Of the remark see the case `the planned time passed` in remark_vectors.json."""
    await day.say(LEG_9, **plan(-1))
    await day.follow(LEG_9, "pick_up")
    await day.say(LEG_9, etd=late(40, -1))
    assert await day.told() == []
    shown = await state(day)
    assert (shown.phase, shown.atd) == ("scheduled", None)
    assert shows_departure(shown, NOW)
    assert shows_arrival(shown, NOW)
