"""Test notices: asked for by a person, sent the way of every notice, with what became of them.

Claimed under a lease as deliveries are, and sent once: a repeat after the person has looked would
tell nothing. Only what a crash left unrecorded is sent again, under the same id.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import islice

import asyncpg
import msgspec
from msgspec import Struct

from realtime.claims import PREFERENCES, TARGETS
from realtime.database import QUERIES
from realtime.device_notes import DeviceNote, notes_of, write_notes
from realtime.notice_catalogues import CATALOGUES
from realtime.sender import MUTED, PRINTED, SEND_SHARE, Notice, Outcome, Sender, Sent, Target
from realtime.settings import Settings

BATCH = 20
KINDS = ("test",)


class Arrival(Struct, frozen=True):
    """What became of a test notice at one device; `outcome` as the REST API names it."""

    device_id: str
    platform: str
    outcome: str
    reason: str


class Ended(Struct, frozen=True):
    """The end of one test notice, as `record_tests` takes it."""

    notice_id: str
    state: str
    reason: str | None
    devices: list[Arrival]


class TrialNotices:
    """Those that `worker` claims; a batch that was sent is kept until it is recorded."""

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        sender: Sender,
        settings: Settings,
        worker: str,
    ) -> None:
        self.pool = pool
        self.sender = sender
        self.settings = settings
        self.worker = worker
        self._ended: list[Ended] = []
        self._notes: list[DeviceNote] = []
        self._asked_at: datetime | None = None

    async def send_batch(self) -> bool:
        """Claim, send, record; false when nobody had asked for any."""
        await self._record()
        lease = self.settings.lease
        claimed = await self.pool.fetch(QUERIES["claim_tests"], self.worker, lease, BATCH)
        if not claimed:
            return False
        rows = await self.pool.fetch(QUERIES["load_tests"], self.worker)
        if any(row["lease_left"] < lease * SEND_SHARE for row in rows):
            return False  # another may have it before the sender has ended
        targets = [TARGETS.decode(row["targets"]) for row in rows]
        sends = [
            (target, trial(row)) for row, mine in zip(rows, targets, strict=True) for target in mine
        ]
        answers = await self.sender.send(sends) if sends else []
        self._asked_at = min((row["wall_at"] for row in rows), default=None)
        remaining = iter(answers)
        self._ended = [
            ended(row, mine, list(islice(remaining, len(mine))))
            for row, mine in zip(rows, targets, strict=True)
        ]
        self._notes = notes_of(sends, answers)
        await self._record()
        return True

    async def _record(self) -> None:
        if not self._ended:
            return
        async with self.pool.acquire() as session, session.transaction():
            results = msgspec.json.encode(self._ended).decode()
            await session.execute(QUERIES["record_tests"], self.worker, results)
            await write_notes(session, self._notes, self._asked_at)
        self._ended, self._notes = [], []


def trial(row: asyncpg.Record) -> Notice:
    """The words, in the person's language; a later test is the newer version."""
    wishes = PREFERENCES.decode(row["preferences"])
    catalogue = CATALOGUES.get(wishes.language, CATALOGUES["en"])
    title = catalogue.say("test.title", {})
    if row["speed"] is not None:
        title = catalogue.say("demo", {"title": title})
    return Notice(
        id=f"test:{row['notice_id']}",
        leg_key="",
        version=int(row["created_at"].timestamp()),
        kinds=KINDS,
        title=title,
        body=catalogue.say("test.body", {}),
        urgent=True,
        ttl=max(1, int(row["left"])),
        at=row["board_at"].isoformat(),
    )


def ended(row: asyncpg.Record, targets: Sequence[Target], answers: Sequence[Sent]) -> Ended:
    """The end of a test notice; one device that took it is enough."""
    notice_id = row["notice_id"]
    devices = [
        Arrival(target.device_id, target.platform, outcome_of(sent), sent.detail[:500])
        for target, sent in zip(targets, answers, strict=True)
    ]
    if any(device.outcome == "accepted" for device in devices):
        return Ended(notice_id, "sent", None, devices)
    none = MUTED if row["muted"] else "no device"
    reason = "no device took it" if devices else none
    return Ended(notice_id, "undeliverable", reason, devices)


def outcome_of(sent: Sent) -> str:
    """What the provider said, in the words of the REST API."""
    match sent.outcome:
        case Outcome.ACCEPTED:
            return "printed" if sent.detail == PRINTED else "accepted"
        case Outcome.GONE:
            return "unregistered"
        case Outcome.REFUSED:
            return "refused"
    return "unanswered" if sent.retry_after is None else "paused"
