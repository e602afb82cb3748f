"""The ordered memory of the system: sequence, read, positions."""

from collections.abc import Sequence

import asyncpg

from realtime.bus import Position
from realtime.database import QUERIES, jsonb
from realtime.errors import PositionLost
from realtime.flight import Change


def change_of(row: asyncpg.Record) -> Change:
    """A row of the log as a Change."""
    return Change(
        seq=row["seq"],
        kind=row["kind"],
        at=row["at"],
        wall_at=row["wall_at"],
        leg_id=row["leg_id"],
        version=row["version"],
        feed=row["feed"],
        changed=jsonb(row["changed"]),
        state=jsonb(row["state"]),
    )


class ChangeLog:
    """Reads and sequences the log through a pool; holds no position of its own."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self.pool = pool

    async def position(self) -> Position:
        """Where the log ends."""
        row = await self.pool.fetchrow(QUERIES["position"])
        assert row is not None
        return Position(row["epoch"], row["seq"])

    async def read(self, after: Position, limit: int = 500) -> list[Change]:
        """The next changes, dense from after.seq + 1; PositionLost when they cannot be had."""
        rows = await self.pool.fetch(QUERIES["read_log"], after.seq, limit)
        if not rows:
            await self.check(after)
        for expected, row in enumerate(rows, after.seq + 1):
            if row["epoch"] != after.epoch or row["seq"] != expected:
                raise PositionLost(f"{after.epoch}:{after.seq} is not followed by the log's rows")
        return [change_of(row) for row in rows]

    async def check(self, held: Position) -> Position:
        """Where the log ends; a held position that it contradicts makes a new epoch and is lost."""
        end = await self.position()
        if end.epoch == held.epoch and held.seq > end.seq:
            await self.pool.execute(QUERIES["new_epoch"], held.epoch, held.seq)
            raise PositionLost(f"the log ends at {end.seq}, before {held.seq}: a new epoch begins")
        if end.epoch != held.epoch:
            raise PositionLost(f"epoch {held.epoch} has ended")
        return end

    async def sequence(self, batch: int = 20_000) -> int:
        """Rows taken from the outbox; -1 when another relay is at it."""
        taken: int = await self.pool.fetchval(QUERIES["sequence"], batch)
        return taken

    async def adopt_database(self) -> bool:
        """True when the database was restored or promoted since the log was last written."""
        adopted: bool = await self.pool.fetchval(QUERIES["adopt_database"])
        return adopted


class OutboxProbe:
    """Asks, without a lock or a transaction id, whether sequencing may find anything."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self.pool = pool
        self.xmax = "0"
        self.xip: Sequence[str] = ()
        self.behind = True

    async def refresh(self) -> None:
        """Learn the sequencer's snapshot; to be called after each call that sequenced."""
        row = await self.pool.fetchrow(QUERIES["snapshot_of_sequencer"])
        assert row is not None
        self.xmax, self.xip, self.behind = row["xmax"], row["xip"], row["behind"]

    async def anything(self) -> bool:
        """May be true for rows that another relay took meanwhile; never false for untaken ones."""
        if self.behind:
            return True
        found: bool = await self.pool.fetchval(QUERIES["probe_outbox"], self.xmax, self.xip)
        return found
