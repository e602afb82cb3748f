"""Deliveries: from a significant change to one end for each follower.

Two loops. One reads the log as reader `notifier` and enqueues a delivery for each follower, due
after a grace in which a receipt may settle it. The other claims due deliveries under a lease, looks
again whether they are still true, sends and records. Any number of notifiers may run: row locks
share the work out. A crash between sending and recording repeats a notice under the same id.
"""

import asyncio
import math
import random
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice

import asyncpg
import msgspec
import structlog
from msgspec import Struct

from realtime.backoff import Backoff
from realtime.bus import Bus
from realtime.change_log import change_of
from realtime.database import DATABASE_AWAY, QUERIES
from realtime.flight import Change, FlightLeg
from realtime.notice import EXPIRED, Significance, significance, still_true, text, true_kinds
from realtime.sender import Notice, Outcome, Sender, Sent, Target
from realtime.settings import Settings

READER = "notifier"
LOG_BATCH = 500
ENQUEUED_AT_ONCE = 5_000  # deliveries in one transaction; receipts wait for it
CLAIM_BATCH = 90
WORK_POLL = 1.0
DUE_POLL = 0.25
RETRY_BASE, RETRY_CAP, RETRY_LEAST = 10.0, 300.0, 1.0

LEG = msgspec.json.Decoder(FlightLeg)
CHANGED = msgspec.json.Decoder(dict[str, list[object]])
TARGETS = msgspec.json.Decoder(list[Target])


class Claim(Struct, frozen=True):
    """A claimed delivery that is still true, and to whom it goes."""

    row: asyncpg.Record
    notice: Notice
    targets: list[Target]


class Result(Struct, frozen=True):
    """What became of a claimed delivery; `retry_in` counts for state `pending` only."""

    row: asyncpg.Record
    state: str
    reason: str | None = None
    retry_in: float = 0.0


class DeviceNote(Struct, frozen=True):
    """What a send told about its device; `dead_reason` None: it took the notice."""

    target: Target
    dead_reason: str | None = None


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
        self.enqueued = 0
        self.ended: Counter[str] = Counter()
        self.away: dict[str, str] = {}
        self._results: list[Result] = []
        self._notes: list[DeviceNote] = []

    async def run(self) -> None:
        """Until cancelled; losing the database is waited out, nothing else is."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep("enqueue", self._enqueue), name="notifier enqueue")
            group.create_task(self._keep("deliver", self._deliver), name="notifier deliver")

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
        )
        return added

    async def _deliver(self) -> None:
        if not await self.deliver_batch():
            await asyncio.sleep(DUE_POLL * random.uniform(0.5, 1))

    async def deliver_batch(self) -> bool:
        """Claim what is due, send it, record the results; false when nothing was due."""
        await self._record()
        await self.pool.execute(QUERIES["release_leases"])
        await self.pool.execute(QUERIES["claim"], self.worker, self.settings.lease, CLAIM_BATCH)
        rows = await self.pool.fetch(QUERIES["load_claimed"], self.worker)
        judged = [judge(row) for row in rows]
        claims = [claim for claim in judged if isinstance(claim, Claim)]
        sends = [(target, claim.notice) for claim in claims for target in claim.targets]
        answers = await self.sender.send(sends) if sends else []
        # Kept until they are recorded: a database that goes away now must not cost a repeat.
        self._results = [result for result in judged if isinstance(result, Result)]
        remaining = iter(answers)
        for claim in claims:
            self._results.append(result_of(claim, list(islice(remaining, len(claim.targets)))))
        self._notes = [
            note
            for (target, _), sent in zip(sends, answers, strict=True)
            if (note := note_of(target, sent)) is not None
        ]
        await self._record()
        return bool(rows)

    async def _record(self) -> None:
        """Write down the results of the last batch, unless that has been done."""
        if not self._results:
            return
        results, notes = self._results, self._notes
        async with self.pool.acquire() as session, session.transaction():
            await session.execute(
                QUERIES["record"],
                self.worker,
                [result.row["account_id"] for result in results],
                [result.row["leg_id"] for result in results],
                [result.row["version"] for result in results],
                [result.state for result in results],
                [result.reason for result in results],
                [result.retry_in for result in results],
            )
            if notes:
                await session.execute(
                    QUERIES["note_devices"],
                    [note.target.device_id for note in notes],
                    [note.target.target for note in notes],
                    [note.dead_reason for note in notes],
                )
        self.ended.update(result.state for result in results)
        self._results, self._notes = [], []


def worth(change: Change) -> Significance | None:
    """What a row of the log is worth to followers."""
    if change.kind != "leg":
        return None
    return significance(CHANGED.decode(change.changed), LEG.decode(change.state), change.at)


def judge(row: asyncpg.Record) -> Claim | Result:
    """Look at a claimed delivery again, against the leg, the follow and the devices as they are."""
    if not row["followed"]:
        return Result(row, "suppressed", "not followed any more")
    leg = LEG.decode(row["leg"])
    reason = still_true(row["kinds"], leg, row["expires_at"], row["board_at"])
    if reason is not None:
        return Result(row, "expired" if reason == EXPIRED else "superseded", reason)
    targets = TARGETS.decode(row["targets"])
    if not targets:
        return Result(row, "undeliverable", "no device")
    return Claim(row, notice_of(row, leg), targets)


def notice_of(row: asyncpg.Record, leg: FlightLeg) -> Notice:
    """The words for the kinds that are still true; in a replay board seconds are shorter."""
    kinds = true_kinds(row["kinds"], leg, row["board_at"])
    title, body = text(kinds, leg, demo=row["speed"] is not None)
    left = (row["expires_at"] - row["board_at"]).total_seconds() / (row["speed"] or 1.0)
    return Notice(
        id=f"{row['epoch']}:{row['seq']}",
        leg_key=leg.key,
        version=leg.version,
        kinds=kinds,
        title=title,
        body=body,
        urgent=row["urgent"],
        ttl=max(1, math.floor(left)),
    )


def result_of(claim: Claim, answers: Sequence[Sent]) -> Result:
    """One device that took the notice is enough; without one it is repeated while any may."""
    if any(sent.outcome is Outcome.ACCEPTED for sent in answers):
        return Result(claim.row, "sent")
    details = "; ".join(dict.fromkeys(sent.detail for sent in answers))[:500]
    retries = [sent for sent in answers if sent.outcome is Outcome.RETRY]
    if not retries:
        return Result(claim.row, "undeliverable", f"no device took it: {details}")
    return Result(claim.row, "pending", details, retry_in(retries, claim.row["attempts"]))


def retry_in(retries: Sequence[Sent], attempts: int) -> float:
    """Seconds until the next attempt: what the provider asked for, else exponential."""
    asked = [sent.retry_after for sent in retries if sent.retry_after is not None]
    if asked:
        return max(asked) + random.uniform(0, RETRY_LEAST)
    bound = min(RETRY_CAP, RETRY_BASE * 2.0 ** min(attempts - 1, 10))
    return max(RETRY_LEAST, random.uniform(0, bound))


def note_of(target: Target, sent: Sent) -> DeviceNote | None:
    """What to write down about the device; refusals and faults say nothing about it."""
    if sent.outcome is Outcome.ACCEPTED:
        return DeviceNote(target)
    return DeviceNote(target, sent.detail) if sent.outcome is Outcome.GONE else None
