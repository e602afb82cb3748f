"""What RabbitMQ does to a bus: it dies, freezes, fills up, forgets queues. Nothing is lost."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from realtime.bus import Position
from realtime.bus_intake import AHEAD
from realtime.bus_rabbitmq import RabbitBus
from realtime.change_log import ChangeLog
from realtime.errors import Unconfirmed
from realtime.relay import Relay
from tests.support.bus import (
    Reader,
    absent,
    carry,
    drained,
    linked,
    live,
    read,
    running,
    sequence,
    until_published,
    waited,
    write,
)
from tests.support.legs import set_gate
from tests.support.rabbitmq import RabbitNode
from tests.support.wait import until

pytestmark = pytest.mark.timeout(120)


async def test_a_silent_loss_shows_with_the_next_tick(
    rabbit_bus: RabbitBus, log: ChangeLog, legs: Sequence[int]
) -> None:
    await sequence(log)
    async with Reader(rabbit_bus, await log.position()) as reader:
        before = await live(rabbit_bus, log, reader)
        filled = rabbit_bus.counts.filled
        end = await write(log, 1)
        await rabbit_bus.publish(end.epoch, await read(log, end.seq - 5))
        await reader.has(end.seq, 0.5)
        assert rabbit_bus.counts.filled == filled + 15
        end = await write(log, 1, legs[:2])
        await rabbit_bus.tick(end)
        await reader.has(end.seq, 1.5)
        assert rabbit_bus.counts.filled == filled + 17
    assert reader.seqs[-22:] == list(range(before.seq + 1, end.seq + 1))


async def test_stragglers_of_an_ended_epoch_are_dropped(
    rabbit_bus: RabbitBus, log: ChangeLog, legs: Sequence[int]
) -> None:
    await sequence(log)
    start = await log.position()
    async with Reader(rabbit_bus, start) as reader:
        before = await live(rabbit_bus, log, reader)
        end = await write(log, 1)
        ended = "00000000-0000-4000-8000-000000000000"
        await rabbit_bus.publish(ended, await read(log, start.seq))
        await rabbit_bus.tick(Position(ended, 10**9))
        await reader.has(end.seq, 1)  # the log was asked which epoch is right
        assert reader.seqs[-20:] == list(range(before.seq + 1, end.seq + 1))
        end = await live(rabbit_bus, log, reader)
    assert reader.seqs == list(range(start.seq + 1, end.seq + 1))


async def test_more_changes_than_are_held_wait_for_a_gap_in_an_absent_database(
    rabbit_bus: RabbitBus, log: ChangeLog, dsn: str, legs: Sequence[int]
) -> None:
    await sequence(log)
    start = await log.position()
    async with Reader(rabbit_bus, start) as reader:
        before = await live(rabbit_bus, log, reader)
        async with ticking(rabbit_bus, before):
            end = await write(log, 1 + AHEAD // len(legs) + 10)
        changes = await read(log, before.seq)
        async with absent(dsn):
            await rabbit_bus.publish(end.epoch, changes[1:])
            await until(lambda: rabbit_bus.down_since is not None, within=5, what="it is noticed")
            assert reader.seqs[-1] == before.seq
        await reader.has(end.seq, 15)
    assert reader.seqs == list(range(start.seq + 1, end.seq + 1))
    assert rabbit_bus.counts.filled < AHEAD // 2


async def test_nothing_is_lost_while_the_broker_is_killed(
    rabbit: RabbitNode, log: ChangeLog, legs: Sequence[int]
) -> None:
    """A real relay publishes; boards lag by the poll at most."""
    bus = RabbitBus(rabbit.url, log)
    relay = Relay(log.pool, log, bus)
    await sequence(log)
    start = await log.position()
    done = asyncio.Event()

    async def write_on() -> None:
        for number in itertools.count():
            await set_gate(log.pool, legs[number % len(legs)], f"G{number}")
            if done.is_set():
                return
            await asyncio.sleep(0.02)

    async with running(bus, relay), Reader(bus, start) as reader, asyncio.TaskGroup() as group:
        await until(lambda: bus.link == "up", within=30, what="the broker is linked")
        group.create_task(write_on(), name="writer")
        await until(lambda: len(reader.changes) > 100, within=10, what="changes arrive")
        rabbit.kill()
        await until(lambda: bus.link == "down", within=5, what="the loss is noticed")
        polling_at = asyncio.get_running_loop().time() + 3
        await until(
            lambda: asyncio.get_running_loop().time() > polling_at, within=5, what="polling"
        )
        polled_from = len(reader.delays)
        await until(lambda: len(reader.delays) > polled_from + 150, within=20, what="polled rows")
        polled = reader.delays[polled_from : polled_from + 150]
        await rabbit.start()
        await until(lambda: bus.link == "up", within=30, what="the broker is linked again")
        await until(lambda: relay.published == relay.sequenced, within=20, what="relay caught up")
        filled, seen = bus.counts.filled, len(reader.changes)
        await until(lambda: len(reader.changes) > seen + 60, within=10, what="changes arrive")
        live_filled = bus.counts.filled - filled
        done.set()
    end = await log.position()
    delays = sorted(delay for _, delay in polled)
    print(f"lag while polling: p50 {delays[75]:.3f} s, max {delays[-1]:.3f} s")
    assert delays[-1] <= 0.5
    assert live_filled <= 5
    assert reader.seqs == list(range(start.seq + 1, reader.seqs[-1] + 1))
    assert end.seq - reader.seqs[-1] <= 5


async def test_a_frozen_broker_is_as_good_as_none(
    rabbit: RabbitNode, log: ChangeLog, legs: Sequence[int]
) -> None:
    """The connection lives, but says nothing."""
    bus = RabbitBus(rabbit.url, log, confirm_within=1.0)
    await sequence(log)
    async with running(bus), Reader(bus, await log.position()) as reader:
        before = await live(bus, log, reader)
        rabbit.freeze()
        try:
            end = await write(log, 1)
            with pytest.raises(Unconfirmed):
                await asyncio.wait_for(bus.publish(end.epoch, await read(log, before.seq)), 2)
            await reader.has(end.seq, 3)
        finally:
            rabbit.thaw()
        await linked(bus)
        await until_published(bus, log, before.seq)
        await live(bus, log, reader)


async def test_a_memory_alarm_blocks_publishing_until_it_is_over(
    rabbit: RabbitNode, rabbit_bus: RabbitBus, log: ChangeLog, legs: Sequence[int]
) -> None:
    await sequence(log)
    async with Reader(rabbit_bus, await log.position()) as reader:
        before = await live(rabbit_bus, log, reader)
        link = await relay_connection(rabbit)
        await rabbit.ctl("set_vm_memory_high_watermark", "absolute", "1MB")
        try:
            end = await write(log, 1)
            changes = await read(log, before.seq)
            clock = asyncio.get_running_loop().time
            asked_at = clock()
            with pytest.raises(Unconfirmed):
                await rabbit_bus.publish(end.epoch, changes)
            assert clock() - asked_at < 6
            assert rabbit_bus.link == "blocked"
            asked_at = clock()
            with pytest.raises(Unconfirmed, match="blocked"):
                await rabbit_bus.publish(end.epoch, changes)
            assert clock() - asked_at < 0.1
            await reader.has(end.seq, 4)  # over the log
        finally:
            await rabbit.ctl("set_vm_memory_high_watermark", "absolute", "1GB")
        await until_published(rabbit_bus, log, before.seq)
        assert await relay_connection(rabbit) != link
        await live(rabbit_bus, log, reader)


async def test_an_overflowing_queue_is_filled_from_the_log(
    rabbit: RabbitNode, log: ChangeLog, legs: Sequence[int]
) -> None:
    bus = RabbitBus(rabbit.url, log, node_prefetch=20, node_backlog=50)
    await sequence(log)
    start = await log.position()
    async with running(bus), Reader(bus, start) as reader:
        before = await live(bus, log, reader)
        filled = bus.counts.filled
        reader.gate.clear()
        async with ticking(bus, before):
            end = await write(log, 30)
        await bus.publish(end.epoch, await read(log, before.seq))
        await bus.tick(end)
        reader.gate.set()
        await reader.has(end.seq, 3)
        assert 400 < bus.counts.filled - filled < 600
        end = await live(bus, log, reader)
    assert reader.seqs == list(range(start.seq + 1, end.seq + 1))


async def test_a_queue_deleted_under_its_consumer_is_replaced(
    rabbit: RabbitNode, rabbit_bus: RabbitBus, log: ChangeLog, legs: Sequence[int]
) -> None:
    await sequence(log)
    start = await log.position()
    async with Reader(rabbit_bus, start) as reader:
        before = await live(rabbit_bus, log, reader)
        names = (await rabbit.ctl("list_queues", "--no-table-headers", "name")).split()
        (queue,) = [name for name in names if name.startswith("amq.gen")]
        deletion = asyncio.create_task(rabbit.ctl("eval", DELETE_QUEUE % queue), name="deletion")
        while rabbit_bus.link == "up":  # so that the log is not asked because of silence
            await rabbit_bus.tick(before)
            await asyncio.sleep(0.1)
        end = await write(log, 1)
        await linked(rabbit_bus)
        await reader.has(end.seq, 0.5)
        await deletion
        filled = rabbit_bus.counts.filled
        end = await live(rabbit_bus, log, reader)
        assert rabbit_bus.counts.filled == filled
    assert reader.seqs == list(range(start.seq + 1, end.seq + 1))


async def test_a_notable_change_wakes_a_notifier_and_another_does_not(
    rabbit_bus: RabbitBus, log: ChangeLog, legs: Sequence[int]
) -> None:
    clock = asyncio.get_running_loop().time
    await sequence(log)
    start = await log.position()
    await write(log, 1, legs[:1])
    await until_published(rabbit_bus, log, start.seq)
    await drained(rabbit_bus)
    end = await log.position()
    await log.pool.execute("UPDATE flight_leg SET dep_terminal = 'T9' WHERE leg_id = $1", legs[0])
    await sequence(log)
    await carry(rabbit_bus, log, end.seq)
    assert await waited(rabbit_bus, 1.0) >= 1.0
    end = await log.position()
    await write(log, 1, legs[:1])
    published_at = clock()
    await carry(rabbit_bus, log, end.seq)
    await rabbit_bus.wait_work(10)
    assert clock() - published_at < 1
    assert await waited(rabbit_bus, 0.5) >= 0.5


async def test_work_is_given_to_another_notifier_until_one_has_finished_it(
    rabbit: RabbitNode, log: ChangeLog, legs: Sequence[int]
) -> None:
    first, second, third = (RabbitBus(rabbit.url, log) for _ in range(3))
    await sequence(log)
    async with running(first):
        await drained(first)
        start = await log.position()
        await write(log, 1, legs[:1])
        await until_published(first, log, start.seq)
        assert await waited(first, 5) < 5
    async with running(second):
        await second.wait_work(0)
        await linked(second)
        assert await waited(second, 5) < 5
        assert await waited(second, 0.5) >= 0.5
    async with running(third):
        await third.wait_work(0)
        await linked(third)
        assert await waited(third, 1) >= 1


async def test_without_a_broker_waiting_for_work_is_polling(log: ChangeLog) -> None:
    bus = RabbitBus("amqp://guest:guest@127.0.0.1:1/%2F", log)
    async with running(bus):
        assert 0.9 < await waited(bus, 30) < 1.5
        assert bus.link == "down"
        with pytest.raises(Unconfirmed, match="down"):
            await bus.tick(Position("e", 1))


DELETE_QUEUE = """{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"%s">>)),
rabbit_amqqueue:delete(Q, false, false, <<"test">>)."""


@asynccontextmanager
async def ticking(bus: RabbitBus, position: Position) -> AsyncIterator[None]:
    """The broker is heard, so that silence makes nobody read the log."""

    async def tick() -> None:
        while True:
            await bus.tick(position)
            await asyncio.sleep(0.5)

    ticks = asyncio.create_task(tick(), name="ticks")
    try:
        yield
    finally:
        ticks.cancel()
        await asyncio.gather(ticks, return_exceptions=True)


async def relay_connection(rabbit: RabbitNode) -> str:
    """The address of the one connection that publishes."""
    table = await rabbit.ctl("list_connections", "name", "client_properties")
    (line,) = [line for line in table.splitlines() if "gatecast relay" in line]
    return line.split("\t")[0]
