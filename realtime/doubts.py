"""Which claimed cancellations are too many at once to be told, as the database has them now."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import asyncpg
import structlog

from realtime.database import QUERIES
from realtime.notice_guard import (
    AT_ONCE,
    DOUBTED,
    Cancellation,
    Crowd,
    Doubt,
    Ruling,
    doubts,
)

Rows = Sequence[asyncpg.Record]


class Doubts:
    """Reads what the guard decides by, and says once for each airport and crowd that it holds."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self.pool = pool
        self.held = 0
        self._said: dict[str, datetime] = {}

    async def of(self, claimed: Rows) -> Mapping[int, Doubt]:
        """By leg, of what `load_claimed` gave."""
        legs = list({row["leg_id"] for row in claimed if "cancelled" in row["kinds"]})
        if not legs:
            return {}
        rows = await self.pool.fetch(QUERIES["cancellations"], legs, DOUBTED.total_seconds())
        found = [
            Cancellation(row["leg_id"], row["at"], tuple(row["airports"]), row["confirmed"])
            for row in rows
        ]
        if not found:
            return {}
        airports = list({airport for one in found for airport in one.airports})
        lately = (DOUBTED + AT_ONCE).total_seconds()
        crowds = [_crowd(row) for row in await self.pool.fetch(QUERIES["crowds"], airports, lately)]
        now = claimed[0]["board_at"]
        doubted = doubts(found, {crowd.airport: crowd for crowd in crowds}, now)
        self.held += sum(row["leg_id"] in doubted for row in claimed)
        self._say(doubted.values(), now)
        return doubted

    def _say(self, doubted: Iterable[Doubt], now: datetime) -> None:
        for doubt in doubted:
            said = self._said.get(doubt.airport)
            if said is None or not said <= now < said + DOUBTED:
                self._said[doubt.airport] = now
                structlog.get_logger().warning(
                    "notices of cancellations are held",
                    airport=doubt.airport,
                    reason=doubt.reason,
                    hint=f"gatecast notices release {doubt.airport}, or block",
                )


def _crowd(row: asyncpg.Record) -> Crowd:
    ruling = None if row["tell"] is None else Ruling(row["tell"], row["since"], row["until"])
    return Crowd(row["airport"], row["upcoming"], row["cancelled"], ruling)
