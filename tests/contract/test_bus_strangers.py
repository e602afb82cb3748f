"""What others put into our queues: counted, set aside, and nobody is harmed."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from realtime.amqp import Link
from realtime.broker_topology import CHANGES, DEAD_WORK, WORK
from realtime.bus import Position
from realtime.bus_parcels import REASONS, pack_change
from realtime.bus_rabbitmq import RabbitBus
from realtime.change_log import ChangeLog
from realtime.notice_kinds import KINDS
from tests.support.bus import Reader, drained, live, read, sequence, waited, write
from tests.support.rabbitmq import RabbitNode
from tests.support.strangers import STRANGERS, Foreign, row, tick
from tests.support.wait import until

pytestmark = pytest.mark.timeout(120)

NOTABLE = "chg.JFK.MCO.gate_changed"
FAR = 10**12
ENDED = "00000000-0000-4000-8000-000000000000"


@asynccontextmanager
async def somebody(rabbit: RabbitNode) -> AsyncIterator[Link]:
    """A connection of another program."""
    link = await Link.open(rabbit.url, "somebody")
    try:
        await link.select_confirms()
        yield link
    finally:
        await link.close()


async def put(
    link: Link, body: bytes, headers: Mapping[str, Any], routing_key: str = NOTABLE
) -> None:
    assert await link.publish(CHANGES, routing_key, body, {"headers": dict(headers)}) is None


async def is_left(rabbit: RabbitNode, queue: str, count: int) -> None:
    """So many wait in the queue, and none was handed out and not answered."""
    columns = ("name", "messages_ready", "messages_unacknowledged")

    async def found() -> bool:
        table = await rabbit.ctl("list_queues", "--no-table-headers", *columns)
        return f"{queue}\t{count}\t0" in table.splitlines()

    await until(found, within=20, what=f"{count} in {queue}")


async def test_they_are_dropped_by_nodes_and_set_aside_by_notifiers(
    rabbit: RabbitNode, rabbit_bus: RabbitBus, log: ChangeLog, legs: Sequence[int]
) -> None:
    await sequence(log)
    start = await log.position()
    counts = rabbit_bus.counts
    async with Reader(rabbit_bus, start) as reader, somebody(rabbit) as link:
        await live(rabbit_bus, log, reader)
        await drained(rabbit_bus)
        await rabbit.ctl("purge_queue", DEAD_WORK)
        for stranger in STRANGERS:
            await put(link, stranger.content(start.epoch), stranger.headers(start.epoch))
        twice = 2 * len(STRANGERS)  # by the node, and by the notifier
        await until(lambda: counts.strangers.total() == twice, within=20, what="all are counted")
        assert counts.strangers == Counter([each.reason for each in STRANGERS] * 2)
        assert await waited(rabbit_bus, 0.5) >= 0.5
        await is_left(rabbit, DEAD_WORK, len(STRANGERS))
        await is_left(rabbit, WORK, 0)
        end = await live(rabbit_bus, log, reader)
        assert await waited(rabbit_bus, 5) < 5
    assert counts.strangers.total() == twice
    assert reader.seqs == list(range(start.seq + 1, end.seq + 1))
    assert end.epoch == start.epoch


async def test_a_body_that_lies_about_its_place_moves_nobody(
    rabbit: RabbitNode, rabbit_bus: RabbitBus, log: ChangeLog, legs: Sequence[int]
) -> None:
    """Nobody holds a seq because a body says so, and no epoch ends for it."""
    await sequence(log)
    start = await log.position()
    counts = rabbit_bus.counts
    far = Foreign("", "seq", row(seq=FAR), {"id": str(FAR)})
    past = Foreign("", "epoch", row())
    ticks = [tick(last_seq=FAR), tick(last_seq=0)]
    async with Reader(rabbit_bus, start) as reader, somebody(rabbit) as link:
        await live(rabbit_bus, log, reader)
        await put(link, far.content(start.epoch), far.headers(start.epoch))
        await until(lambda: counts.strangers["seq"] == 1, within=5, what="the log is asked")
        await put(link, past.content(ENDED), past.headers(ENDED))
        await until(lambda: counts.strangers["epoch"] == 1, within=5, what="the epoch is seen")
        for body in ticks:
            said = Foreign("", "", body, {"type": "io.gatecast.tick.v1", "id": "tick"})
            await put(link, said.content(start.epoch), said.headers(start.epoch), "tick")
        await live(rabbit_bus, log, reader)
        end = await live(rabbit_bus, log, reader)
    assert reader.seqs == list(range(start.seq + 1, end.seq + 1))
    assert await log.position() == Position(start.epoch, end.seq)
    assert {reason: counts.strangers[reason] for reason in REASONS if counts.strangers[reason]} == {
        "seq": 1,
        "epoch": 1,
    }


async def test_a_row_that_was_damaged_on_its_way_is_read_from_the_log(
    rabbit: RabbitNode, rabbit_bus: RabbitBus, log: ChangeLog, legs: Sequence[int]
) -> None:
    await sequence(log)
    start = await log.position()
    async with Reader(rabbit_bus, start) as reader, somebody(rabbit) as link:
        before = await live(rabbit_bus, log, reader)
        end = await write(log, 1, legs[:3])
        filled = rabbit_bus.counts.filled
        for number, change in enumerate(await read(log, before.seq)):
            key, body, properties = pack_change(end.epoch, change, KINDS)
            damaged = json.dumps({**json.loads(body), "state": None}).encode()
            await put(link, damaged if number == 1 else body, properties["headers"], key)
        await reader.has(end.seq, 1)
        assert rabbit_bus.counts.filled == filled + 1
        assert rabbit_bus.counts.strangers["body"] == 1
    assert reader.seqs == list(range(start.seq + 1, end.seq + 1))
