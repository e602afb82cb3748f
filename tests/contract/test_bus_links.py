"""How links to the broker are kept: apart, bounded, patient, and made anew with all they need."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise

import pytest

from realtime.amqp import HEARTBEAT, AmqpFault, Link
from realtime.broker_link import RECONNECT_LEAST, KeptLink
from realtime.broker_topology import CHANGES, WORK
from realtime.bus_rabbitmq import UNCONFIRMED, RabbitBus
from realtime.change_log import ChangeLog
from realtime.errors import Unconfirmed
from realtime.relay import Relay
from tests.support.bus import (
    Reader,
    carry,
    drained,
    live,
    read,
    running,
    sequence,
    until_published,
    waited,
    write,
)
from tests.support.rabbitmq import RabbitNode
from tests.support.wait import until

pytestmark = pytest.mark.timeout(120)

CATCH = {"x-queue-type": "classic"}


async def connections(rabbit: RabbitNode) -> Counter[str]:
    """How many there are for each purpose."""
    table = await rabbit.ctl("list_connections", "--no-table-headers", "client_properties")
    purposes = ("relay", "node", "notifier")
    return Counter(
        purpose
        for line in table.splitlines()
        for purpose in purposes
        if f'"gatecast {purpose}"' in line
    )


async def one_each(rabbit: RabbitNode) -> bool:
    """Those of earlier tests are gone."""
    return await connections(rabbit) == {"relay": 1, "node": 1, "notifier": 1}


async def test_each_purpose_has_its_connection_and_the_queues_are_as_written_down(
    rabbit: RabbitNode, rabbit_bus: RabbitBus, log: ChangeLog, legs: Sequence[int]
) -> None:
    await sequence(log)
    async with Reader(rabbit_bus, await log.position()) as reader:
        await live(rabbit_bus, log, reader)
        await drained(rabbit_bus)
        await until(lambda: one_each(rabbit), within=20, what="one connection for each purpose")
        columns = ("name", "type", "durable", "exclusive", "arguments")
        table = await rabbit.ctl("list_queues", "--formatter=json", *columns)
        queues = {each.pop("name"): each for each in json.loads(table)}
    (own,) = [queues[name] for name in queues if name.startswith("amq.gen-")]
    assert own["exclusive"]
    assert not own["durable"]
    assert argument(own, "x-max-length") == 20_000
    assert argument(own, "x-overflow") == "drop-head"
    for name in (WORK, "notify.dead"):
        assert (queues[name]["type"], queues[name]["durable"]) == ("quorum", True)
    assert argument(queues[WORK], "x-delivery-limit") == 20
    assert argument(queues[WORK], "x-dead-letter-strategy") == "at-least-once"
    assert argument(queues[WORK], "x-overflow") == "reject-publish"
    assert all(argument(queues[name], "x-queue-type") for name in (WORK, "notify.dead"))
    exchanges = await rabbit.ctl("list_exchanges", "--no-table-headers", "name", "type", "durable")
    assert f"{CHANGES}\ttopic\ttrue" in exchanges.splitlines()


def argument(queue: dict[str, object], name: str) -> object:
    """Its value, with or without the type that rabbitmqctl puts before it."""
    arguments = queue["arguments"]
    if isinstance(arguments, dict):
        return arguments.get(name)
    assert isinstance(arguments, list)
    return next((each[-1] for each in arguments if each[0] == name), None)


async def test_no_more_is_on_its_way_than_the_window(
    rabbit: RabbitNode, log: ChangeLog, legs: Sequence[int]
) -> None:
    """A broker that stands still is given 500 changes, and not what comes after them."""
    bus = RabbitBus(rabbit.url, log, confirm_within=1.0)
    await sequence(log)
    start = await log.position()
    async with running(bus):
        await until_published(bus, log, start.seq - 1)
        catching = await Link.open(rabbit.url, "somebody")
        queue = await catching.declare_queue("", CATCH)
        await catching.bind(queue, CHANGES, "chg.#")
        end = await write(log, 2 * UNCONFIRMED // len(legs))
        changes = await read(log, start.seq)
        assert len(changes) == 2 * UNCONFIRMED
        rabbit.freeze()
        try:
            with pytest.raises(Unconfirmed, match="not confirmed within 1 s"):
                await bus.publish(end.epoch, changes)
        finally:
            rabbit.thaw()
        await until(lambda: bus.link == "up", within=30, what="another connection")
        arrived = await depth(rabbit, queue)
        assert arrived <= UNCONFIRMED
        await until_published(bus, log, start.seq)
        assert await depth(rabbit, queue) >= arrived + len(changes)
        await catching.close()


async def depth(rabbit: RabbitNode, queue: str) -> int:
    table = await rabbit.ctl("list_queues", "--no-table-headers", "name", "messages")
    (line,) = [line for line in table.splitlines() if line.startswith(queue)]
    return int(line.split("\t")[1])


async def test_after_a_refusal_the_next_attempt_is_made_on_another_connection(
    rabbit: RabbitNode, rabbit_bus: RabbitBus, log: ChangeLog, legs: Sequence[int]
) -> None:
    await sequence(log)
    start = await log.position()
    await until_published(rabbit_bus, log, start.seq - 1)
    before = await relay_connection(rabbit)
    full = await Link.open(rabbit.url, "somebody")
    limits = {"x-max-length": 1, "x-overflow": "reject-publish"}
    queue = await full.declare_queue("", {**CATCH, **limits})
    await full.bind(queue, CHANGES, "chg.#")
    end = await write(log, 1)
    with pytest.raises(Unconfirmed, match="refused"):
        await rabbit_bus.publish(end.epoch, await read(log, start.seq))
    await full.close()
    await until_published(rabbit_bus, log, start.seq)
    assert await relay_connection(rabbit) != before


async def relay_connection(rabbit: RabbitNode) -> str:
    """The address of the one connection that publishes."""
    table = await rabbit.ctl("list_connections", "name", "client_properties")
    (line,) = [line for line in table.splitlines() if "gatecast relay" in line]
    return line.split("\t")[0]


async def test_attempts_are_apart_by_half_a_second_at_least_and_not_in_step() -> None:
    attempts: list[float] = []

    def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        attempts.append(asyncio.get_running_loop().time())
        writer.close()

    async def prepare(_: Link) -> None:
        raise AmqpFault("there is no link to prepare")

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        kept = KeptLink(f"amqp://127.0.0.1:{port}", "relay", prepare)
        kept.needed.set()
        task = asyncio.create_task(kept.run(), name="link")
        # Each attempt connects twice: the second asks whether the port speaks TLS.
        await until(lambda: len(attempts) >= 8, within=60, what="four attempts")
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    pauses = [
        later - earlier for earlier, later in zip(attempts[1::2], attempts[2::2], strict=False)
    ]
    assert min(pauses) >= RECONNECT_LEAST
    assert len({round(pause, 2) for pause in pauses}) > 1


async def test_work_that_takes_longer_than_a_heartbeat_costs_no_link(
    rabbit: RabbitNode, rabbit_bus: RabbitBus, log: ChangeLog, legs: Sequence[int]
) -> None:
    await sequence(log)
    async with Reader(rabbit_bus, await log.position()) as reader:
        await live(rabbit_bus, log, reader)
        before = await relay_connection(rabbit)
        time.sleep(HEARTBEAT + 2)  # noqa: ASYNC251  as a computation that does not yield
        await live(rabbit_bus, log, reader)
        assert await relay_connection(rabbit) == before
        assert (await connections(rabbit))["node"] == 1


async def test_a_work_queue_deleted_under_its_consumer_is_declared_again(
    rabbit: RabbitNode, rabbit_bus: RabbitBus, log: ChangeLog, legs: Sequence[int]
) -> None:
    await sequence(log)
    start = await log.position()
    await until_published(rabbit_bus, log, start.seq - 1)
    await drained(rabbit_bus)
    await rabbit.ctl("delete_queue", WORK)

    async def there() -> bool:
        return WORK in (await rabbit.ctl("list_queues", "--no-table-headers", "name")).split()

    await until(there, within=30, what="the queue is there again", every=0.2)
    await rabbit.ctl("close_all_connections", "as a restart of the relay")
    await until_published(rabbit_bus, log, start.seq - 1)  # binds it
    await drained(rabbit_bus)
    end = await write(log, 1, legs[:1])
    await carry(rabbit_bus, log, end.seq - 1)
    assert await waited(rabbit_bus, 10) < 10


async def test_a_relay_says_each_second_where_the_log_ends(
    rabbit: RabbitNode, log: ChangeLog, legs: Sequence[int]
) -> None:
    heard: list[tuple[float, int]] = []

    def hear(_tag: int, _headers: object, body: bytes) -> None:
        heard.append((asyncio.get_running_loop().time(), json.loads(body)["last_seq"]))

    await sequence(log)
    bus = RabbitBus(rabbit.url, log)
    async with running(bus, Relay(log.pool, log, bus)):
        await until(lambda: bus.link == "up", within=30, what="the broker is linked")
        listening = await Link.open(rabbit.url, "somebody")
        queue = await listening.declare_queue("", CATCH)
        await listening.bind(queue, CHANGES, "tick")
        await listening.consume(queue, 500, hear)
        await until(lambda: len(heard) >= 4, within=20, what="four ticks")
        await listening.close()
    end = await log.position()
    pauses = [later[0] - earlier[0] for earlier, later in pairwise(heard)]
    assert min(pauses) > 0.5
    assert {seq for _, seq in heard} == {end.seq}
