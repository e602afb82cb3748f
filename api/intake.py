"""A body of any format on its way to ingest: read, its legs found, applied, its faults kept.

Whether it came over HTTP, in a folder, on a topic or from a poll makes no difference here.
"""

import asyncio
import hashlib
from datetime import datetime

import msgspec
from msgspec import Struct
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from api.database import Sessions
from api.feed import Complaint, Patch, Reading
from api.feed_formats import Format, format_of
from api.feed_manner import BodyRefused, Manner
from api.feed_messages import keep, kept, outcome_of
from api.feed_rows import COMPLAINT_SHOWN
from api.ingest import Ingest, Result, UnknownFeed
from api.leg_ends import with_both_ends
from api.models import Feed
from api.problems import database_is_away

MOST_UNKNOWN = 200

NOTE_COMPLAINT = text("""
    UPDATE feed SET last_complaint = :text, last_complaint_at = wall_now(),
      legs_refused = legs_refused + :refused WHERE code = :code""")
EXPECT = text("""
    UPDATE feed SET refresh = coalesce(refresh, make_interval(secs => :seconds)),
      max_silence = greatest(max_silence, make_interval(secs => 3 * :seconds))
    WHERE code = :code""")
COUNT_UNKNOWN = text("""
    INSERT INTO feed_unknown AS held (feed_id, word, times)
    SELECT f.feed_id, new.key, new.value::bigint
    FROM feed f, jsonb_each_text(CAST(:words AS jsonb)) AS new
    WHERE f.code = :code AND ((SELECT count(*) FROM feed_unknown u WHERE u.feed_id = f.feed_id)
        < :most OR EXISTS (SELECT FROM feed_unknown u WHERE (u.feed_id, u.word)
          = (f.feed_id, new.key)))
    ORDER BY new.key
    ON CONFLICT (feed_id, word)
      DO UPDATE SET times = held.times + excluded.times, last_at = wall_now()""")


class BodyAnswer(Struct, frozen=True):
    """`records`: the place in the body of each result's leg. `unknown`: words without a meaning."""

    results: list[Result]
    records: list[int]
    complaints: list[Complaint]
    unknown: dict[str, int]


def database_waits(error: Exception) -> bool:
    """Whether the database is out of reach, so that the same body has to be tried again."""
    return isinstance(error, (SQLAlchemyError, OSError)) and database_is_away(error)


class Intake:
    """Takes bodies of feeds; BodyRefused, or UnknownFeed, when nothing of one is taken."""

    def __init__(self, sessions: Sessions, ingest: Ingest) -> None:
        self._sessions = sessions
        self._ingest = ingest

    async def take(
        self,
        feed: str,
        format: str,
        body: bytes,
        manner: Manner | None = None,
        message_id: str | None = None,
    ) -> bytes:
        """The answer as JSON of a BodyAnswer; a message that came before is answered as then.

        `format`: a name of `api/feed_formats.py`, or `any`.
        """
        feed_id = await self.feed_id(feed)
        found = await self._format(feed, format, body)
        if message_id is None and found.hashed:
            message_id = "sha256:" + hashlib.sha256(body).hexdigest()
        if message_id is not None:
            known = await kept(self._sessions, feed_id, message_id)
            if known is not None:
                return known
        answer = await self.apply(feed, await self.read(feed, found, body, manner or Manner()))
        encoded = msgspec.json.encode(answer)
        if message_id is None:
            return encoded
        outcome = outcome_of(answer.results, len(answer.complaints))
        return await keep(self._sessions, feed_id, message_id, outcome, encoded)

    async def take_if_any(self, feed: str, format: str, body: bytes, manner: Manner) -> bool:
        """Take the body of a source that is asked; false: it speaks of no flight at all."""
        found = await self._format(feed, format, body)
        reading = await self.read(feed, found, body, manner)
        if not reading.patches:
            await self.note(feed, reading.complaints, reading.unknown)
            return False
        await self.apply(feed, reading)
        return True

    async def heartbeat(self, feed: str) -> None:
        """The source lives and has nothing new to say."""
        await self._ingest.heartbeat(feed)

    async def now(self) -> datetime:
        """Board time."""
        async with self._sessions() as session:
            found: datetime = (await session.execute(select(func.board_now()))).scalar_one()
        return found

    async def expect_each(self, feed: str, seconds: float) -> None:
        """The feed is asked so often: it states everything again, and is late after three times."""
        async with self._sessions.begin() as session:
            await session.execute(EXPECT, {"code": feed, "seconds": seconds})

    async def read(self, feed: str, format: Format, body: bytes, manner: Manner) -> Reading:
        """What the body says; a refusal is kept as the feed's last complaint."""
        reference = await self._ingest.reference()
        now = await self.now()
        try:
            return await asyncio.to_thread(format.parse, body, now, reference, manner)
        except BodyRefused as refused:
            await self.note(feed, [Complaint(code="bad_body", text=str(refused))], {})
            raise

    async def apply(self, feed: str, reading: Reading) -> BodyAnswer:
        """Bring what was read into the legs; a feed with nothing new to say lives all the same."""
        reference = await self._ingest.reference()
        async with self._sessions() as session:
            found = await with_both_ends(session, reading.patches, reference)
        legs = [leg for leg in found if isinstance(leg, Patch)]
        if not legs:
            await self._ingest.heartbeat(feed)
        results = await self._ingest.apply(feed, legs)
        records, lost = [], []
        for leg, record in zip(found, reading.records, strict=True):
            if isinstance(leg, Patch):
                records.append(record)
            else:
                lost.append(msgspec.structs.replace(leg, record=record))
        complaints = [*reading.complaints, *lost]
        await self.note(feed, complaints, reading.unknown)
        return BodyAnswer(results, records, complaints, reading.unknown)

    async def feed_id(self, feed: str) -> int:
        """The feed's id; UnknownFeed when it may not speak."""
        async with self._sessions() as session:
            query = select(Feed.feed_id).where(Feed.code == feed, Feed.enabled)
            feed_id = await session.scalar(query)
        if feed_id is None:
            raise UnknownFeed(f"feed {feed!r} is not registered or not enabled")
        return feed_id

    async def _format(self, feed: str, name: str, body: bytes) -> Format:
        try:
            return format_of(name, body)
        except BodyRefused as refused:
            await self.note(feed, [Complaint(code="bad_body", text=str(refused))], {})
            raise

    async def note(self, feed: str, complaints: list[Complaint], unknown: dict[str, int]) -> None:
        """What an operator wants to see of the feed, bounded."""
        if not complaints and not unknown:
            return
        async with self._sessions.begin() as session:
            if complaints:
                shown = f"{complaints[-1].code}: {complaints[-1].text}"[:COMPLAINT_SHOWN]
                values = {"text": shown, "refused": len(complaints), "code": feed}
                await session.execute(NOTE_COMPLAINT, values)
            if unknown:
                words = msgspec.json.encode(unknown).decode()
                values = {"words": words, "most": MOST_UNKNOWN, "code": feed}
                await session.execute(COUNT_UNKNOWN, values)
