"""The processes of a stack: their output prefixed, their ends watched, nothing left behind."""

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1
LINE_LIMIT = 1 << 20
STOP_WITHIN = 20.0
OUTPUT_WITHIN = 0.5
COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)


class Output:
    """Lines of several programs on one screen, told apart by name and, on a terminal, by colour."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.terminal = sys.stdout.isatty()
        self.colours: dict[str, int] = {}

    def line(self, name: str, text: str) -> None:
        """One line of the program `name`."""
        prefix = f"{name:<{self.width}} │"
        if self.terminal:
            colour = self.colours.setdefault(name, COLOURS[len(self.colours) % len(COLOURS)])
            prefix = f"\x1b[{colour}m{prefix}\x1b[0m"
        print(f"{prefix} {text}", flush=True)


class Child:
    """One program in a process group of its own, which ends when we do, however we end."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        environment: Mapping[str, str],
        output: Output,
    ) -> None:
        self.name = name
        self.command = [str(part) for part in command]
        self.environment = environment
        self.output = output
        self._process: subprocess.Popen[bytes] | None = None
        self._ended: asyncio.Task[int] | None = None

    def start(self) -> asyncio.Task[int]:
        """Start it, `environment` added to ours; the task ends with its exit code."""
        prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

        def end_with_parent() -> None:
            prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)

        self._process = subprocess.Popen(
            self.command,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )
        self._ended = asyncio.create_task(self._end(self._process), name=f"end of {self.name}")
        return self._ended

    async def stop(self) -> bool:
        """SIGTERM, then SIGKILL; whether it ended in time."""
        if self._process is None or self._ended is None:
            return True
        if not self._ended.done():
            self._signal(signal.SIGTERM)
        done, _ = await asyncio.wait([self._ended], timeout=STOP_WITHIN)
        self.kill()
        await self._ended
        return bool(done)

    def kill(self) -> None:
        """SIGKILL to all of its process group, also when it is dead itself."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            assert self._process is not None
            self._process.send_signal(number)

    async def _end(self, process: subprocess.Popen[bytes]) -> int:
        printing = asyncio.create_task(self._print(process), name=f"output of {self.name}")
        exited, pidfd = asyncio.Event(), os.pidfd_open(process.pid)
        loop = asyncio.get_running_loop()
        loop.add_reader(pidfd, exited.set)
        try:
            await exited.wait()
        finally:
            loop.remove_reader(pidfd)
            os.close(pidfd)
        # What it started may live on and hold the pipe open.
        await asyncio.wait([printing], timeout=OUTPUT_WITHIN)
        printing.cancel()
        return process.wait()

    async def _print(self, process: subprocess.Popen[bytes]) -> None:
        reader = asyncio.StreamReader(limit=LINE_LIMIT)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), process.stdout
        )
        with contextlib.closing(transport):
            while line := await self._line(reader):
                self.output.line(self.name, line.decode(errors="replace").rstrip())

    async def _line(self, reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.readline()
        except ValueError:
            return b"(a line too long to show)\n"
