"""What feeds say becomes columns of flight legs; the only writer of legs from feeds.

The commit publishes; `wake` only spares the relay its next poll.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Row, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.draft import Draft, Outcome
from api.feed import Patch, Reference
from api.feed_rows import Registration, authorities_of, hear, read_feeds, register
from api.fields import FIELDS, PatchRefused, Said, read_patch, source_time
from api.identity import correct_derived, dated, in_iata, needs_reference
from api.leg_keys import rename, under_own_keys
from api.merge import EMPTY, Authority
from api.reference import ReferenceTables
from realtime.errors import GatecastError
from realtime.flight import LegKey

BATCH = 500
ATTEMPTS = 3
# A deadlock, or somebody inserted the leg by hand meanwhile.
IN_VAIN = frozenset({"40P01", "23505"})

IDENTITY = ("airline", "flight_no", "suffix", "origin_date", "dep_airport", "arr_airport")
MERGED = (*FIELDS, "codeshares", "repeat_no")
WRITTEN = (*MERGED, "uncertain")
REQUIRED: Mapping[str, Any] = {**EMPTY, "irregularity": "none", "repeat_no": 1, "uncertain": False}

COUNT_LEGS = text("SELECT count(*) FROM flight_leg WHERE key = ANY (:keys)")
FIND_LEGS = text("SELECT key FROM flight_leg WHERE key = ANY (:keys)")
LOCK_INSERTS = text("SELECT pg_advisory_xact_lock(hashtext('gatecast new legs'))")
LOCK_LEGS = text("""
    SELECT key, leg_id, version, utc(std) AS std, utc(sta) AS sta, uncertain
    FROM flight_leg WHERE key = ANY (:keys) ORDER BY leg_id FOR UPDATE""")
READ_STATEMENTS = text("""
    SELECT leg_id, feed_id, fields::text AS fields, weight::text AS weight
    FROM leg_statement WHERE leg_id = ANY (:leg_ids)""")
ADD_AIRPORTS = text("""
    INSERT INTO airport (iata, name, placeholder)
    SELECT iata, iata, true FROM unnest(CAST(:codes AS text[])) AS new (iata)
    WHERE NOT EXISTS (SELECT FROM airport known WHERE known.iata = new.iata)
    ORDER BY iata ON CONFLICT DO NOTHING""")
SAY_WHO = text("""
    SELECT set_config('gatecast.feed', :feed, true),
      set_config('gatecast.source_ts', :source_ts, true)""")
INSERT_LEGS = text(f"""
    INSERT INTO flight_leg ({", ".join(IDENTITY + WRITTEN)})
    SELECT {", ".join(IDENTITY + WRITTEN)}
    FROM jsonb_populate_recordset(NULL::flight_leg, CAST(:legs AS jsonb))
    RETURNING key, leg_id, version""")
UPDATE_LEGS = text(f"""
    UPDATE flight_leg AS l SET ({", ".join(WRITTEN)}, confirmed_at) = (
      SELECT {", ".join("p." + name for name in WRITTEN)},
        CASE WHEN said.confirmed THEN board_now() ELSE l.confirmed_at END
      FROM jsonb_populate_record(l, said.columns) AS p)
    FROM jsonb_to_recordset(CAST(:legs AS jsonb))
      AS said (leg_id bigint, columns jsonb, confirmed boolean)
    WHERE l.leg_id = said.leg_id
    RETURNING l.key, l.leg_id, l.version""")
# Who repeats itself within half its period tells nothing new of when it was last heard.
CONFIRM_LEGS = text("""
    UPDATE flight_leg SET confirmed_at = board_now()
    WHERE leg_id = ANY (:leg_ids) AND confirmed_at < board_now() - (
      SELECT coalesce(refresh / 2, interval '10 minutes') FROM feed WHERE feed_id = :feed_id)""")
WRITE_STATEMENTS = text("""
    INSERT INTO leg_statement AS held (leg_id, feed_id, fields, as_of, weight)
    SELECT leg_id, :feed_id, fields, as_of, CAST(:weight AS jsonb)
    FROM jsonb_to_recordset(CAST(:statements AS jsonb))
      AS said (leg_id bigint, fields jsonb, as_of timestamptz)
    ON CONFLICT (leg_id, feed_id)
      DO UPDATE SET fields = excluded.fields, as_of = greatest(held.as_of, excluded.as_of),
        weight = excluded.weight""")
WRITE_WEIGHTS = text("""
    UPDATE leg_statement AS held SET weight = now.weight
    FROM jsonb_to_recordset(CAST(:weights AS jsonb)) AS now (feed_id smallint, weight jsonb)
    WHERE held.leg_id = ANY (:leg_ids) AND held.feed_id = now.feed_id
      AND held.weight IS DISTINCT FROM now.weight""")


class UnknownFeed(GatecastError):
    """Nobody registered this feed, or it is switched off."""


class Result(Struct, frozen=True, omit_defaults=True):
    """What became of one patch."""

    key: str
    outcome: Outcome
    version: int | None = None
    code: str | None = None
    field: str | None = None
    text: str | None = None


class Source(Struct, frozen=True):
    """The feed that speaks, and the weight of everyone's word, at a board time."""

    feed_id: int
    code: str
    now: datetime
    authorities: Mapping[int, Authority]


class Ingest:
    """Applies patches, each batch in one transaction; the legs' locks are taken in one order."""

    def __init__(self, engine: AsyncEngine, wake: Callable[[], None]) -> None:
        self.outcomes: Counter[tuple[str, str]] = Counter()  # of legs, by feed
        self.refusals: Counter[tuple[str, str]] = Counter()
        self._engine = engine
        self._wake = wake
        self._tables = ReferenceTables()

    async def reference(self) -> Reference:
        """Carriers and airports by their codes, at most a minute old."""
        async with self._engine.connect() as connection:
            return await self._tables.read(connection)

    async def apply(self, feed_code: str, patches: Sequence[Patch]) -> list[Result]:
        """One result a patch, in their order; UnknownFeed when the feed may not speak."""
        results: list[Result] = []
        for start in range(0, len(patches), BATCH):
            results += await self._apply_apart(feed_code, patches[start : start + BATCH])
        self.count(feed_code, results)
        return results

    def count(self, feed_code: str, results: Iterable[Result]) -> None:
        """For the metrics; the feed is one that is registered."""
        for result in results:
            self.outcomes[feed_code, result.outcome] += 1
            if result.code is not None:
                self.refusals[feed_code, result.code] += 1

    async def heartbeat(self, feed_code: str) -> None:
        """The feed lives and has nothing new to say."""
        async with self._engine.begin() as connection:
            heard = await hear(connection, feed_code)
        if not heard:
            raise UnknownFeed(f"feed {feed_code!r} is not registered or not enabled")

    async def correct_key(self, feed_code: str, wrong: LegKey, right: LegKey) -> int | None:
        """The leg gets its right key and stays the same leg; its version, None: no such leg."""
        async with self._engine.begin() as connection:
            source = await _source(connection, feed_code)
            codes = {"codes": sorted({right.dep, right.arr})}
            await connection.execute(ADD_AIRPORTS, codes)
            await connection.execute(SAY_WHO, {"feed": source.code, "source_ts": None})
            version = await rename(connection, wrong, right)
        if version is not None:
            self._wake()
        return version

    async def register_feed(
        self,
        code: str,
        party: str,
        *,
        synthetic: bool = False,
        priority: int = 100,
        max_silence: timedelta | None = timedelta(minutes=5),
        refresh: timedelta | None = None,
    ) -> None:
        """Make the feed known, or adjust it; whether it is enabled stays as it is.

        `refresh`: how often the feed states all of its legs again, if it does.
        """
        said = Registration(code, party, synthetic, priority, max_silence, refresh)
        async with self._engine.begin() as connection:
            await register(connection, said)

    async def _apply_apart(self, feed_code: str, patches: Sequence[Patch]) -> list[Result]:
        """Apply together; legs that the database refuses are found by halving and left out."""
        try:
            return await self._apply_together(feed_code, patches)
        except DBAPIError as error:
            if not is_fault_of_a_leg(error):
                raise
        if len(patches) == 1:
            key = patches[0].key.text()
            return [Result(key, "refused", code="internal", text="the database refused it")]
        half = len(patches) // 2
        return [
            *await self._apply_apart(feed_code, patches[:half]),
            *await self._apply_apart(feed_code, patches[half:]),
        ]

    async def _apply_together(self, feed_code: str, patches: Sequence[Patch]) -> list[Result]:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with self._engine.begin() as connection:
                    named = await self._named(connection, patches)
                    results = await _apply(connection, feed_code, named)
                break
            except DBAPIError as error:
                if attempt == ATTEMPTS or sqlstate(error) not in IN_VAIN:
                    raise
        if any(result.outcome == "applied" for result in results):
            self._wake()
        return results

    async def _named(
        self, connection: AsyncConnection, patches: Sequence[Patch]
    ) -> Sequence[Patch]:
        """Each by the key of its leg, whatever the feed calls it."""
        if needs_reference(patches):
            reference = await self._tables.read(connection)
            patches = [in_iata(patch, reference) for patch in patches]
            if any(patch.key.origin_date is None for patch in patches):
                # Else two feeds could each find that there is no such leg yet.
                await connection.execute(LOCK_INSERTS)
                patches = await dated(connection, patches, reference)
        return await under_own_keys(connection, patches)


async def _apply(
    connection: AsyncConnection, feed_code: str, patches: Sequence[Patch]
) -> list[Result]:
    source = await _source(connection, feed_code)
    read = [_read(patch, source.now) for patch in patches]
    keys = {
        str(patch.key.leg_key()): patch
        for patch, said in zip(patches, read, strict=True)
        if not isinstance(said, PatchRefused)
    }
    drafts = await _drafts(connection, source, keys)
    outcomes = [_say(drafts, patch, said) for patch, said in zip(patches, read, strict=True)]
    spoken = [draft for draft in drafts.values() if draft.as_of is not None]
    await _add_airports(connection, spoken)
    await write_legs(connection, source.code, [draft for draft in spoken if draft.columns])
    same = [draft.leg_id for draft in spoken if draft.confirmed and not draft.columns]
    if same:
        values = {"leg_ids": same, "feed_id": source.feed_id}
        await connection.execute(CONFIRM_LEGS, values)
    await _write_statements(connection, source, spoken)
    await write_weights(connection, source.authorities, spoken)
    newest = max((draft.as_of for draft in spoken if draft.as_of), default=None)
    await hear(connection, source.code, newest, outcomes)
    return [
        _result(drafts, patch, outcome) for patch, outcome in zip(patches, outcomes, strict=True)
    ]


def _read(patch: Patch, now: datetime) -> dict[str, Said] | PatchRefused:
    try:
        return read_patch(patch, now)
    except PatchRefused as refused:
        return refused


def _say(
    drafts: Mapping[str, Draft], patch: Patch, said: dict[str, Said] | PatchRefused
) -> Outcome | PatchRefused:
    if isinstance(said, PatchRefused):
        return said
    try:
        return drafts[str(patch.key.leg_key())].say(said, source_time(patch.source_ts))
    except PatchRefused as refused:
        return refused


def _result(drafts: Mapping[str, Draft], patch: Patch, outcome: Outcome | PatchRefused) -> Result:
    key = patch.key.text()
    if isinstance(outcome, PatchRefused):
        return Result(key, "refused", None, outcome.code, outcome.field, outcome.text)
    return Result(key, outcome, drafts[key].version)


async def _source(connection: AsyncConnection, feed_code: str) -> Source:
    """The feed that speaks is no longer silent."""
    feeds = await read_feeds(connection)
    for feed in feeds.values():
        if feed.code == feed_code and feed.authority.enabled:
            heard = msgspec.structs.replace(feed.authority, silent=False)
            authorities = authorities_of(feeds)
            return Source(feed.feed_id, feed_code, feed.now, authorities | {feed.feed_id: heard})
    raise UnknownFeed(f"feed {feed_code!r} is not registered or not enabled")


async def _drafts(
    connection: AsyncConnection, source: Source, keys: Mapping[str, Patch]
) -> dict[str, Draft]:
    """Every leg that is spoken of, known ones locked, with what all feeds said of it."""
    names = {"keys": list(keys)}
    if (await connection.execute(COUNT_LEGS, names)).scalar_one() < len(keys):
        # Taken before any leg is locked, so that two batches never wait for each other's new legs.
        await connection.execute(LOCK_INSERTS)
        known = set((await connection.execute(FIND_LEGS, names)).scalars())
        await connection.execute(SAY_WHO, {"feed": source.code, "source_ts": None})
        new = {key: patch for key, patch in keys.items() if key not in known}
        await correct_derived(connection, new)
    rows = {row.key: row for row in await connection.execute(LOCK_LEGS, names)}
    drafts = {
        key: Draft(patch.key.leg_key(), source.feed_id, source.authorities)
        for key, patch in keys.items()
    }
    await fill_drafts(connection, [(drafts[key], row) for key, row in rows.items()])
    return drafts


async def fill_drafts(
    connection: AsyncConnection, drafts: Sequence[tuple[Draft, Row[Any]]]
) -> None:
    """Each leg as it stands, its row being locked, with what all feeds said of it."""
    statements: dict[int, dict[int, dict[str, Said]]] = {row.leg_id: {} for _, row in drafts}
    weighed: dict[int, dict[int, Authority]] = {row.leg_id: {} for _, row in drafts}
    for held in await connection.execute(READ_STATEMENTS, {"leg_ids": list(statements)}):
        fields = msgspec.json.decode(held.fields, type=dict[str, Said])
        statements[held.leg_id][held.feed_id] = fields
        if held.weight is not None:
            weight = msgspec.json.decode(held.weight, type=Authority)
            weighed[held.leg_id][held.feed_id] = weight
    for draft, row in drafts:
        said, weights = statements[row.leg_id], weighed[row.leg_id]
        draft.stored(
            row.leg_id, row.version, row.std, row.sta, said, weights, uncertain=row.uncertain
        )


async def _add_airports(connection: AsyncConnection, drafts: Sequence[Draft]) -> None:
    """A code that nobody told us about must not lose a leg."""
    codes = {draft.columns.get("divert_airport") for draft in drafts}
    for draft in drafts:
        if draft.leg_id is None:
            codes |= {draft.key.dep, draft.key.arr}
    codes.discard(None)
    if codes:
        await connection.execute(ADD_AIRPORTS, {"codes": sorted(map(str, codes))})


async def write_legs(
    connection: AsyncConnection, feed_code: str | None, drafts: Sequence[Draft]
) -> None:
    """One statement for all legs of one source time, which the triggers take from the session."""
    ordered = sorted(drafts, key=lambda draft: (draft.as_of or "", str(draft.key)))
    by_key = {str(draft.key): draft for draft in drafts}
    for as_of, group in groupby(ordered, key=lambda draft: draft.as_of):
        await connection.execute(SAY_WHO, {"feed": feed_code, "source_ts": as_of})
        legs = list(group)
        new = [_new_leg(draft) for draft in legs if draft.leg_id is None]
        old = [
            {"leg_id": draft.leg_id, "columns": draft.columns, "confirmed": draft.confirmed}
            for draft in legs
            if draft.leg_id is not None
        ]
        for statement, rows in ((INSERT_LEGS, new), (UPDATE_LEGS, old)):
            if rows:
                written = await connection.execute(statement, {"legs": _json(rows)})
                for row in written:
                    by_key[row.key].leg_id, by_key[row.key].version = row.leg_id, row.version


def _new_leg(draft: Draft) -> dict[str, Any]:
    key = draft.key
    identity = (key.airline, key.number, key.suffix, key.origin_date, key.dep, key.arr)
    return {**REQUIRED, **draft.columns, **dict(zip(IDENTITY, identity, strict=True))}


async def _write_statements(
    connection: AsyncConnection, source: Source, drafts: Sequence[Draft]
) -> None:
    statements = [
        {"leg_id": draft.leg_id, "fields": draft.fields, "as_of": draft.as_of}
        for draft in drafts
        if draft.leg_id is not None
    ]
    if statements:
        own = _json(source.authorities[source.feed_id])
        values = {"feed_id": source.feed_id, "statements": _json(statements), "weight": own}
        await connection.execute(WRITE_STATEMENTS, values)


async def write_weights(
    connection: AsyncConnection, authorities: Mapping[int, Authority], drafts: Sequence[Draft]
) -> None:
    """Note the authorities that the legs are merged under, where they were others before."""
    leg_ids = [draft.leg_id for draft in drafts if draft.reweighed]
    if leg_ids:
        values = {"weights": weights_text(authorities), "leg_ids": leg_ids}
        await connection.execute(WRITE_WEIGHTS, values)


def weights_text(authorities: Mapping[int, Authority]) -> str:
    """What the database compares with `leg_statement.weight`."""
    return _json([
        {"feed_id": feed_id, "weight": authority} for feed_id, authority in authorities.items()
    ])  # fmt: skip


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def sqlstate(error: DBAPIError) -> str:
    """Five characters, or none when the server did not answer."""
    return getattr(error.orig, "sqlstate", None) or ""


def is_fault_of_a_leg(error: DBAPIError) -> bool:
    """Class 22: a value does not fit; 23: a constraint; P0001: a trigger raised."""
    state = sqlstate(error)
    return state[:2] in ("22", "23") or state == "P0001"
