"""Readers of a bus, and what a relay does by hand."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from realtime.bus import Position
from realtime.bus_log import LogBus
from realtime.bus_rabbitmq import RabbitBus
from realtime.change_log import ChangeLog
from realtime.errors import PositionLost, Unconfirmed
from realtime.flight import Change
from realtime.relay import Relay
from tests.support.legs import set_gate
from tests.support.wait import until

Bus = LogBus | RabbitBus


class Reader:
    """Follows a bus as a node does; `gate` cleared makes it a slow one."""

    def __init__(self, bus: Bus, after: Position) -> None:
        self.changes: list[Change] = []
        self.delays: list[tuple[datetime, float]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._task = asyncio.create_task(self._follow(bus, after), name="reader")

    @property
    def seqs(self) -> list[int]:
        return [change.seq for change in self.changes]

    async def lost(self, within: float) -> str:
        """The reason of the PositionLost with which it ends."""
        with pytest.raises(PositionLost) as raised:
            await asyncio.wait_for(asyncio.shield(self._task), within)
        return str(raised.value)

    async def has(self, seq: int, within: float) -> None:
        """It has got the row `seq`."""
        await until(
            lambda: self._task.done() or (bool(self.changes) and self.changes[-1].seq >= seq),
            within=within,
            what=f"row {seq} arrived",
        )
        if self._task.done():
            self._task.result()

    async def _follow(self, bus: Bus, after: Position) -> None:
        async for changes in bus.follow(after):
            now = datetime.now(UTC)
            self.changes += changes
            self.delays += [(now, (now - each.wall_at).total_seconds()) for each in changes]
            await self.gate.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError, PositionLost):
            await self._task


@asynccontextmanager
async def running(*parts: Bus | Relay) -> AsyncIterator[None]:
    """Parts of a process, stopped at the end; one that ended by itself is a failure."""
    tasks = [asyncio.create_task(part.run(), name=type(part).__name__) for part in parts]
    try:
        yield
    finally:
        ended = [task for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert not ended


async def sequence(log: ChangeLog) -> None:
    while await log.sequence() > 0:
        pass


async def write(log: ChangeLog, updates: int, legs: Sequence[int] | None = None) -> Position:
    """Give every leg (or those named) as many new gates; where the log then ends."""
    for _ in range(updates):
        gate = f"G{random.randrange(10**8)}"
        if legs is None:
            await log.pool.execute("UPDATE flight_leg SET dep_gate = $1", gate)
        else:
            for leg_id in legs:
                await set_gate(log.pool, leg_id, gate)
        await sequence(log)
    return await log.position()


async def read(log: ChangeLog, after: int) -> list[Change]:
    """All rows after a seq."""
    rows: list[Change] = []
    position = Position((await log.position()).epoch, after)
    while batch := await log.read(position):
        rows += batch
        position = Position(position.epoch, batch[-1].seq)
    return rows


async def carry(bus: Bus, log: ChangeLog, after: int) -> None:
    """What a relay does once the log has grown."""
    if isinstance(bus, LogBus):
        bus.wake()
    elif changes := await read(log, after):
        await bus.publish((await log.position()).epoch, changes)
        await bus.tick(await log.position())


async def linked(bus: Bus, within: float = 30.0) -> None:
    """The broker, where there is one, is in use."""
    if isinstance(bus, RabbitBus):
        await until(lambda: bus.link == "up", within=within, what="the broker is linked")


async def live(bus: Bus, log: ChangeLog, reader: Reader) -> Position:
    """The reader has everything, and what comes now comes over the bus; where the log ends."""
    await linked(bus)
    start = await log.position()
    await write(log, 1)
    await until_published(bus, log, start.seq)
    end = await log.position()
    await reader.has(end.seq, 5)
    return end


async def waited(bus: Bus, within: float) -> float:
    """For how long wait_work did."""
    clock = asyncio.get_running_loop().time
    began_at = clock()
    await bus.wait_work(within)
    return clock() - began_at


async def drained(bus: RabbitBus) -> None:
    """What earlier tests have left in the queue is gone."""
    await bus.wait_work(0)
    await linked(bus)
    while await waited(bus, 0.5) < 0.5:
        pass


async def until_published(bus: Bus, log: ChangeLog, after: int) -> None:
    """A relay's patience."""

    async def published() -> bool:
        try:
            await carry(bus, log, after)
        except Unconfirmed:
            return False
        return True

    await until(published, within=30, what="the broker takes changes again", every=0.2)


OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@asynccontextmanager
async def absent(dsn: str) -> AsyncIterator[None]:
    """The database has ended all sessions and accepts none meanwhile."""
    address = parse_qs(urlsplit(dsn).query)
    listening = Path(address["host"][0]) / f".s.PGSQL.{address['port'][0]}"
    hidden = listening.with_name("hidden")
    session = await asyncpg.connect(dsn)

    async def alone() -> bool:
        ended: int = await session.fetchval(f"SELECT count(pg_terminate_backend(pid)) {OTHERS}")
        return ended == 0

    listening.rename(hidden)
    try:
        await until(alone, within=5, what="all sessions have ended")
        yield
    finally:
        hidden.rename(listening)
        await session.close()
