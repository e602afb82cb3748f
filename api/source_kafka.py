"""A topic on which another system speaks: each record is a body, taken at least once.

Offsets are committed after their records are applied; a record that comes again is known by its
topic, partition, offset and time and answered as the first time.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError

from api.feed_bodies import BODY_LIMIT
from api.feed_manner import BodyRefused, Manner
from api.intake import Intake, database_waits
from realtime.backoff import Backoff

POLL_MS = 500
MOST_RECORDS = 100
SESSION_MS = 10_000
REASON_SHOWN = 200


class KafkaSource:
    """Until cancelled; losing the brokers or the database is waited out."""

    def __init__(
        self,
        servers: str,
        topic: str,
        feed: str,
        format: str,
        manner: Manner,
        intake: Intake,
        dead_topic: str = "",
    ) -> None:
        self.servers, self.topic, self.dead_topic = servers, topic, dead_topic
        self.feed, self.format, self.manner = feed, format, manner
        self.intake = intake
        self.taken = self.bad = 0
        self.log = structlog.get_logger("kafka").bind(topic=topic, feed=feed)
        self._backoff = Backoff(cap=10.0)

    async def run(self) -> None:
        """Consume; a lost connection is made anew."""
        while True:
            try:
                await self._consume()
            except (KafkaError, OSError, TimeoutError) as error:
                self.log.warning("waits for the brokers", error=str(error)[:REASON_SHOWN])
                await asyncio.sleep(self._backoff.next())

    async def _consume(self) -> None:
        consumer = AIOKafkaConsumer(
            self.topic,
            bootstrap_servers=self.servers,
            group_id=f"gatecast-{self.feed}",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=SESSION_MS,
            max_partition_fetch_bytes=2 * BODY_LIMIT,
        )
        dead = AIOKafkaProducer(bootstrap_servers=self.servers, acks="all")
        try:
            await consumer.start()
            if self.dead_topic:
                await dead.start()
            self.log.info("consuming", dead_topic=self.dead_topic or None)
            while True:
                found = await consumer.getmany(timeout_ms=POLL_MS, max_records=MOST_RECORDS)
                self._backoff.reset()
                await self._take_all(consumer, dead, found)
        finally:
            await consumer.stop()
            if self.dead_topic:
                await dead.stop()

    async def _take_all(
        self,
        consumer: AIOKafkaConsumer,
        dead: AIOKafkaProducer,
        found: Mapping[TopicPartition, Sequence[Any]],
    ) -> None:
        """Each partition in its order; its offset is committed once all before it are applied."""
        for partition, records in found.items():
            for record in records:
                await self._take(dead, record)
            try:
                await consumer.commit({partition: records[-1].offset + 1})
            except CommitFailedError as error:
                # The partition is another member's now; what it takes again is known already.
                self.log.info("partition was taken over", error=str(error)[:REASON_SHOWN])

    async def _take(self, dead: AIOKafkaProducer, record: Any) -> None:
        place = f"{record.topic}:{record.partition}:{record.offset}"
        try:
            if record.value is None or len(record.value) > BODY_LIMIT:
                raise BodyRefused(f"a record needs a value of at most {BODY_LIMIT} bytes")
            await self._apply(f"kafka:{place}:{record.timestamp}", record.value)
            self.taken += 1
        except BodyRefused as refused:
            self.bad += 1
            reason = str(refused)[:REASON_SHOWN]
            self.log.warning("record set aside", place=place, reason=reason, bad=self.bad)
            if self.dead_topic:
                headers = [("gatecast-place", place.encode()), ("gatecast-reason", reason.encode())]
                await dead.send_and_wait(
                    self.dead_topic, record.value, key=record.key, headers=headers
                )

    async def _apply(self, message_id: str, body: bytes) -> None:
        backoff = Backoff(cap=10.0)
        while True:
            try:
                await self.intake.take(self.feed, self.format, body, self.manner, message_id)
                return
            except Exception as error:
                if not database_waits(error):
                    raise
                self.log.warning("waits for the database", error=str(error)[:REASON_SHOWN])
                await asyncio.sleep(backoff.next())
