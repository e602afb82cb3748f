"""From a commit in PostgreSQL to a frame in the hands of a WebSocket client.

One clock: writer and clients are one process and read CLOCK_MONOTONIC of one machine.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from time import monotonic

import asyncpg
from msgspec import Struct

from bench.arrivals import offer, poisson
from bench.samples import Figures, figures_of
from tests.support.client import RawClient
from tests.support.legs import add_legs, key_of
from tests.support.wait import until

BOARD = "board:JFK:departures"
LEGS = 100
ARRIVED_WITHIN = 20.0

Version = tuple[str, int]
"""A leg key and the version that a change gave it."""


class Run(Struct, frozen=True):
    """One load on one bus. `commit_to_*` count from the moment the commit was acknowledged,
    `intended_to_board` from the moment drawn for the change, so that nothing is left out when the
    writer waits. `missing` never came; `conflated` came as a newer version only."""

    bus: str
    rate: float
    seconds: float
    commit_to_board: Figures
    commit_to_flight: Figures
    intended_to_board: Figures
    write: Figures
    generator_late: Figures
    missing: int
    conflated: int
    load_average: tuple[float, float]


class Screen:
    """A connected client; when each version of a leg, or a newer one, came."""

    def __init__(self, client: RawClient) -> None:
        self.client = client
        self.came: dict[Version, float] = {}
        self.newest: dict[str, int] = {}
        self.conflated = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            line = await self.client.line()
            came = monotonic()
            if line == {}:
                await self.client.socket.send("{}")
            elif "pub" in line.get("push", {}):
                self._take(line["push"]["channel"], line["push"]["pub"], came)

    def _take(self, channel: str, publication: dict[str, object], came: float) -> None:
        if channel == BOARD:
            row = publication.get("data")
            if not isinstance(row, dict):
                return
            key, version = str(publication["key"]), int(row["version"])
        else:
            key, version = channel.removeprefix("flight:"), int(str(publication["offset"]))
        before = self.newest.get(key, version - 1)
        for each in range(before + 1, version + 1):
            self.came[key, each] = came
        self.conflated += max(0, version - before - 1)
        self.newest[key] = max(before, version)


class Bench:
    """Legs, the sessions that change them and the screens that show them."""

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        keys: dict[int, str],
        board: Screen,
        flights: Screen,
    ) -> None:
        self.pool = pool
        self.keys = keys
        self.legs = list(keys)
        self.board = board
        self.flights = flights
        self.changes = 0

    async def change(self) -> tuple[Version, float, float]:
        """One committed gate change: its version, when it was asked for, when acknowledged."""
        number = self.changes
        self.changes += 1
        leg_id = self.legs[number % len(self.legs)]
        gate = f"{'ABC'[number // len(self.legs) % 3]}{number % 90 + 1}"
        async with self.pool.acquire() as session:
            began = monotonic()
            version = await session.fetchval(
                "UPDATE flight_leg SET dep_gate = $2 WHERE leg_id = $1 RETURNING version",
                leg_id,
                gate,
            )
            return (self.keys[leg_id], version), began, monotonic()

    async def warm_up(self) -> None:
        """Each leg once, one after the other; then a second of rest."""
        for _ in self.legs:
            version, _, _ = await self.change()
            for screen in (self.board, self.flights):
                await self._arrived(screen, [version])
        await asyncio.sleep(1.0)

    async def run(self, bus: str, rate: float, seconds: float, dice: random.Random) -> Run:
        """Offer the load, wait for what is under way, count."""
        committed: dict[Version, float] = {}
        intended: dict[Version, float] = {}
        write: list[float] = []
        conflated = self.board.conflated + self.flights.conflated
        load_before = os.getloadavg()[0]

        async def begin(_: int, moment: float) -> None:
            version, began, acknowledged = await self.change()
            committed[version], intended[version] = acknowledged, moment
            write.append(acknowledged - began)

        late = await offer(poisson(dice, rate, seconds), begin)
        missing = await self._missing(list(committed))
        return Run(
            bus=bus,
            rate=rate,
            seconds=seconds,
            commit_to_board=figures_of(_between(committed, self.board.came)),
            commit_to_flight=figures_of(_between(committed, self.flights.came)),
            intended_to_board=figures_of(_between(intended, self.board.came)),
            write=figures_of(write),
            generator_late=figures_of(late),
            missing=missing,
            conflated=self.board.conflated + self.flights.conflated - conflated,
            load_average=(round(load_before, 2), round(os.getloadavg()[0], 2)),
        )

    async def _missing(self, versions: Sequence[Version]) -> int:
        """How many of them a screen still lacks after a while."""
        left = 0
        for screen in (self.board, self.flights):
            try:
                await self._arrived(screen, versions)
            except AssertionError:
                left += sum(each not in screen.came for each in versions)
        return left

    async def _arrived(self, screen: Screen, versions: Sequence[Version]) -> None:
        await until(
            lambda: all(each in screen.came for each in versions),
            within=ARRIVED_WITHIN,
            what="every change is on the screen",
        )


def _between(begun: dict[Version, float], came: dict[Version, float]) -> list[float]:
    """Durations; below zero where the frame was read before the acknowledgement."""
    return [came[each] - at for each, at in begun.items() if each in came]


@asynccontextmanager
async def connected(dsn: str, url: str) -> AsyncIterator[Bench]:
    """A board and a screen that follows every leg, in sync, before the first change."""
    async with (
        asyncpg.create_pool(dsn, min_size=8, max_size=8) as pool,
        RawClient(url, compression=None) as board,
        RawClient(url, compression=None) as flights,
    ):
        keys = {each: await key_of(pool, each) for each in await add_legs(pool, LEGS)}
        for client in (board, flights):
            await client.connect()
        await board.subscribe(BOARD)
        for key in keys.values():
            await flights.subscribe(f"flight:{key}")
        screens = Screen(board), Screen(flights)
        reading = [asyncio.create_task(each.run(), name="screen") for each in screens]
        try:
            bench = Bench(pool, keys, *screens)
            await bench.warm_up()
            yield bench
        finally:
            for task in reading:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)
