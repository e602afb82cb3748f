"""What the processes of one `serve` tell each other: that something is new, and how they are.

Each worker shares a socket pair with the process that started it. An empty line is a doorbell, any
other a question or its answer. Nothing of it lies in a file, so a kill leaves nothing behind.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Protocol

import msgspec
from msgspec import Raw, Struct
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

LONGEST = 16 << 20
ANSWER_WITHIN = 2.0
RING = b"\n"
NO_ANSWER = "gives no answer"


class Condition(Struct):
    """Reasons by part: `faults` keep clients away, with what is `degraded` they are served on."""

    faults: dict[str, str]
    degraded: dict[str, str] = {}


CONDITION = msgspec.json.Decoder(Condition)


class Question(Struct, tag="question", tag_field="is"):
    """`of`: what is asked for."""

    number: int
    of: str


class Answer(Struct, tag="answer", tag_field="is"):
    """To the question of this number."""

    number: int
    body: Raw


LINE = msgspec.json.Decoder(Question | Answer)
Answering = Callable[[str], Awaitable[object]]
"""What is asked for, to something that JSON can carry."""


async def no_answer(_: str) -> object:
    """Of an end that nobody asks."""
    return None


class Line:
    """One end of a socket pair. `ring` and `ask` do nothing until `run` has opened it."""

    def __init__(self, end: socket.socket, woken: Callable[[], None]) -> None:
        self.answering: Answering = no_answer
        self._end = end
        self._woken = woken
        self._writer: asyncio.StreamWriter | None = None
        self._asked: dict[int, asyncio.Future[Raw]] = {}
        self._number = 0

    async def run(self) -> None:
        """Until the other end is gone."""
        reader, self._writer = await asyncio.open_unix_connection(sock=self._end, limit=LONGEST)
        try:
            async with asyncio.TaskGroup() as group:
                while line := await reader.readline():
                    if line == RING:
                        self._woken()
                        continue
                    said = LINE.decode(line)
                    if isinstance(said, Question):
                        group.create_task(self._answer(said), name=f"answer {said.of}")
                    elif (asked := self._asked.pop(said.number, None)) and not asked.done():
                        asked.set_result(said.body)
        except ConnectionError:
            pass  # as good as its end
        finally:
            self._writer.close()

    def ring(self) -> None:
        """Wake the other end; one that has not heard the last ring yet needs no other."""
        if self._writer is not None and not self._writer.transport.get_write_buffer_size():
            self._say(RING)

    async def ask(self, of: str, within: float = ANSWER_WITHIN) -> Raw | None:
        """What the other end answers; None: nothing in time."""
        self._number += 1
        number = self._number
        asked: asyncio.Future[Raw] = asyncio.get_running_loop().create_future()
        self._asked[number] = asked
        self._say(msgspec.json.encode(Question(number, of)) + b"\n")
        try:
            async with asyncio.timeout(within):
                return await asked
        except TimeoutError:
            return None
        finally:
            self._asked.pop(number, None)

    async def _answer(self, question: Question) -> None:
        body = Raw(msgspec.json.encode(await self.answering(question.of)))
        self._say(msgspec.json.encode(Answer(question.number, body)) + b"\n")

    def _say(self, line: bytes) -> None:
        if self._writer is not None and not self._writer.is_closing():
            with suppress(ConnectionError):
                self._writer.write(line)


class Whole(Protocol):
    """How all processes of a `serve` are."""

    async def condition(self) -> Condition:
        """Of every part of every process."""
        ...

    async def metrics(self) -> bytes | None:
        """What each counts, told apart by a label; None: nobody could be asked."""
        ...


class AskedWhole:
    """The whole as one of the workers learns it from the first process."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def condition(self) -> Condition:
        """Of every part of every process."""
        answer = await self._line.ask("all conditions", 2 * ANSWER_WITHIN)
        return Condition({"serve": NO_ANSWER}) if answer is None else CONDITION.decode(answer)

    async def metrics(self) -> bytes | None:
        """What each counts, told apart by a label; None: the first process says nothing."""
        answer = await self._line.ask("all metrics", 2 * ANSWER_WITHIN)
        return None if answer is None else msgspec.json.decode(answer, type=str).encode()


class Merged(Collector):
    """Expositions of several processes as one, `process` saying whose a sample is."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def collect(self) -> list[Metric]:
        families: dict[str, Metric] = {}
        for process, text in self._texts.items():
            for found in text_string_to_metric_families(text):
                family = families.setdefault(
                    found.name, Metric(found.name, found.documentation, found.type, found.unit)
                )
                for sample in found.samples:
                    labels = {**sample.labels, "process": process}
                    family.samples.append(sample._replace(labels=labels))
        return list(families.values())


def merged(texts: Mapping[str, str]) -> bytes:
    """One exposition of those of several processes."""
    registry = CollectorRegistry()
    registry.register(Merged(texts))
    return generate_latest(registry)
