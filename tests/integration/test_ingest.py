"""Patches become columns, versions and outbox rows, on a real PostgreSQL."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.database import open_engine
from api.feed import CodeShare, Patch, PatchKey
from api.ingest import Ingest, Result, UnknownFeed

NOW = datetime.now(UTC).replace(microsecond=0)
STD, STA = NOW + timedelta(hours=2), NOW + timedelta(hours=4)


@pytest.fixture
async def engine(dsn: str) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(dsn)
    yield engine
    await engine.dispose()


class Wakes:
    """Counts how often the relay would have been woken."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest.fixture
def wakes() -> Wakes:
    return Wakes()


@pytest.fixture
async def ingest(engine: AsyncEngine, wakes: Wakes) -> Ingest:
    ingest = Ingest(engine, wakes)
    await ingest.register_feed("aodb", "airport")
    await ingest.register_feed("airline", "airline", priority=120)
    return ingest


def at(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def key(number: int = 123, **other: Any) -> PatchKey:
    whole = {"airline": "XY", "origin_date": STD.date(), "dep": "OSL", "arr": "LHR", **other}
    return PatchKey(number=number, **whole)


def patch(second: float = 0, /, *, number: int = 123, **values: Any) -> Patch:
    """What a feed says `second` seconds after ten minutes ago."""
    said_at = NOW - timedelta(minutes=10) + timedelta(seconds=second)
    return Patch(key=key(number), source_ts=said_at, set=values)


def opening(number: int = 123) -> Patch:
    return patch(number=number, std=at(STD), sta=at(STA))


async def rows(engine: AsyncEngine, query: str, **values: Any) -> list[Any]:
    async with engine.begin() as connection:
        return [tuple(row) for row in await connection.execute(text(query), values)]


async def write(engine: AsyncEngine, statement: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(text(statement))


def outcomes(results: list[Result]) -> list[str]:
    return [result.outcome for result in results]


async def test_an_unknown_leg_is_inserted_with_its_airports(
    ingest: Ingest, engine: AsyncEngine, wakes: Wakes
) -> None:
    (result,) = await ingest.apply("aodb", [opening()])
    name = f"XY123-{STD.date()}-OSL-LHR"
    assert result == Result(name, "applied", 1)
    assert wakes.count == 1
    assert await rows(engine, "SELECT key, std, phase, version FROM flight_leg") == [
        (name, STD, "scheduled", 1)
    ]
    assert await rows(engine, "SELECT iata, placeholder FROM airport ORDER BY iata") == [
        ("LHR", True),
        ("OSL", True),
    ]


async def test_a_change_makes_one_version_one_outbox_row_and_history(
    ingest: Ingest, engine: AsyncEngine
) -> None:
    await ingest.apply("aodb", [opening()])
    (result,) = await ingest.apply("aodb", [patch(5, dep_gate="B22", belts=["4", "5"])])
    assert (result.outcome, result.version) == ("applied", 2)
    outbox = "SELECT version, feed, source_ts, changed FROM change_outbox WHERE kind = 'leg'"
    said_at = NOW - timedelta(minutes=10) + timedelta(seconds=5)
    changed = {"dep_gate": [None, "B22"], "belts": [None, ["4", "5"]]}
    assert (await rows(engine, outbox))[1:] == [(2, "aodb", said_at, changed)]
    history = "SELECT version, feed, source_ts FROM leg_change ORDER BY version"
    assert (await rows(engine, history))[1:] == [(2, "aodb", said_at)]


async def test_what_is_not_new_makes_no_version_and_wakes_nobody(
    ingest: Ingest, engine: AsyncEngine, wakes: Wakes
) -> None:
    await ingest.apply("aodb", [opening(), patch(5, dep_gate="B22")])
    count = wakes.count
    again = [patch(5, dep_gate="B22"), patch(9, dep_gate="B22"), patch(2, dep_gate="A1")]
    results = await ingest.apply("aodb", again)
    assert outcomes(results) == ["unchanged", "unchanged", "stale"]
    assert {result.version for result in results} == {1}
    assert await rows(engine, "SELECT count(*) FROM change_outbox WHERE kind = 'leg'") == [(1,)]
    assert wakes.count == count


async def test_an_invisible_change_is_applied_without_a_version(
    ingest: Ingest, engine: AsyncEngine
) -> None:
    await ingest.apply("aodb", [opening()])
    (result,) = await ingest.apply("aodb", [patch(5, registration="LN-ABC", dep_stand="14")])
    assert (result.outcome, result.version) == ("applied", 1)
    assert await rows(engine, "SELECT registration, dep_stand FROM flight_leg") == [
        ("LN-ABC", "14")
    ]


async def test_a_leg_s_fault_never_refuses_its_neighbours(ingest: Ingest) -> None:
    results = await ingest.apply(
        "aodb",
        [
            opening(1),
            patch(number=2, std=at(STD), dep_gate="B" * 99),
            patch(number=3, etd=at(STD)),
            patch(number=4, std=at(STD), gate="B22"),
            Patch(key=key(5, dep="osl"), source_ts=NOW, set={"std": at(STD)}),
            opening(6),
        ],
    )
    assert outcomes(results) == ["applied", *["refused"] * 4, "applied"]
    faults = [(result.code, result.field) for result in results[1:5]]
    assert faults == [
        ("bad_value", "dep_gate"),
        ("no_schedule", "std"),
        ("unknown_field", "gate"),
        ("bad_key", "key"),
    ]


async def test_a_leg_that_the_database_refuses_is_left_out(
    ingest: Ingest, engine: AsyncEngine
) -> None:
    await write(engine, "ALTER TABLE flight_leg ADD CHECK (flight_no <> 13)")
    results = await ingest.apply("aodb", [opening(number) for number in range(10, 20)])
    assert [result.outcome for result in results if result.key.startswith("XY13-")] == ["refused"]
    assert outcomes(results).count("applied") == 9
    assert await rows(engine, "SELECT count(*) FROM flight_leg") == [(9,)]


async def test_a_hand_edit_stands_until_the_feed_says_something_new(
    ingest: Ingest, engine: AsyncEngine
) -> None:
    await ingest.apply("aodb", [opening(), patch(1, dep_gate="B22")])
    await write(engine, "UPDATE flight_leg SET dep_gate = 'C3'")
    gate = "SELECT dep_gate, dep_terminal FROM flight_leg"
    await ingest.apply("aodb", [patch(5, dep_gate="B22", dep_terminal="1")])
    assert await rows(engine, gate) == [("C3", "1")]
    await ingest.apply("aodb", [patch(6, dep_gate="D7")])
    assert await rows(engine, gate) == [("D7", "1")]
    by_hand = "SELECT count(*) FROM change_outbox WHERE kind = 'leg' AND feed IS NULL"
    assert await rows(engine, by_hand) == [(1,)]


async def test_authority_decides_between_feeds(ingest: Ingest, engine: AsyncEngine) -> None:
    await write(
        engine,
        "INSERT INTO feed_authority SELECT feed_id, 'dep_resources', 200 FROM feed"
        " WHERE code = 'aodb'",
    )
    await ingest.apply("aodb", [opening(), patch(1, dep_gate="B22", etd=at(STD))])
    late = at(STD + timedelta(minutes=30))
    (result,) = await ingest.apply("airline", [patch(5, dep_gate="X9", etd=late)])
    assert result.outcome == "applied"
    assert await rows(engine, "SELECT dep_gate, etd FROM flight_leg") == [
        ("B22", STD + timedelta(minutes=30))
    ]


async def test_cancelled_until_a_feed_of_equal_authority_reinstates(
    ingest: Ingest, engine: AsyncEngine
) -> None:
    await ingest.apply("airline", [opening(), patch(1, irregularity="cancelled")])
    state = "SELECT irregularity FROM flight_leg"
    await ingest.apply("aodb", [patch(5, irregularity="none", dep_gate="B22")])
    assert await rows(engine, state) == [("cancelled",)]
    await ingest.apply("airline", [patch(6, irregularity="none")])
    assert await rows(engine, state) == [("none",)]


async def test_a_diversion_edited_by_hand_never_breaks_a_batch(
    ingest: Ingest, engine: AsyncEngine
) -> None:
    diverted = patch(1, irregularity="diverted", divert_airport="BGO")
    await ingest.apply("aodb", [opening(), diverted])
    await write(engine, "UPDATE flight_leg SET irregularity = 'none', divert_airport = NULL")
    (result,) = await ingest.apply("aodb", [patch(2, divert_airport="SVG")])
    assert result.outcome == "applied"
    assert await rows(engine, "SELECT irregularity, divert_airport FROM flight_leg") == [
        ("diverted", "SVG")
    ]
    (result,) = await ingest.apply("aodb", [patch(3, irregularity="none")])
    assert result.outcome == "applied"
    assert await rows(engine, "SELECT divert_airport FROM flight_leg") == [(None,)]


async def test_code_shares_fill_the_search_index(ingest: Ingest, engine: AsyncEngine) -> None:
    shares = [CodeShare(airline="ZZ", number=4567), CodeShare(airline="AA", number=1, suffix="P")]
    said = Patch(key=key(), source_ts=NOW, set={"std": at(STD)}, codeshares=shares)
    await ingest.apply("aodb", [said])
    index = "SELECT airline, flight_no, suffix FROM code_share ORDER BY airline"
    assert await rows(engine, index) == [("AA", 1, "P"), ("ZZ", 4567, "")]


@pytest.mark.parametrize("seed", range(6))
async def test_the_order_of_patches_does_not_matter(
    ingest: Ingest, engine: AsyncEngine, seed: int
) -> None:
    """A10, through the database: many legs, the same patches, each in another order."""
    chance = random.Random(seed)
    told = [
        ("airline", {"irregularity": "cancelled", "cancelled_at": at(NOW)}),
        ("aodb", {"irregularity": "none", "dep_gate": "B22"}),
        ("aodb", {"dep_gate": "C3", "boarding_at": at(NOW - timedelta(minutes=20))}),
        ("airline", {"irregularity": "none", "etd": at(STD + timedelta(minutes=30))}),
        ("aodb", {"etd": at(STD + timedelta(minutes=10)), "belts": ["2"]}),
        ("aodb", {"belts": [], "phase": "final_call", "arr_terminal": "2"}),
    ]
    for number in range(1, 9):
        await ingest.apply("aodb", [opening(number)])
        order = [*range(len(told)), *chance.choices(range(len(told)), k=3)]
        chance.shuffle(order)
        for index in order:
            feed, values = told[index]
            await ingest.apply(feed, [patch(index + 1, number=number, **values)])
    state = (
        "SELECT DISTINCT public_state(l) - 'key' - 'flight_no' - 'version' - 'dep_gate_was'"
        " - 'dep_gate_at' - 'belts_was' - 'belts_at' FROM flight_leg l"
    )
    states = await rows(engine, state)
    assert len(states) == 1
    assert states[0][0]["irregularity"] == "none"


async def test_concurrent_batches_take_turns(ingest: Ingest, engine: AsyncEngine) -> None:
    """The same new legs, told in opposite orders: no deadlock, nothing lost, nothing retried."""
    errors: list[BaseException] = []
    event.listen(
        engine.sync_engine, "handle_error", lambda error: errors.append(error.original_exception)
    )

    async def feed(code: str, second: int) -> list[Result]:
        values = {"std": at(STD), "sta": at(STA), "dep_gate": f"{second}"}
        told = [(n, second + (n if second % 2 else 41 - n) / 100) for n in range(1, 41)]
        return await ingest.apply(code, [patch(when, number=n, **values) for n, when in told])

    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(feed(("aodb", "airline")[second % 2], second))
            for second in range(1, 9)
        ]
    assert all("refused" not in outcomes(task.result()) for task in tasks)
    found = await rows(engine, "SELECT dep_gate, count(*) FROM flight_leg GROUP BY 1")
    assert found == [("7", 40)]
    assert errors == []


async def test_the_load_of_a_day_is_quick(ingest: Ingest, engine: AsyncEngine) -> None:
    patches = [opening(number) for number in range(1, 301)]
    start = perf_counter()
    results = await ingest.apply("aodb", patches)
    assert perf_counter() - start < 3
    assert outcomes(results) == ["applied"] * 300


async def test_a_batch_is_cut_into_transactions(ingest: Ingest, engine: AsyncEngine) -> None:
    results = await ingest.apply("aodb", [opening(number) for number in range(1, 702)])
    assert outcomes(results) == ["applied"] * 701
    assert await rows(
        engine, "SELECT count(DISTINCT xid) FROM change_outbox WHERE kind = 'leg'"
    ) == [(2,)]


async def test_feeds_are_registered_seen_and_can_be_switched_off(
    ingest: Ingest, engine: AsyncEngine
) -> None:
    await ingest.register_feed("aodb", "airport", synthetic=True, max_silence=None)
    feed = (
        "SELECT synthetic, max_silence, last_seen_at, last_source_ts FROM feed WHERE code = 'aodb'"
    )
    assert await rows(engine, feed) == [(True, None, None, None)]
    await ingest.heartbeat("aodb")
    ((_, _, seen, source_ts),) = await rows(engine, feed)
    assert abs(seen - datetime.now(UTC)) < timedelta(seconds=10)
    assert source_ts is None
    await ingest.apply("aodb", [opening(), patch(5, dep_gate="B22")])
    await ingest.apply("aodb", [patch(2, dep_gate="A1")])
    ((_, _, later, source_ts),) = await rows(engine, feed)
    assert later > seen
    assert source_ts == NOW - timedelta(minutes=10) + timedelta(seconds=5)
    await write(engine, "UPDATE feed SET enabled = false")
    for call in (ingest.heartbeat("aodb"), ingest.apply("aodb", [opening()])):
        with pytest.raises(UnknownFeed, match="aodb"):
            await call
    with pytest.raises(UnknownFeed, match="nobody"):
        await ingest.heartbeat("nobody")
