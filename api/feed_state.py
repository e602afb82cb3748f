"""How each feed does: when it was last heard, and what of it was taken or refused."""

from datetime import datetime, timedelta

import msgspec
from msgspec import Struct
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from realtime.node import Feed

READ_FEEDS = text("""
SELECT f.code, f.party, f.enabled, f.synthetic, f.max_silence, f.refresh,
  f.last_seen_at, f.last_source_ts, wall_now() AS wall, m.taken, m.partly, m.refused,
  f.legs_taken, f.legs_refused, f.last_complaint, f.last_complaint_at,
  extract(epoch FROM board_now() - f.last_source_ts)::double precision AS lag,
  (SELECT coalesce(jsonb_object_agg(word, times), '{}')::text FROM feed_unknown u
   WHERE u.feed_id = f.feed_id) AS unknown,
  (SELECT count(*) FROM leg_statement s WHERE s.feed_id = f.feed_id) AS legs,
  (SELECT count(*) FROM leg_change c
   WHERE c.feed = f.code AND c.at > board_now() - interval '1 day') AS changes
FROM feed f, LATERAL (
  SELECT count(*) FILTER (WHERE outcome = 'taken') AS taken,
    count(*) FILTER (WHERE outcome = 'partly') AS partly,
    count(*) FILTER (WHERE outcome = 'refused') AS refused
  FROM feed_message m WHERE m.feed_id = f.feed_id) m
ORDER BY f.code""")


class Bodies(Struct, frozen=True):
    """Bodies over HTTP that named themselves, of the last day, by what became of their legs."""

    taken: int
    partly: int
    refused: int


class FeedState(Struct, frozen=True, kw_only=True):
    """One feed; `legs`: of which it has said something, `changes`: visible ones of a board day.

    `lag`: board seconds since its newest statement. `unknown`: how often which word came that has
    no meaning here.
    """

    code: str
    party: str
    state: str
    synthetic: bool
    last_seen: datetime | None
    silent: float | None
    max_silence: float | None
    refresh: float | None
    last_source_ts: datetime | None
    lag: float | None
    bodies: Bodies
    legs_taken: int
    legs_refused: int
    last_complaint: str | None
    last_complaint_at: datetime | None
    unknown: dict[str, int]
    legs: int
    changes: int


async def read_feed_states(session: AsyncSession) -> list[FeedState]:
    """All feeds by code, as of the database's clock."""
    rows = (await session.execute(READ_FEEDS)).all()
    return [
        FeedState(
            code=row.code,
            party=row.party,
            state=_state(row.enabled, row.last_seen_at, row.max_silence, row.wall),
            synthetic=row.synthetic,
            last_seen=row.last_seen_at,
            silent=(row.wall - row.last_seen_at).total_seconds() if row.last_seen_at else None,
            max_silence=row.max_silence.total_seconds() if row.max_silence else None,
            refresh=row.refresh.total_seconds() if row.refresh else None,
            last_source_ts=row.last_source_ts,
            lag=row.lag,
            bodies=Bodies(row.taken, row.partly, row.refused),
            legs_taken=row.legs_taken,
            legs_refused=row.legs_refused,
            last_complaint=row.last_complaint,
            last_complaint_at=row.last_complaint_at,
            unknown=msgspec.json.decode(row.unknown, type=dict[str, int]),
            legs=row.legs,
            changes=row.changes,
        )
        for row in rows
    ]


def _state(
    enabled: bool, last_seen: datetime | None, max_silence: timedelta | None, wall: datetime
) -> str:
    """As `status:` says it; a feed that is off or never late has no freshness."""
    if not enabled:
        return "off"
    if max_silence is None:
        return "fresh"
    return Feed("", last_seen, max_silence.total_seconds(), False, {}).state(wall)
