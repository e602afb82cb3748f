"""`serve --workers N`: processes that take clients on one port, and the first, which keeps them."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import msgspec
import structlog
from msgspec import Raw, Struct

from api.child import ended, ending_with_us
from realtime.app import Readiness
from realtime.errors import GatecastError
from realtime.metrics import Readings, exposition
from realtime.peers import CONDITION, NO_ANSWER, Condition, Line, merged
from realtime.settings import Settings

A_CORE = 4
END_WITHIN = 10.0  # after the drain


class WorkerEnded(GatecastError):
    """A worker has ended though nobody asked it to, or has not though asked."""


class Briefing(Struct, frozen=True):
    """What a worker is told on its standard input; `listener` and `line` are file descriptors."""

    number: int
    settings: Settings
    listener: int
    line: int


def most_workers() -> int:
    """More only take turns on the cores that this process may use."""
    return A_CORE * len(os.sched_getaffinity(0))


def worker_command() -> list[str]:
    """`gatecast worker`, called as this process was."""
    own = len(sys.orig_argv) - len(sys.argv) + 1
    return [sys.executable, *sys.orig_argv[1:own], "worker"]


class Tether:
    """A worker's end of the line: it may not outlive the process that started it."""

    def __init__(self, line: Line) -> None:
        self.line = line

    async def run(self) -> None:
        await self.line.run()
        raise WorkerEnded("the process that started this worker has ended")


class Worker:
    """One process, and our end of the line to it."""

    def __init__(self, number: int, bound: socket.socket, line: Line, theirs: socket.socket):
        self.number = number
        self.line = line
        self._bound = bound
        self._theirs = theirs
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, settings: Settings) -> None:
        """Start it; the port and its end of the line are its own from now on."""
        listener, line = self._bound.fileno(), self._theirs.fileno()
        self._process = subprocess.Popen(
            worker_command(),
            stdin=subprocess.PIPE,
            pass_fds=(listener, line),
            # Ctrl-C at a terminal reaches the first process alone, which ends the others in order.
            start_new_session=True,
            preexec_fn=ending_with_us(signal.SIGKILL),
        )
        assert self._process.stdin is not None
        with suppress(BrokenPipeError), self._process.stdin as briefed:
            briefed.write(msgspec.json.encode(Briefing(self.number, settings, listener, line)))
        self._bound.close()
        self._theirs.close()

    async def run(self) -> int:
        """Until it has ended: with which code."""
        assert self._process is not None
        async with asyncio.TaskGroup() as group:
            talk = group.create_task(self.line.run(), name=f"line to worker {self.number}")
            code = await ended(self._process)
            talk.cancel()
        return code

    def send(self, number: signal.Signals) -> None:
        """Any signal, unless it has ended."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    async def remove(self) -> None:
        """Kill it if it runs."""
        self._bound.close()
        self._theirs.close()
        self.send(signal.SIGKILL)
        if self._process is not None:
            await ended(self._process)


class Workers:
    """All of them: one that ends unasked stops the whole, loudly."""

    def __init__(
        self,
        settings: Settings,
        bound: Sequence[socket.socket],
        readiness: Readiness,
        readings: Readings,
    ) -> None:
        self.settings = settings
        self.readiness = readiness
        self.readings = readings
        self.committed: Callable[[], None] = lambda: None
        self._stopping = False
        self._over = asyncio.Event()
        self._all: list[Worker] = []
        for number, listener in enumerate(bound, 1):
            ours, theirs = socket.socketpair()
            line = Line(ours, lambda: self.committed())
            line.answering = self._answer
            self._all.append(Worker(number, listener, line, theirs))

    async def run(self) -> None:
        """Until all have been stopped; WorkerEnded when one ends before."""
        try:
            for worker in self._all:
                worker.start(self.settings)
            async with asyncio.TaskGroup() as group:
                for worker in self._all:
                    group.create_task(self._watch(worker), name=f"worker {worker.number}")
        finally:
            self._over.set()
            for worker in self._all:
                await worker.remove()

    def ring(self) -> None:
        """The change log has grown."""
        for worker in self._all:
            worker.line.ring()

    def send(self, number: signal.Signals) -> None:
        """A signal to each."""
        for worker in self._all:
            worker.send(number)

    async def stop(self) -> None:
        """Have all of them drain and end; who does not in time is killed and told of."""
        self._stopping = True
        self.send(signal.SIGTERM)
        try:
            async with asyncio.timeout(
                self.settings.drain_delay + self.settings.drain + END_WITHIN
            ):
                await self._over.wait()
        except TimeoutError:
            raise WorkerEnded("a worker did not end when asked and was killed") from None

    async def _watch(self, worker: Worker) -> None:
        code = await worker.run()
        # A signal that comes before it can drain has nothing to drain.
        if not self._stopping or code not in (0, -signal.SIGTERM):
            how = f"signal {-code}" if code < 0 else f"code {code}"
            raise WorkerEnded(f"worker {worker.number} ended with {how}")
        structlog.get_logger().info("worker stopped", number=worker.number)

    # What the whole says of itself ---------------------------------------------------------------

    async def _answer(self, of: str) -> object:
        if of == "all conditions":
            return await self.condition()
        return (await self.metrics()).decode()

    async def metrics(self) -> bytes:
        """What each process counts."""
        return merged(await self._texts())

    async def condition(self) -> Condition:
        """Reasons by process and part."""
        whole = self.readiness.condition()
        for number, answer in (await self._ask("condition")).items():
            name = f"worker {number}"
            if answer is None:
                whole.faults[name] = NO_ANSWER
                continue
            found = CONDITION.decode(answer)
            for ours, theirs in ((whole.faults, found.faults), (whole.degraded, found.degraded)):
                ours |= {f"{name} {part}": reason for part, reason in theirs.items()}
        return whole

    async def _texts(self) -> Mapping[str, str]:
        await self.readings.refresh()
        texts = {"serve": exposition(self.readings).decode()}
        for number, answer in (await self._ask("metrics")).items():
            if answer is not None:
                texts[f"worker-{number}"] = msgspec.json.decode(answer, type=str)
        return texts

    async def _ask(self, of: str) -> dict[int, Raw | None]:
        answers = await asyncio.gather(*(worker.line.ask(of) for worker in self._all))
        return {worker.number: each for worker, each in zip(self._all, answers, strict=True)}
