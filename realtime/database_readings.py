"""What the database says of the system when somebody looks at the metrics of a process.

Asked at most each few seconds, within a time limit: a database that is away or slow costs these
values and `database_up`, never the answer.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial

import asyncpg
from msgspec import Struct

from realtime.database import DATABASE_AWAY, QUERIES
from realtime.metrics import Reading, Value

FRESH_FOR = 5.0
WITHIN = 2.0


class Measured(Struct, frozen=True):
    """A value of a statement whose rows are (name, labels, value)."""

    name: str
    sentence: str
    labels: tuple[str, ...] = ()


class Measure(Struct, frozen=True):
    """A named statement, and the values that its rows hold."""

    query: str
    values: tuple[Measured, ...]


LOG = Measure("measure_log", (Measured("log_end_seq", "Where the change log ends."),))
READERS = Measure(
    "measure_readers",
    (
        Measured("reader_lag_rows", "Rows of the log that a reader has not passed.", ("reader",)),
        Measured("outbox_rows", "Committed changes that are not in the log yet."),
    ),
)
DELIVERIES = Measure(
    "measure_deliveries",
    (
        Measured("deliveries_due", "Deliveries that are due and not sent, up to 100,000."),
        Measured("delivery_due_age_seconds", "How long the oldest of them has been due."),
        Measured("deliveries_leased", "Deliveries that a notifier has claimed."),
    ),
)
UPKEEP = Measure(
    "measure_upkeep",
    (
        Measured("clock_row_age_seconds", "Wall age of the newest clock row in the log."),
        Measured("log_partitions", "Partitions of the log and the outbox.", ("table",)),
        Measured("log_room_rows", "Rows that fit into the partitions made ahead.", ("table",)),
        Measured("feed_state", "1 for the state that a feed is in.", ("feed", "state")),
        Measured("feed_silence_seconds", "Since when nothing was heard of a feed.", ("feed",)),
    ),
)


class DatabaseReadings:
    """A `Source`: the values of these measures, as of the last few seconds, or none."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", measures: Sequence[Measure]) -> None:
        self.pool = pool
        self.measures = measures
        self.up = False
        self._values: Mapping[str, Mapping[tuple[str, ...], float]] = {}
        self._asked_at = float("-inf")
        self._turn = asyncio.Lock()

    async def refresh(self) -> None:
        """Ask again when the last answer is too old; who comes meanwhile waits for the same."""
        now = asyncio.get_running_loop().time
        async with self._turn:
            if now() - self._asked_at < FRESH_FOR:
                return
            try:
                async with asyncio.timeout(WITHIN):
                    self._values = await self._ask()
                self.up = True
            except (*DATABASE_AWAY, asyncpg.PostgresError):
                self._values, self.up = {}, False
            self._asked_at = now()

    async def _ask(self) -> Mapping[str, Mapping[tuple[str, ...], float]]:
        found: dict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
        async with self.pool.acquire() as session:
            for measure in self.measures:
                for row in await session.fetch(QUERIES[measure.query]):
                    found[row["name"]][tuple(row["labels"])] = row["value"]
        return found

    def value(self, name: str) -> Value:
        """The last answer; empty when there is none."""
        return self._values.get(name, {})

    def readings(self) -> list[Reading]:
        """All values, and whether they could be had."""
        sentence = "1 if the database answered what is asked here, within two seconds."
        return [
            Reading("database_up", sentence, lambda: float(self.up)),
            *(
                Reading(each.name, each.sentence, partial(self.value, each.name), each.labels)
                for measure in self.measures
                for each in measure.values
            ),
        ]
