"""A leg that a repeating feed no longer repeats becomes uncertain. Elected work.

Its next statement makes it certain again: that is ingest's.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.draft import Draft
from api.feed_rows import FeedRow, authorities_of, read_feeds
from api.halving import by_halves
from api.ingest import fill_drafts, write_legs
from realtime.flight import parse_leg_key

BATCH = 500
LOOK_EACH = 15.0

# Confirmations are in board time, as the repetitions of a replayed feed are; silence is wall time.
OVERDUE = """
    f.enabled AND l.confirmed_at < (SELECT board_now()) - 3 * f.refresh
      AND (f.max_silence IS NULL OR f.last_seen_at >= (SELECT wall_now()) - f.max_silence)"""
FIND_LEGS = text(f"""
    SELECT l.leg_id FROM flight_leg l
    WHERE l.leg_id > :after AND NOT l.uncertain AND NOT l.hidden
      AND l.phase NOT IN ('in_block', 'bags_done')
      AND EXISTS (SELECT FROM (VALUES (l.best_dep), (l.best_arr)) AS best (at) WHERE at
        BETWEEN (SELECT board_now()) - interval '3 h' AND (SELECT board_now()) + interval '3 h')
      AND EXISTS (SELECT FROM leg_statement s JOIN feed f USING (feed_id)
        WHERE s.leg_id = l.leg_id AND {OVERDUE})
    ORDER BY l.leg_id LIMIT :batch""")
LOCK_LEGS = text(f"""
    SELECT key, leg_id, version, utc(std) AS std, utc(sta) AS sta, uncertain,
      ARRAY(SELECT f.feed_id FROM feed f WHERE {OVERDUE}) AS overdue
    FROM flight_leg l WHERE leg_id = ANY (:leg_ids) AND NOT uncertain
    ORDER BY leg_id FOR UPDATE""")


class Uncertainty:
    """Looks at the legs around now, in batches; any process may go on where another one stopped."""

    def __init__(self, engine: AsyncEngine, wake: Callable[[], None]) -> None:
        self._engine = engine
        self._wake = wake
        self._after = 0
        self._look_at = 0.0

    async def turn(self) -> bool:
        """One batch of legs; True while more may be due."""
        clock = asyncio.get_running_loop().time
        if clock() < self._look_at:
            return False
        async with self._engine.connect() as connection:
            due = {"after": self._after, "batch": BATCH}
            leg_ids = (await connection.execute(FIND_LEGS, due)).scalars().all()
        if await by_halves(leg_ids, self._together, _refused):
            self._wake()
        if len(leg_ids) == BATCH:
            self._after = leg_ids[-1]
            return True
        self._after, self._look_at = 0, clock() + LOOK_EACH
        return False

    async def _together(self, leg_ids: Sequence[int]) -> bool:
        async with self._engine.begin() as connection:
            return await _make_uncertain(connection, leg_ids)


async def _refused(leg_id: int) -> bool:
    structlog.get_logger().warning("the database refuses to doubt a leg", leg_id=leg_id)
    return False


async def _make_uncertain(connection: AsyncConnection, leg_ids: Sequence[int]) -> bool:
    feeds = await read_feeds(connection)
    rows = (await connection.execute(LOCK_LEGS, {"leg_ids": list(leg_ids)})).all()
    by_feed: dict[int, list[Draft]] = {}
    for teller, draft in await _told(connection, feeds, rows):
        draft.columns = {"uncertain": True}
        by_feed.setdefault(teller, []).append(draft)
    for feed_id, drafts in by_feed.items():
        await write_legs(connection, feeds[feed_id].code, drafts)
    return bool(by_feed)


async def _told(
    connection: AsyncConnection, feeds: dict[int, FeedRow], rows: Sequence[Row[Any]]
) -> list[tuple[int, Draft]]:
    """The legs whose teller owes a repetition, each with that feed."""
    authorities = authorities_of(feeds)
    drafts = [(Draft(parse_leg_key(row.key), 0, authorities), row) for row in rows]
    await fill_drafts(connection, drafts)
    return [
        (teller, draft)
        for draft, row in drafts
        if (teller := draft.teller()) is not None and teller in row.overdue
    ]
