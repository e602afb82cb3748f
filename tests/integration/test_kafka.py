"""Kafka both ways against a broker process: nothing lost when anything is killed, repeats known."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec
import pytest

from realtime.change_log import ChangeLog
from tests.support.gatecast import Gatecast
from tests.support.kafka import KafkaBroker
from tests.support.operator import Operator
from tests.support.rest import DAY, at
from tests.support.wait import until

TOPIC, DEAD, OUT = "legs", "dead-legs", "changes"
Pool = asyncpg.Pool


@pytest.fixture
async def world(dsn: str, pool: "Pool[asyncpg.Record]") -> AsyncIterator[Operator]:
    world = Operator(dsn)
    world.pool = pool
    await world.ingest.register_feed("aodb", "airport")
    yield world
    await world.close()


@pytest.fixture
async def broker() -> AsyncIterator[KafkaBroker]:
    async with KafkaBroker() as broker:
        await broker.ready(TOPIC, DEAD, OUT)
        yield broker


def body(number: int, **values: Any) -> bytes:
    key = {"airline": "B6", "number": number, "origin_date": str(DAY), "dep": "JFK", "arr": "MCO"}
    said = {"std": at(1), "sta": at(4), **values}
    leg = {"key": key, "source_ts": datetime.now(UTC).isoformat(), "set": said}
    return msgspec.json.encode({"legs": [leg]})


def consumer(world: Operator, broker: KafkaBroker, *more: str) -> Gatecast:
    words = ("feed", "kafka", "--topic", TOPIC, "--feed", "aodb", *more)
    return Gatecast(*words, dsn=world.dsn, kafka=broker.servers)


def sink(world: Operator, broker: KafkaBroker) -> Gatecast:
    return Gatecast("kafka", "--topic", OUT, dsn=world.dsn, kafka=broker.servers)


async def legs(world: Operator) -> int:
    ((count,),) = await world.rows("SELECT count(*) FROM flight_leg")
    return int(count)


async def test_records_are_taken_and_bad_ones_go_to_the_dead_topic(
    world: Operator, broker: KafkaBroker
) -> None:
    csv = f"flight,dep,arr,std\nB63,JFK,MCO,{at(1)}\n".encode()
    await broker.say(TOPIC, [body(1), b"\x00nonsense", None, body(2, dep_gate="B22"), csv])
    async with consumer(world, broker, "--dead-topic", DEAD, "--format", "any") as process:

        async def all_taken() -> bool:
            return await legs(world) == 3

        await until(all_taken, within=40, what="three legs")
        assert await process.stop() == 0
    dead = await broker.records(DEAD)
    assert [(record.value, dict(record.headers)["gatecast-place"]) for record in dead] == [
        (b"\x00nonsense", b"legs:0:1"), (None, b"legs:0:2")
    ]  # fmt: skip
    shown = "SELECT last_complaint FROM feed WHERE code = 'aodb'"
    assert "format" in (await world.rows(shown))[0][0]


async def test_a_killed_consumer_loses_nothing_and_repeats_change_nothing(
    world: Operator, broker: KafkaBroker
) -> None:
    numbers = range(1, 121)
    await broker.say(TOPIC, [body(number) for number in numbers])
    process = consumer(world, broker)
    for least in (1, 60):
        process.start()

        async def some(least: int = least) -> bool:
            return await legs(world) >= least

        await until(some, within=60, what=f"{least} legs")
        process.kill()
    process.start()

    async def whole() -> bool:
        return await legs(world) == len(numbers)

    await until(whole, within=60, what="every leg")
    assert await process.stop() == 0
    assert await world.rows("SELECT DISTINCT version FROM flight_leg") == [(1,)]
    # Applied, and not committed: every record comes again.
    taken = "SELECT legs_taken FROM feed WHERE code = 'aodb'"
    before = await world.rows(taken)
    await world.write("UPDATE flight_leg SET dep_gate = 'C3' WHERE flight_no = 7")
    await broker.rewind(TOPIC, "gatecast-aodb")
    await broker.say(TOPIC, [body(121)])
    process.start()

    async def last() -> bool:
        return await legs(world) == 121

    await until(last, within=60, what="the newest leg")
    process.remove()
    assert await world.rows("SELECT dep_gate FROM flight_leg WHERE flight_no = 7") == [("C3",)]
    assert await world.rows(taken) == [(before[0][0] + 1,)]


async def test_a_killed_sink_loses_no_change_and_keeps_the_order(
    world: Operator, broker: KafkaBroker
) -> None:
    assert world.pool is not None
    log = ChangeLog(world.pool)
    process = sink(world, broker)
    process.start()
    reader = "SELECT seq FROM log_reader WHERE name = 'kafka'"

    async def position() -> list[Any]:
        return await world.rows(reader)

    await until(position, within=30, what="a reader of the log")
    for turn in range(2):
        for number in range(1, 41):
            await world.leg(number, dep_gate=f"{turn}{number}")
        await log.sequence()
        ((start,),) = await position()

        async def moved(start: int = start) -> bool:
            return bool((await position())[0][0] > start)

        await until(moved, within=30, what="a position that moves")
        process.kill()
        process.start()
    # Published, and the position not written: all of it comes again.
    await world.write("UPDATE log_reader SET seq = seq - 20 WHERE name = 'kafka'")
    end = (await log.position()).seq

    async def at_end() -> bool:
        return bool((await position())[0][0] == end)

    await until(at_end, within=60, what="the end of the log")
    assert await process.stop() == 0
    process.remove()
    records = await broker.records(OUT)
    values = [msgspec.json.decode(record.value) for record in records]
    wanted = await world.rows("SELECT seq, state->>'key' FROM change_log WHERE kind = 'leg'")
    assert {(each["seq"], each["state"]["key"]) for each in values} == set(wanted)
    assert all(r.key.decode() == v["state"]["key"] for r, v in zip(records, values, strict=True))
    newest: dict[str, int] = {}
    fresh = 0
    for each in values:
        key = each["state"]["key"]
        if each["seq"] > newest.get(key, 0):
            assert each["version"] == each["state"]["version"]
            newest[key], fresh = each["seq"], fresh + 1
    assert fresh == len(wanted) == 80
    assert len(values) >= 100


async def test_what_is_missing_is_said(world: Operator, broker: KafkaBroker) -> None:
    refused = await world.run("kafka", "--topic", OUT)
    assert (refused.returncode, "--servers" in refused.stderr) == (1, True)
    async with sink(world, broker) as process:
        await process.wait_for_line("publishing", 30)
        broker.kill()
        await world.leg(1)
        assert world.pool is not None
        await ChangeLog(world.pool).sequence()
        await process.wait_for_line('"waits"', 60)
        assert await process.stop() == 0
