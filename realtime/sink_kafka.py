"""The change log on a Kafka topic: every change of a leg, in order, under the key of the leg.

The reader `kafka` holds the position. It moves in the transaction whose lock kept other sinks away
while the brokers confirmed, so that a crash repeats changes and loses none. Each record bears
`epoch` and `seq`: who reads the topic drops a seq that is not above the last one of its partition.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import asyncpg
import msgspec
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from msgspec import Raw, Struct

from realtime.backoff import Backoff
from realtime.bus import Bus
from realtime.change_log import change_of
from realtime.database import DATABASE_AWAY, QUERIES
from realtime.flight import Change

READER = "kafka"
BATCH = 500
WORK_POLL = 1.0
PUBLISH_TIMEOUT = 8.0  # within the time that a transaction may idle
STATE_KEY = msgspec.json.Decoder(type=dict[str, Raw])


class LegRecord(Struct, frozen=True):
    """The value of a record. `changed`: `{field: [before, after]}`, `state`: the public state."""

    epoch: str
    seq: int
    version: int
    at: datetime
    feed: str | None
    changed: Raw
    state: Raw


class KafkaSink:
    """Until cancelled; losing the database or the brokers is waited out."""

    def __init__(
        self, pool: "asyncpg.Pool[asyncpg.Record]", bus: Bus, servers: str, topic: str
    ) -> None:
        self.pool, self.bus = pool, bus
        self.servers, self.topic = servers, topic
        self.published = 0
        self.log = structlog.get_logger("kafka sink").bind(topic=topic)

    async def run(self) -> None:
        """Publish; a lost connection is made anew."""
        backoff = Backoff(cap=10.0)
        while True:
            producer = AIOKafkaProducer(
                bootstrap_servers=self.servers, acks="all", linger_ms=2, request_timeout_ms=5_000
            )
            try:
                await producer.start()
                self.log.info("publishing")
                while True:
                    if not await self.publish_batch(producer):
                        await self.bus.wait_work(WORK_POLL)
                    backoff.reset()
            except (KafkaError, TimeoutError, *DATABASE_AWAY) as error:
                self.log.warning("waits", error=str(error)[:200] or type(error).__name__)
                await asyncio.sleep(backoff.next())
            finally:
                await producer.stop()

    async def publish_batch(self, producer: AIOKafkaProducer) -> bool:
        """Publish what the log holds after the position; false when that was nothing."""
        async with self.pool.acquire() as session, session.transaction():
            reader = await session.fetchrow(QUERIES["lock_reader"], READER)
            if reader is None:  # another sink is at it, or this is the first turn of all
                await session.execute(QUERIES["add_reader"], READER)
                return False
            epoch, same = reader["log_epoch"], reader["epoch"] == reader["log_epoch"]
            if same and reader["seq"] > reader["last_seq"]:
                await session.execute(QUERIES["new_epoch"], reader["epoch"], reader["seq"])
                return True
            after = min(reader["seq"], reader["last_seq"])
            rows = await session.fetch(QUERIES["read_log"], after, BATCH)
            if rows and rows[0]["seq"] != after + 1:
                self.log.error("the log was cut", after=after, next=rows[0]["seq"])
            async with asyncio.timeout(PUBLISH_TIMEOUT):
                await self._publish(producer, epoch, [change_of(row) for row in rows])
            if rows or not same:
                end = rows[-1]["seq"] if rows else after
                await session.execute(QUERIES["advance_reader"], READER, epoch, end)
        return bool(rows)

    async def _publish(
        self, producer: AIOKafkaProducer, epoch: str, changes: Sequence[Change]
    ) -> None:
        """Return when all are confirmed; the producer keeps the order within a partition."""
        sent = [
            await producer.send(self.topic, value_of(change, epoch), key=key_of(change))
            for change in changes
            if change.kind == "leg"
        ]
        await asyncio.gather(*sent)
        self.published += len(sent)


def key_of(change: Change) -> bytes:
    """The leg key that the leg has now."""
    return msgspec.json.decode(STATE_KEY.decode(change.state)["key"], type=str).encode()


def value_of(change: Change, epoch: str) -> bytes:
    """The record of a change."""
    assert change.version is not None
    return msgspec.json.encode(
        LegRecord(
            epoch, change.seq, change.version, change.at, change.feed, change.changed, change.state
        )
    )
