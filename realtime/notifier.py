"""Deliveries: from a significant change to one end for each follower.

Three loops. One reads the log as reader `notifier` and enqueues a delivery for each follower, due
after a grace in which a receipt may settle it. One claims due deliveries under a lease, looks again
whether they are still true, sends and records. One sends test notices. Any number of notifiers may
run: row locks share the work out. A crash between sending and recording repeats a notice under the
same id.
"""

import asyncio
import random
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from itertools import groupby, islice

import asyncpg
import msgspec
import structlog
from msgspec import Raw, Struct

from realtime.backoff import Backoff
from realtime.bus import Bus
from realtime.change_log import change_of
from realtime.claims import (
    CHANGED,
    LEG,
    Claim,
    Learned,
    Result,
    judge,
    learned,
    results_of,
    why,
)
from realtime.database import DATABASE_AWAY, QUERIES
from realtime.device_notes import DeviceNote, notes_of, write_notes
from realtime.doubts import Doubts
from realtime.flight import Change
from realtime.follower import TOLD_FIELDS
from realtime.notice_change import Significance, significance
from realtime.occasions import enqueue_occasions, follow_on
from realtime.sender import SEND_SHARE, Notice, Outcome, Sender, Sent, Target
from realtime.settings import Settings
from realtime.trial_notices import TrialNotices

READER = "notifier"
LOG_BATCH = 500
ENQUEUED_AT_ONCE = 5_000  # deliveries in one transaction; receipts wait for it
CLAIM_BATCH = 90
WORK_POLL = 1.0
DUE_POLL = 0.25
TEST_POLL = 0.5
OPEN = ("held", "pending")


class Notifier:
    """`name` says which process it is; the worker of a claim is this name and a random part."""

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        bus: Bus,
        sender: Sender,
        settings: Settings,
        name: str = "notifier",
    ) -> None:
        self.pool = pool
        self.bus = bus
        self.sender = sender
        self.settings = settings
        self.worker = f"{name}-{secrets.token_hex(4)}"
        self.doubts = Doubts(pool)
        self.enqueued = 0
        self.ended: Counter[str] = Counter()
        self.ends: Counter[tuple[str, str]] = Counter()  # of those that are over: state and why
        self.sends: Counter[str] = Counter()
        self.away: dict[str, str] = {}
        self.trials = TrialNotices(pool, sender, settings, self.worker)
        self._results: list[Result] = []
        self._learned: list[Learned] = []
        self._notes: list[DeviceNote] = []
        self._asked_at: datetime | None = None  # by the database: before the notes were asked for

    async def run(self) -> None:
        """Until cancelled; losing the database is waited out, nothing else is."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep("enqueue", self._enqueue), name="notifier enqueue")
            group.create_task(self._keep("deliver", self._deliver), name="notifier deliver")
            group.create_task(self._keep("test", self._try), name="notifier test notices")

    async def _keep(self, what: str, turn: Callable[[], Awaitable[None]]) -> None:
        """Take turns; after a fault of the database wait and take the next."""
        backoff = Backoff()
        while True:
            try:
                await turn()
            except DATABASE_AWAY as error:
                if what not in self.away:
                    structlog.get_logger().warning("notifier waits", what=what, error=str(error))
                self.away[what] = str(error) or type(error).__name__
                await asyncio.sleep(backoff.next())
            else:
                backoff.reset()
                self.away.pop(what, None)

    async def _enqueue(self) -> None:
        if not await self.enqueue_batch():
            await self.bus.wait_work(WORK_POLL)

    async def enqueue_batch(self) -> bool:
        """Enqueue what the log holds after the reader's position; false when that was nothing.

        The position moves in the transaction of the deliveries, and a delivery that exists is not
        made again, so that neither a crash nor another epoch loses or repeats one.
        """
        async with self.pool.acquire() as session, session.transaction():
            reader = await session.fetchrow(QUERIES["lock_reader"], READER)
            if reader is None:  # another notifier is at it, or this is the first turn of all
                await session.execute(QUERIES["add_reader"], READER)
                return False
            same_epoch = reader["epoch"] == reader["log_epoch"]
            if same_epoch and reader["seq"] > reader["last_seq"]:
                await session.execute(QUERIES["new_epoch"], reader["epoch"], reader["seq"])
                return True
            after = min(reader["seq"], reader["last_seq"])
            rows = await session.fetch(QUERIES["read_log"], after, LOG_BATCH)
            if rows and rows[0]["seq"] != after + 1:
                structlog.get_logger().error("the log was cut", after=after, next=rows[0]["seq"])
            if rows or not same_epoch:
                epoch, changes = reader["log_epoch"], [change_of(row) for row in rows]
                end = await self._enqueue_changes(session, epoch, changes) or after
                await session.execute(QUERIES["advance_reader"], READER, epoch, end)
        return bool(rows)

    async def _enqueue_changes(
        self,
        session: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]",
        epoch: str,
        changes: Sequence[Change],
    ) -> int:
        """The seq up to which it was done: one transaction adds so many deliveries only."""
        worths = [worth(change) for change in changes]
        if any(worths):
            # A receipt committed before this is seen by the statements below; one that comes after
            # it waits for our commit and then sees the deliveries.
            await session.execute(QUERIES["lock_receipts"])
        added, end = 0, 0
        for change, found in zip(changes, worths, strict=True):
            if found is not None and added >= ENQUEUED_AT_ONCE:
                break
            if found is not None:
                added += await self._enqueue_change(session, epoch, change, found)
            end = change.seq
        done = [change for change in changes if change.seq <= end]
        added += await enqueue_occasions(session, done, self.settings.grace)
        await follow_on(session, done)
        self.enqueued += added
        return end

    async def _enqueue_change(
        self,
        session: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]",
        epoch: str,
        change: Change,
        found: Significance,
    ) -> int:
        added: int = await session.fetchval(
            QUERIES["enqueue"],
            change.leg_id,
            change.version,
            change.seq,
            list(found.kinds),
            found.urgent,
            found.held_until,
            found.expires_at,
            change.wall_at,
            self.settings.grace_urgent if found.urgent else self.settings.grace,
            epoch,
            msgspec.json.encode(shown_by(change.state, change.version or 0)).decode(),
        )
        return added

    async def _deliver(self) -> None:
        if not await self.deliver_batch():
            await asyncio.sleep(DUE_POLL * random.uniform(0.5, 1))

    async def _try(self) -> None:
        if not await self.trials.send_batch():
            await asyncio.sleep(TEST_POLL * random.uniform(0.5, 1))

    async def deliver_batch(self) -> bool:
        """Claim what is due, send it, record the results; false when nothing was due."""
        await self._record()
        await self.pool.execute(QUERIES["release_leases"])
        await self.pool.execute(QUERIES["claim"], self.worker, self.settings.lease, CLAIM_BATCH)
        loaded_at = time.monotonic()
        rows = await self.pool.fetch(QUERIES["load_claimed"], self.worker)
        if not rows:
            return False
        claims: list[Claim] = []
        results: list[Result] = []
        doubts = await self.doubts.of(rows)
        for (_, leg_id), group in groupby(rows, lambda row: (row["account_id"], row["leg_id"])):
            claim, settled = judge(list(group), doubts.get(leg_id))
            claims += [claim] if claim is not None else []
            results += settled
        sends = [(target, claim.notice) for claim in claims for target in claim.targets]
        ends_at = loaded_at + min(row["lease_left"] for row in rows)
        answers = await self._send(sends, ends_at) if sends else []
        self.sends.update(answer.outcome.value for answer in answers)
        # Kept until they are recorded: a database that goes away now must not cost a repeat.
        self._results, self._learned = results, []
        self._asked_at = min(row["wall_at"] for row in rows)
        remaining = iter(answers)
        now = self._asked_at + timedelta(seconds=time.monotonic() - loaded_at)
        for claim in claims:
            found = results_of(claim, list(islice(remaining, len(claim.targets))), now)
            self._results += found
            if found[0].said is not None:
                self._learned.append(learned(claim))
        self._notes = notes_of(sends, answers)
        await self._record()
        return True

    async def _send(self, sends: Sequence[tuple[Target, Notice]], ends_at: float) -> Sequence[Sent]:
        """Only while the sender is sure to end before the lease: another may have it then."""
        if ends_at - time.monotonic() < self.settings.lease * SEND_SHARE:
            return [Sent(Outcome.RETRY, "too little of the lease was left", 0.0)] * len(sends)
        return await self.sender.send(sends)

    async def _record(self) -> None:
        """Write down the results of the last batch, unless that has been done."""
        if not self._results:
            return
        results = self._results
        async with self.pool.acquire() as session, session.transaction():
            # What an enqueue takes for told must not change beside it.
            await session.execute(QUERIES["lock_receipts_shared"])
            recorded = await session.fetch(QUERIES["record"], self.worker, as_json(results))
            ours = {(row["account_id"], row["leg_id"]) for row in recorded}
            told = [each for each in self._learned if (each.account_id, each.leg_id) in ours]
            if told:
                await session.execute(QUERIES["tell_sent"], as_json(told))
            await write_notes(session, self._notes, self._asked_at)
        self.ended.update(result.state for result in results)
        self.ends.update((one.state, why(one.reason)) for one in results if one.state not in OPEN)
        self._results, self._learned, self._notes = [], [], []


def as_json(rows: Sequence[Struct]) -> str:
    """Parameter of a statement that takes rows as JSON."""
    return msgspec.json.encode(rows).decode()


def shown_by(state: Raw, version: int) -> dict[str, object]:
    """What somebody who saw this public state knows, as `follow.told` keeps it."""
    members = msgspec.json.decode(state, type=dict[str, object])
    return {
        "version": version,
        **{field: members[field] for field in TOLD_FIELDS if field in members},
    }


def worth(change: Change) -> Significance | None:
    """What a row of the log is worth to followers."""
    if change.kind != "leg":
        return None
    return significance(CHANGED.decode(change.changed), LEG.decode(change.state), change.at)
