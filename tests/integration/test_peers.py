"""The line between a worker and the process that started it: a doorbell, questions and answers."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg
import msgspec

from realtime.bus_log import LogBus
from realtime.change_log import ChangeLog
from realtime.peers import Line, merged
from realtime.relay import Relay
from tests.support.bus import Reader, running
from tests.support.legs import add_legs, set_gate
from tests.support.wait import until

Pool = asyncpg.Pool
NEVER = 600.0


@asynccontextmanager
async def joined(first: Line, second: Line) -> AsyncIterator[None]:
    """Both ends run, and hear each other."""
    tasks = [asyncio.create_task(line.run(), name="line") for line in (first, second)]
    await until(lambda: first.ask("", 0.1), within=5, what="the first is heard")
    await until(lambda: second.ask("", 0.1), within=5, what="the second is heard")
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


async def test_the_bell_spares_a_worker_the_poll(pool: "Pool[asyncpg.Record]") -> None:
    """It would be asked for in ten minutes."""
    legs = await add_legs(pool, 1)
    log, bus = ChangeLog(pool), LogBus(ChangeLog(pool), awake=NEVER, idle=NEVER)
    ours, theirs = socket.socketpair()
    first, second = Line(ours, lambda: None), Line(theirs, bus.wake)
    relay = Relay(pool, log, None, first.ring)
    async with joined(first, second), running(relay):
        await until(
            lambda: pool.fetchval("SELECT last_seq > 0 FROM relay_state"), within=5, what="a log"
        )
        async with Reader(bus, await log.position()) as reader:
            for gate in ("22", "23"):
                end = await log.position()
                await set_gate(pool, legs[0], gate)
                await reader.has(end.seq + 1, 10)


async def test_many_rings_are_heard_as_few_and_questions_pass_between_them() -> None:
    ours, theirs = socket.socketpair()
    rung: list[int] = []
    first, second = Line(ours, lambda: None), Line(theirs, lambda: rung.append(1))

    async def answer(of: str) -> object:
        return {"of": of, "rung": len(rung)}

    second.answering = answer
    async with joined(first, second):
        for _ in range(10_000):
            first.ring()
        found = await first.ask("how")
        assert found is not None
        said = msgspec.json.decode(found, type=dict[str, object])
        assert said["of"] == "how"
        assert 1 <= len(rung) < 10_000
        answers = await asyncio.gather(*(first.ask(str(number)) for number in range(50)))
        names = [msgspec.json.decode(each or b"{}")["of"] for each in answers]
        assert names == [str(number) for number in range(50)]


async def test_an_end_that_stands_still_gives_no_answer_and_one_that_is_gone_ends_the_other() -> (
    None
):
    ours, theirs = socket.socketpair()
    line = Line(ours, lambda: None)
    task = asyncio.create_task(line.run(), name="line")
    assert await line.ask("how", 0.2) is None
    theirs.close()
    await asyncio.wait_for(task, 5)
    line.ring()
    assert await line.ask("how", 0.05) is None


def test_expositions_of_processes_become_one_that_tells_them_apart() -> None:
    text = "# HELP gatecast_x_total How many.\n# TYPE gatecast_x_total counter\n"
    one, two = text + 'gatecast_x_total{kind="a"} 2.0\n', text + "gatecast_x_total 3.0\n"
    found = merged({"serve": one, "worker-1": two}).decode().splitlines()
    assert found == [
        "# HELP gatecast_x_total How many.",
        "# TYPE gatecast_x_total counter",
        'gatecast_x_total{kind="a",process="serve"} 2.0',
        'gatecast_x_total{process="worker-1"} 3.0',
    ]
