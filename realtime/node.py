"""One realtime node: loads the state, follows the bus, tells every screen how fresh it is."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import structlog
from msgspec import Raw, Struct

from realtime.backoff import Backoff
from realtime.bus import Bus, Position
from realtime.change_log import change_of
from realtime.client import BUILD
from realtime.clock import Clock, WallClock
from realtime.database import DATABASE_AWAY, QUERIES, jsonb
from realtime.errors import TOO_MANY_REQUESTS, PositionLost, Refused
from realtime.hub import Hub
from realtime.log_state import HELD, RECENT_HELD, Loaded, LoadedLeg, LogState
from realtime.protocol import encode
from realtime.settings import Settings
from realtime.writers import writer

# Somewhat more than what may be recovered: LogState itself decides where that begins.
RECENT_SECONDS, RECENT_ROWS = 1020, RECENT_HELD + 1
MAX_LOADS, LOADS_AT_ONCE = 256, 2
LOAD_WITHIN = 3.0
CLOCK_EVERY = 1.0


class Feed(Struct, frozen=True):
    """A source that can fall silent, as a screen has to know it; `max_silence` in seconds."""

    code: str
    last_seen: datetime | None
    max_silence: float
    synthetic: bool
    airports: Mapping[str, Sequence[str]]
    """Where it stated legs, and there the boards whose times it answers for."""

    def state(self, wall: datetime) -> str:
        """fresh up to max_silence, late up to 3 × that, dead beyond."""
        if self.last_seen is None:
            return "dead"
        age = (wall - self.last_seen).total_seconds()
        if age <= self.max_silence:
            return "fresh"
        return "late" if age <= 3 * self.max_silence else "dead"


class Replayed(Struct, frozen=True):
    """The days that the clock replays; `again`: after its end it starts over."""

    day: str
    opens: datetime
    ends: datetime
    again: bool
    over: bool


class Node:
    """Owns the hub's state; nothing in it survives the process, all of it comes from the log."""

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        bus: Bus,
        settings: Settings,
        build: str = BUILD,
    ) -> None:
        self.pool = pool
        self.build = build
        self.bus = bus
        self.settings = settings
        self.hub = Hub(self.status_of, writer(settings.writer == "auto"))
        self.wall = WallClock()
        self.clock = Clock(self.wall.now(), self.wall.now())
        self.feeds: Sequence[Feed] = ()
        self.replay: Replayed | None = None
        self.newest: datetime | None = None
        self.away: str | None = "not loaded yet"
        self._loads: dict[str, asyncio.Task[None]] = {}
        self._turns = asyncio.Semaphore(LOADS_AT_ONCE)

    async def run(self) -> None:
        """Until cancelled; losing the database or the bus is waited out, nothing else is."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.bus.run(), name="bus")
            group.create_task(self.hub.run(), name="fan out")
            group.create_task(self._follow(), name="node follow")
            group.create_task(self._watch(), name="node watch")

    def not_ready(self) -> str | None:
        """Why this node should get no clients, or None."""
        if self.hub.state is None:
            return self.away or "not loaded yet"
        return None if self.hub.ready else "catching up with the change log"

    async def load_leg(self, leg_key: str) -> None:
        """Hold a leg that no board may show; whoever asks meanwhile waits for the same load."""
        load = self._loads.get(leg_key)
        if load is None:
            if len(self._loads) >= MAX_LOADS:
                raise Refused(TOO_MANY_REQUESTS)
            load = asyncio.create_task(self._load_leg(leg_key), name=f"load {leg_key}")
            self._loads[leg_key] = load
            load.add_done_callback(lambda _: self._loads.pop(leg_key))
        try:
            await asyncio.shield(load)
        except (*DATABASE_AWAY, PositionLost):
            raise Refused(TOO_MANY_REQUESTS) from None

    async def _load_leg(self, leg_key: str) -> None:
        async with asyncio.timeout(LOAD_WITHIN), self._turns:
            row = await self.pool.fetchrow(QUERIES["load_leg"], leg_key)
        state = self.hub.state
        if row is None or state is None:
            return
        if row["epoch"] != state.epoch:
            raise PositionLost(f"epoch {state.epoch} has ended")
        state.admit(LoadedLeg(row["leg_id"], row["version"], jsonb(row["state"])))
        if row["left_at"] is not None:
            state.moved.setdefault(leg_key, (row["leg_id"], row["left_at"]))

    def status_of(self, airport: str) -> Raw:
        """The body of `status:<IATA>` now."""
        wall = self.wall.now()
        state = self.hub.state
        age = None if self.newest is None else round((wall - self.newest).total_seconds(), 1)
        feeds = [
            {
                "code": feed.code,
                "state": feed.state(wall),
                "last_seen": feed.last_seen,
                "synthetic": feed.synthetic,
                "boards": feed.airports[airport],
            }
            for feed in self.feeds
            if airport in feed.airports
        ]
        body: dict[str, Any] = {
            "now": self.clock.now(wall),
            "wall": wall,
            "speed": self.clock.speed or 1,
            "build": self.build,
            "log": {"seq": 0 if state is None else state.seq, "age": age},
            "feeds": feeds,
        }
        if self.replay is not None:
            body["replay"] = self.replay
        return Raw(encode(body))

    async def _follow(self) -> None:
        backoff = Backoff()
        while True:
            try:
                state = await asyncio.to_thread(LogState, await self._load())
                self.away = None
                backoff.reset()
                await self._apply(state)
            except PositionLost as lost:
                structlog.get_logger().warning("position lost, loading afresh", reason=str(lost))
            except DATABASE_AWAY as error:
                if self.away is None:
                    structlog.get_logger().warning("database away", error=str(error))
                self.away = f"database: {error or type(error).__name__}"
                await asyncio.sleep(backoff.next())

    async def _apply(self, state: LogState) -> None:
        """Serve this state from the moment that the log has passed what the tables had."""
        if state.ready:
            self.hub.reset(state)
        async for changes in self.bus.follow(Position(state.epoch, state.seq)):
            if self.hub.state is state:
                self.hub.apply(changes)
            else:
                for change in changes:
                    state.apply(change)
                if state.ready:
                    self.hub.reset(state)
            self.newest = changes[-1].wall_at
            await asyncio.sleep(0)

    async def _load(self) -> Loaded:
        """Rows, the end of the log and its newest rows, in one snapshot."""
        async with (
            self.pool.acquire() as session,
            session.transaction(isolation="repeatable_read", readonly=True),
        ):
            end = await session.fetchrow(QUERIES["position"])
            assert end is not None
            hours = int(HELD / timedelta(hours=1))
            legs = await session.fetch(QUERIES["load_legs"], hours)
            leg_ids = [row["leg_id"] for row in legs]
            aliases = await session.fetch(QUERIES["load_aliases"], leg_ids)
            unsequenced = await session.fetch(QUERIES["load_unsequenced"])
            recent = await session.fetch(QUERIES["recent_log"], RECENT_SECONDS, RECENT_ROWS)
            floor = recent[0]["seq"] - 1 if recent else end["seq"]
            return Loaded(
                epoch=end["epoch"],
                seq=end["seq"],
                legs=[
                    LoadedLeg(row["leg_id"], row["version"], jsonb(row["state"])) for row in legs
                ],
                unsequenced={row["leg_id"]: row["version"] for row in unsequenced},
                recent=[change_of(row) for row in recent],
                clock_before=await session.fetchval(QUERIES["clock_before"], floor),
                aliases={row["key"]: (row["leg_id"], row["version"]) for row in aliases},
            )

    async def _watch(self) -> None:
        """Read the clock and the feeds, and publish freshness each 5 s and at once on a change."""
        said: tuple[object, ...] = ()
        published_at = read_at = float("-inf")
        loop = asyncio.get_running_loop()
        while True:
            try:
                await self._read_clock()
                stated = any(feed.airports for feed in self.feeds)
                if not stated or loop.time() - read_at >= self.settings.status_interval:
                    read_at = loop.time()
                    await self._read_feeds()
            except DATABASE_AWAY:
                pass  # known feeds go on ageing, and _follow has said it
            wall = self.wall.now()
            states = (
                self.replay,
                *((feed.code, feed.state(wall), feed.airports) for feed in self.feeds),
            )
            if states != said or loop.time() - published_at >= self.settings.status_interval:
                said, published_at = states, loop.time()
                self.hub.publish_status()
            await asyncio.sleep(min(CLOCK_EVERY, self.settings.status_interval))

    async def _read_clock(self) -> None:
        row = await self.pool.fetchrow(QUERIES["load_clock"])
        assert row is not None
        self.wall.read(row["wall"])
        self.clock = Clock(row["board_at"], row["wall_at"], row["speed"])
        self.replay = None
        if row["day"] is not None:
            self.replay = Replayed(row["day"], row["opens"], row["ends"], row["again"], row["over"])

    async def _read_feeds(self) -> None:
        rows = await self.pool.fetch(QUERIES["load_feeds"])
        self.feeds = [
            Feed(
                row["code"],
                row["last_seen_at"],
                row["max_silence"],
                row["synthetic"],
                msgspec.json.decode(row["airports"]),
            )
            for row in rows
        ]
