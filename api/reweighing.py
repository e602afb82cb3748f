"""Legs are merged again once the authority of a feed that stated them is another. Elected work."""

import asyncio
from collections.abc import Callable, Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.draft import Draft
from api.feed_rows import authorities_of, read_feeds
from api.halving import by_halves
from api.ingest import (
    fill_drafts,
    weights_text,
    write_legs,
    write_weights,
)
from api.merge import Authority
from realtime.flight import parse_leg_key

BATCH = 500
LOOK_EACH = 15.0

FIND_LEGS = text("""
    SELECT DISTINCT s.leg_id
    FROM leg_statement s JOIN flight_leg l USING (leg_id)
      JOIN jsonb_to_recordset(CAST(:weights AS jsonb)) AS now (feed_id smallint, weight jsonb)
        ON s.feed_id = now.feed_id AND s.weight IS DISTINCT FROM now.weight
    WHERE greatest(l.best_dep, l.best_arr) > board_now() - interval '36 hours'
    ORDER BY s.leg_id LIMIT :batch""")
LOCK_LEGS = text("""
    SELECT key, leg_id, version, utc(std) AS std, utc(sta) AS sta, uncertain
    FROM flight_leg WHERE leg_id = ANY (:leg_ids) ORDER BY leg_id FOR UPDATE""")


class Reweighing:
    """Which legs are due is in the database: any process may go on where another one stopped."""

    def __init__(self, engine: AsyncEngine, wake: Callable[[], None]) -> None:
        self._engine = engine
        self._wake = wake
        self._settled: dict[int, Authority] | None = None
        self._look_at = 0.0

    async def turn(self) -> bool:
        """One batch of legs; True while more may be due."""
        clock = asyncio.get_running_loop().time
        async with self._engine.connect() as connection:
            feeds = await read_feeds(connection)
            authorities = authorities_of(feeds)
            if authorities == self._settled and clock() < self._look_at:
                return False
            found = {"weights": weights_text(authorities), "batch": BATCH}
            leg_ids = (await connection.execute(FIND_LEGS, found)).scalars().all()
        if await by_halves(leg_ids, self._together, self._refused):
            self._wake()
        if len(leg_ids) == BATCH:
            return True
        self._settled, self._look_at = authorities, clock() + LOOK_EACH
        return False

    async def _together(self, leg_ids: Sequence[int]) -> bool:
        async with self._engine.begin() as connection:
            return await _reweigh(connection, leg_ids, only_noted=False)

    async def _refused(self, leg_id: int) -> bool:
        """It stays as it is."""
        async with self._engine.begin() as connection:
            return await _reweigh(connection, [leg_id], only_noted=True)


async def _reweigh(
    connection: AsyncConnection, leg_ids: Sequence[int], *, only_noted: bool
) -> bool:
    feeds = await read_feeds(connection)
    authorities = authorities_of(feeds)
    rows = (await connection.execute(LOCK_LEGS, {"leg_ids": list(leg_ids)})).all()
    drafts = [Draft(parse_leg_key(row.key), 0, authorities) for row in rows]
    await fill_drafts(connection, list(zip(drafts, rows, strict=True)))
    changed = [] if only_noted else [draft for draft in drafts if draft.columns]
    by_feed: dict[str | None, list[Draft]] = {}
    for draft in changed:
        feed_id, draft.as_of = draft.speaker() or (0, None)
        # Nobody says any more what stood there: that is the work of whoever switched the feed off.
        by_feed.setdefault(feeds[feed_id].code if feed_id else None, []).append(draft)
    for code, theirs in by_feed.items():
        await write_legs(connection, code, theirs)
    await write_weights(connection, authorities, drafts)
    return bool(changed)
