"""The feeds as they are registered, and the weight of their words."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.fields import PatchRefused
from api.merge import Authority

READ_FEEDS = text("""
    SELECT f.feed_id, f.code, f.priority, f.enabled, f.silent, board_now() AS now,
      coalesce(jsonb_object_agg(a.field_group, a.priority) FILTER (WHERE a.feed_id IS NOT NULL),
        '{}')::text AS groups
    FROM feed f LEFT JOIN feed_authority a USING (feed_id) GROUP BY f.feed_id""")
ADJUST_FEED = text("""
    UPDATE feed SET party = :party, synthetic = :synthetic, priority = :priority,
      max_silence = CAST(:max_silence AS interval), refresh = CAST(:refresh AS interval)
    WHERE code = :code""")
ADD_FEED = text("""
    INSERT INTO feed (code, party, synthetic, priority, max_silence, refresh)
    VALUES (:code, :party, :synthetic, :priority, CAST(:max_silence AS interval),
      CAST(:refresh AS interval))
    ON CONFLICT (code) DO NOTHING""")

SEEN = text("""
    UPDATE feed SET last_seen_at = wall_now(), silent = false,
      legs_taken = legs_taken + :taken, legs_refused = legs_refused + :refused,
      last_complaint = coalesce(CAST(:complaint AS text), last_complaint),
      last_complaint_at = CASE WHEN CAST(:complaint AS text) IS NULL THEN last_complaint_at
        ELSE wall_now() END,
      last_source_ts = greatest(last_source_ts, CAST(CAST(:newest AS text) AS timestamptz))
    WHERE code = :code AND enabled""")
COMPLAINT_SHOWN = 300


class FeedRow(Struct, frozen=True):
    """A feed as it stands, at a board time."""

    feed_id: int
    code: str
    now: datetime
    authority: Authority


class Registration(Struct, frozen=True):
    """What is said of a feed that is made known or adjusted."""

    code: str
    party: str
    synthetic: bool
    priority: int
    max_silence: timedelta | None
    refresh: timedelta | None


async def read_feeds(connection: AsyncConnection) -> dict[int, FeedRow]:
    """All feeds and the weight of their words."""
    feeds = {}
    for row in await connection.execute(READ_FEEDS):
        groups = msgspec.json.decode(row.groups)
        authority = Authority(row.priority, groups, row.enabled, row.silent)
        feeds[row.feed_id] = FeedRow(row.feed_id, row.code, row.now, authority)
    return feeds


async def register(connection: AsyncConnection, feed: Registration) -> None:
    """Make the feed known, or adjust it."""
    said = msgspec.structs.asdict(feed)
    if (await connection.execute(ADJUST_FEED, said)).rowcount == 0:
        await connection.execute(ADD_FEED, said)


async def hear(
    connection: AsyncConnection,
    code: str,
    newest: str | None = None,
    outcomes: Sequence[str | PatchRefused] = (),
) -> bool:
    """The feed lives, and this became of its words; false: it may not speak.

    `newest`: the source time of its newest word.
    """
    refused = [outcome for outcome in outcomes if isinstance(outcome, PatchRefused)]
    complaint = f"{refused[-1].code}: {refused[-1]}"[:COMPLAINT_SHOWN] if refused else None
    values = {
        "code": code, "newest": newest, "taken": len(outcomes) - len(refused),
        "refused": len(refused), "complaint": complaint,
    }  # fmt: skip
    return (await connection.execute(SEEN, values)).rowcount > 0


def authorities_of(feeds: Mapping[int, FeedRow]) -> dict[int, Authority]:
    """The weight of each feed's word."""
    return {feed.feed_id: feed.authority for feed in feeds.values()}
