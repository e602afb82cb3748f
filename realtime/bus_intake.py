"""What a broker delivers, made whole: dense, in order, and filled from the change log.

Rule A3 lives here: accept seq == last + 1, drop what is not above last, read the log on a gap.
"""

import asyncio
import random
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime

import structlog

from realtime.backoff import Backoff
from realtime.bus import Position
from realtime.bus_parcels import REASONS, Arrival, Stranger
from realtime.change_log import ChangeLog
from realtime.database import DATABASE_AWAY
from realtime.flight import Change

BATCH, AHEAD = 500, 2_000
BEHIND_FOR = 1.0
SILENT_AFTER, POLL = 2.0, 0.25
ACK_COUNT, ACK_AFTER = 100, 0.05


class Counts:
    """What this process has met on the bus; `filled` are rows taken from the log, `strangers`
    deliveries that no relay has published, by reason."""

    def __init__(self) -> None:
        self.gaps = self.duplicates = self.filled = 0
        self.strangers: Counter[str] = Counter(dict.fromkeys(REASONS, 0))

    def count_stranger(self, where: str, stranger: Stranger) -> None:
        """One more; the log tells of the first, the tenth, the hundredth …"""
        self.strangers[stranger.reason] += 1
        so_many = self.strangers[stranger.reason]
        if so_many == 10 ** (len(str(so_many)) - 1):
            structlog.get_logger().error(
                "not from a relay",
                at=where,
                reason=stranger.reason,
                what=str(stranger),
                all=so_many,
            )


class Inbox:
    """What was delivered to one follower and not yet taken; no more than the prefetch."""

    def __init__(self) -> None:
        self.arrivals: deque[tuple[int, Arrival]] = deque()
        self.grew = asyncio.Event()
        self.incomplete = True


class Intake:
    """Hands deliveries to every inbox and acknowledges what all of them have taken."""

    def __init__(self) -> None:
        self.heard_at = float("-inf")
        self._inboxes: set[Inbox] = set()
        self._acknowledge: Callable[[int], None] = lambda tag: None
        self._delivered = 0
        self._acknowledged = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def silent(self) -> bool:
        """The broker has not been heard for so long that the log is asked instead."""
        return asyncio.get_running_loop().time() - self.heard_at > SILENT_AFTER

    def begin(self, acknowledge: Callable[[int], None]) -> None:
        """Another link, whose tags begin anew."""
        self._acknowledge = acknowledge
        self._delivered = self._acknowledged = 0
        for inbox in self._inboxes:
            inbox.arrivals.clear()

    def distrust(self) -> None:
        """Something may be missing: every follower reads the log to its end."""
        for inbox in self._inboxes:
            inbox.incomplete = True
            inbox.grew.set()

    def open_inbox(self) -> Inbox:
        """For a new follower."""
        inbox = Inbox()
        self._inboxes.add(inbox)
        return inbox

    def close_inbox(self, inbox: Inbox) -> None:
        """The follower has ended."""
        self._inboxes.discard(inbox)
        self._settle()

    def deliver(self, tag: int, arrival: Arrival | None) -> None:
        """From the link; None: nothing that a follower needs, nor a sign that a relay publishes."""
        self._delivered = tag
        if arrival is not None:
            self.heard_at = asyncio.get_running_loop().time()
            for inbox in self._inboxes:
                inbox.arrivals.append((tag, arrival))
                inbox.grew.set()
        self._settle()

    def take(self, inbox: Inbox) -> list[Arrival]:
        """Everything that an inbox holds."""
        inbox.grew.clear()
        taken = [arrival for _, arrival in inbox.arrivals]
        inbox.arrivals.clear()
        self._settle()
        return taken

    def _upto(self) -> int:
        untaken = [inbox.arrivals[0][0] - 1 for inbox in self._inboxes if inbox.arrivals]
        return min(untaken, default=self._delivered)

    def _settle(self) -> None:
        """Acknowledge a hundred at once, fewer after a moment."""
        waiting = self._upto() - self._acknowledged
        if waiting >= ACK_COUNT:
            self._acknowledge_taken()
        elif waiting > 0 and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(ACK_AFTER, self._acknowledge_taken)

    def _acknowledge_taken(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        upto = self._upto()
        if upto > self._acknowledged:
            self._acknowledged = upto
            self._acknowledge(upto)


class LogReach:
    """Whether the log can be read: one line when that ends and one when it is so again."""

    def __init__(self) -> None:
        self.away: str | None = None
        self.down_since: datetime | None = None

    def lost(self, error: Exception) -> None:
        """It could not be read."""
        self.away = str(error) or type(error).__name__
        if self.down_since is None:
            self.down_since = datetime.now(UTC)
            structlog.get_logger().warning("change log out of reach", error=self.away)

    def found(self) -> None:
        """It could."""
        if self.down_since is not None:
            structlog.get_logger().info("change log back")
        self.away = self.down_since = None


class Follower:
    """One reader: what it has passed, what arrived too early, and when to read the log."""

    def __init__(
        self, log: ChangeLog, intake: Intake, after: Position, counts: Counts, reach: LogReach
    ) -> None:
        self.log = log
        self.intake = intake
        self.after = after
        self.counts = counts
        self.reach = reach
        self.inbox = intake.open_inbox()
        self._now = asyncio.get_running_loop().time
        self._ahead: dict[int, Change] = {}
        self._promised = after.seq
        self._promised_by = float("inf")
        self._poll_at = self._retry_at = float("-inf")
        self._backoff = Backoff()

    async def batches(self) -> AsyncIterator[list[Change]]:
        """Dense after the position; PositionLost when it cannot be continued from."""
        while True:
            self._sort()
            arrived = self._contiguous()
            if arrived:
                yield arrived
            filled = await self._fill() if self._fill_due() else []
            if filled:
                yield filled
            if not arrived and not filled:
                await self._wait()

    def _sort(self) -> None:
        for epoch, content in self.intake.take(self.inbox):
            if epoch != self.after.epoch:
                self._doubt("epoch", f"{epoch} is not the epoch of the log here")
                self.inbox.incomplete = True  # reading the log tells which of us is out of date
            elif isinstance(content, Position):
                self._compare(content.seq)
            elif content.seq <= self.after.seq or content.seq in self._ahead:
                self.counts.duplicates += 1
            elif len(self._ahead) < AHEAD:
                self._ahead[content.seq] = content

    def _compare(self, last_seq: int) -> None:
        """With where the log ended: changes may still be under way, for a second."""
        if last_seq < self.after.seq:
            self.inbox.incomplete = True
        elif last_seq > self.after.seq and self._promised <= self.after.seq:
            self._promised = last_seq
            self._promised_by = self._now() + BEHIND_FOR

    def _contiguous(self) -> list[Change]:
        batch: list[Change] = []
        while (change := self._ahead.pop(self.after.seq + len(batch) + 1, None)) is not None:
            batch.append(change)
        self._pass(batch)
        if self._ahead and not self.inbox.incomplete:
            self.counts.gaps += 1
            self.inbox.incomplete = True
        return batch

    def _pass(self, batch: list[Change]) -> None:
        if batch:
            self.after = Position(self.after.epoch, batch[-1].seq)
        if self._promised <= self.after.seq:
            self._promised_by = float("inf")

    def _fill_due(self) -> bool:
        now = self._now()
        if now >= self._promised_by:
            self._promised_by = float("inf")
            self._promised = self.after.seq
            self.inbox.incomplete = True
        if self.intake.silent and now >= self._poll_at:
            self._poll_at = now + POLL * random.uniform(0.6, 1.2)
            self.inbox.incomplete = True
        return self.inbox.incomplete and now >= self._retry_at

    async def _fill(self) -> list[Change]:
        """Up to a batch from the log, as far as what arrived too early."""
        limit = BATCH
        if self._ahead:
            limit = min(BATCH, min(self._ahead) - self.after.seq - 1)
        self.inbox.incomplete = False
        try:
            batch = await self.log.read(self.after, limit)
            if not batch and self._ahead:
                await self._disbelieve()
        except DATABASE_AWAY as error:
            self.reach.lost(error)
            self.inbox.incomplete = True
            self._retry_at = self._now() + self._backoff.next()
            return []
        self.reach.found()
        self._backoff.reset()
        self._pass(batch)
        self.counts.filled += len(batch)
        self._ahead = {seq: each for seq, each in self._ahead.items() if seq > self.after.seq}
        if len(batch) == limit and self.after.seq + 1 not in self._ahead:
            self.inbox.incomplete = True
        return batch

    async def _disbelieve(self) -> None:
        """What arrived from beyond the end of the log was never in it: nobody can hold it."""
        end = await self.log.check(self.after)
        for seq in [seq for seq in self._ahead if seq > end.seq]:
            del self._ahead[seq]
            self._doubt("seq", f"{seq} is beyond the end of the log, {end.seq}")

    def _doubt(self, reason: str, sentence: str) -> None:
        self.counts.count_stranger("a node's queue", Stranger(reason, sentence))

    async def _wait(self) -> None:
        """For an arrival or the next reason to read the log."""
        until = min(self._promised_by, max(self._poll_at, self.intake.heard_at + SILENT_AFTER))
        if self.inbox.incomplete:
            until = min(until, self._retry_at)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.005, until - self._now())):
                await self.inbox.grew.wait()
