"""A3: followers of either bus get every row of the log, dense and in order, whatever happens."""

import random
from collections.abc import Sequence

import pytest

from realtime.bus import Position
from realtime.bus_log import LogBus
from realtime.bus_rabbitmq import RabbitBus
from realtime.change_log import ChangeLog
from realtime.flight import Change
from tests.support.bus import Bus, Reader, absent, carry, live, read, sequence, write
from tests.support.wait import until

pytestmark = pytest.mark.timeout(60)


async def test_two_thousand_changes_arrive_dense_and_as_they_are_in_the_log(
    bus: Bus, log: ChangeLog, legs: Sequence[int]
) -> None:
    """Over RabbitMQ the publisher repeats, loses and swaps batches."""
    dice = random.Random(7)
    await sequence(log)
    start = await log.position()
    async with Reader(bus, start) as reader:
        await live(bus, log, reader)
        held: list[Change] = []
        for _ in range(100):
            before = (await log.position()).seq
            end = await write(log, 1)
            if isinstance(bus, LogBus):
                bus.wake()
                continue
            batch = await read(log, before)
            fate = dice.random()
            if fate < 0.15:
                continue
            if fate < 0.3 and not held:
                held = batch
                continue
            await bus.publish(end.epoch, batch + held if fate < 0.6 else held + batch)
            if fate > 0.85:
                await bus.publish(end.epoch, batch)
            held = []
            if dice.random() < 0.1:
                await bus.tick(end)
        if isinstance(bus, RabbitBus):
            await bus.tick(end)
        await reader.has(end.seq, 3)
    assert end.seq - start.seq == 2_020
    assert reader.changes == await read(log, start.seq)
    assert reader.seqs == list(range(start.seq + 1, end.seq + 1))
    if isinstance(bus, RabbitBus):
        assert bus.counts.gaps > 5
        assert bus.counts.duplicates > 100
        assert 100 < bus.counts.filled < 1_900


async def test_a_follower_may_start_anywhere(bus: Bus, log: ChangeLog, legs: Sequence[int]) -> None:
    await sequence(log)
    end = await write(log, 60)
    middle = Position(end.epoch, end.seq - 777)
    async with Reader(bus, middle) as reader, Reader(bus, end) as other:
        await reader.has(end.seq, 3)
        end = await live(bus, log, reader)
        await other.has(end.seq, 3)
    assert reader.seqs == list(range(middle.seq + 1, end.seq + 1))
    assert other.seqs == reader.seqs[777:]
    async with Reader(bus, Position(end.epoch, end.seq - 5)) as again:
        await again.has(end.seq, 3)
    assert again.seqs == reader.seqs[-5:]


async def test_a_new_epoch_ends_a_follower(bus: Bus, log: ChangeLog, legs: Sequence[int]) -> None:
    await sequence(log)
    async with Reader(bus, await log.position()) as reader:
        end = await live(bus, log, reader)
        await log.pool.execute("UPDATE relay_state SET epoch = gen_random_uuid()")
        await write(log, 1)
        await carry(bus, log, end.seq)
        await reader.lost(1)
        assert reader.seqs[-1] == end.seq


async def test_a_log_shorter_than_the_position_begins_a_new_epoch(
    bus: Bus, log: ChangeLog, legs: Sequence[int]
) -> None:
    await sequence(log)
    end = await log.position()
    async with Reader(bus, Position(end.epoch, end.seq + 100)) as reader:
        await reader.lost(5)
    assert (await log.position()).epoch != end.epoch


async def test_a_log_cut_under_a_live_follower_begins_a_new_epoch(
    bus: Bus, log: ChangeLog, legs: Sequence[int]
) -> None:
    """A restore, or a failover that lost the newest commits."""
    await sequence(log)
    async with Reader(bus, await log.position()) as reader:
        end = await live(bus, log, reader)
        await log.pool.execute("DELETE FROM change_log WHERE seq > $1", end.seq - 5)
        await log.pool.execute("UPDATE relay_state SET last_seq = $1", end.seq - 5)
        if isinstance(bus, RabbitBus):
            await bus.tick(Position(end.epoch, end.seq - 5))
        await reader.lost(1)
    assert (await log.position()).epoch != end.epoch


async def test_rows_that_were_pruned_cannot_be_followed(
    bus: Bus, log: ChangeLog, legs: Sequence[int]
) -> None:
    await sequence(log)
    end = await write(log, 5)
    await log.pool.execute("DELETE FROM change_log WHERE seq <= 50")
    async with Reader(bus, Position(end.epoch, 49)) as lost:
        await lost.lost(5)
    async with Reader(bus, Position(end.epoch, 50)) as reader:
        await reader.has(end.seq, 5)
    assert lost.seqs == []
    assert reader.seqs[0] == 51


async def test_an_absent_database_is_waited_out(
    bus: Bus, log: ChangeLog, dsn: str, legs: Sequence[int]
) -> None:
    await sequence(log)
    start = await log.position()
    async with Reader(bus, start) as reader:
        before = await live(bus, log, reader)
        reader.gate.clear()  # held where it asks for nothing, until the database is gone
        end = await write(log, 3)
        rows = await read(log, before.seq)
        if isinstance(bus, LogBus):
            await reader.has(before.seq + 1, 5)
        async with absent(dsn):
            reader.gate.set()
            if isinstance(bus, RabbitBus):
                await bus.publish(end.epoch, rows[:20])
                await reader.has(before.seq + 20, 1)  # follows on directly: needs no log
                await bus.publish(end.epoch, rows[40:])
            await until(lambda: bus.down_since is not None, within=5, what="it is noticed")
            assert bus.away
        await reader.has(end.seq, 10)
        await until(lambda: bus.down_since is None, within=5, what="it is back")
        end = await live(bus, log, reader)
    assert reader.seqs == list(range(start.seq + 1, end.seq + 1))
