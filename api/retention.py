"""What is kept of people, and for how long: deleted in small batches once its time is over."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import asyncpg
import structlog

from realtime.database import QUERIES
from realtime.settings import Settings

EACH = 600.0
BATCH = 500  # rows in one transaction: who else wants them waits for milliseconds
LINK_DAYS = 1.0
TEST_DAYS = 1.0


class Retention:
    """One batch a turn; a turn that finds nothing more to delete is followed by a long pause."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", settings: Settings) -> None:
        self.pool = pool
        self.periods: Sequence[tuple[str, float]] = (
            ("forget_deliveries", settings.delivery_days),
            ("forget_receipts", settings.receipt_days),
            ("forget_follows", settings.follow_days),
            ("forget_devices", settings.device_days),
            ("forget_links", LINK_DAYS),
            ("forget_tests", TEST_DAYS),
            ("forget_history", settings.history_days),
        )
        self.gone: Counter[str] = Counter()
        self._next = float("-inf")

    async def turn(self) -> bool:
        """Delete a batch of each; true while one of them was full."""
        now = asyncio.get_running_loop().time
        if now() < self._next:
            return False
        gone = {
            name: await self.pool.fetchval(QUERIES[name], days, BATCH)
            for name, days in self.periods
        }
        self.gone.update(gone)
        if any(gone.values()):
            structlog.get_logger().info("deleted what was kept long enough", **gone)
        if max(gone.values()) == BATCH:
            return True
        self._next = now() + EACH
        return False
