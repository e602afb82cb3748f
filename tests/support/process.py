"""Programs under test, each in a process of its own."""

import contextlib
import ctypes
import os
import signal
import ssl
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2

from tests.support.wait import until

PR_SET_PDEATHSIG = 1
LINES_SHOWN = 30


class Child:
    """One subprocess, its output kept in a file; it cannot outlive the test run."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        output_file: Path | None = None,
        death_signal: signal.Signals = signal.SIGKILL,
    ) -> None:
        self._command = [str(part) for part in command]
        self._environment = environment
        self._folder = folder
        self._kept = output_file
        self._death_signal = death_signal
        self._file: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id."""
        return self._running().pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, None while it runs; negative after a signal."""
        return self._running().poll()

    def start(self) -> None:
        """Start it; `environment` is added to that of the tests. A second start begins anew."""
        if self._process is not None and self._process.poll() is None:
            raise RuntimeError(f"{self._command[0]} already runs")
        if self._file is None:
            self._file = self._kept or _temporary_file()
        prctl, death_signal = ctypes.CDLL(None).prctl, self._death_signal
        with self._file.open("wb") as output:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env={**os.environ, **(self._environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, death_signal),
            )

    def output(self) -> str:
        """Everything it has printed since its last start."""
        return self._file.read_text(errors="replace") if self._file else ""

    async def wait_for_line(self, text: str, deadline: float = 20.0) -> str:
        """Return the first line with `text`; fail if the process ends or is too slow."""
        return await until(
            lambda: self._line_with(text), within=deadline, what=f"a line with {text!r}"
        )

    async def wait_http(
        self, url: str, deadline: float = 20.0, *, ca_file: Path | None = None
    ) -> None:
        """Return when `url` answers 200; fail if the process ends or is too slow."""
        trust = ssl.create_default_context(cafile=ca_file)
        async with httpx2.AsyncClient(trust_env=False, verify=trust, timeout=5.0) as client:

            async def answers() -> bool:
                self._check_alive()
                try:
                    return (await client.get(url)).status_code == 200
                except httpx2.TransportError:
                    return False

            await until(answers, within=deadline, what=f"200 from {url}")

    async def wait(self, within: float = 20.0) -> int:
        """Return the exit code once it has ended by itself."""
        process = self._running()
        await until(
            lambda: process.poll() is not None, within=within, what=f"end of {self._command[0]}"
        )
        return process.wait()

    async def stop(self, within: float = 20.0) -> int:
        """SIGTERM; return the exit code, or kill it and fail when it does not end in time."""
        process = self._running()
        process.terminate()
        try:
            return await self.wait(within)
        except AssertionError:
            self.kill()
            raise

    def kill(self) -> int:
        """SIGKILL to this process alone, nothing is cleaned up; return the exit code."""
        process = self._running()
        process.kill()
        return process.wait()

    def send(self, number: signal.Signals) -> None:
        """Any signal."""
        self._running().send_signal(number)

    def freeze(self) -> None:
        """SIGSTOP: alive for the kernel, silent for everybody else; it stands still on return."""
        process = self._running()
        process.send_signal(signal.SIGSTOP)
        # A signal sent before the stop has happened may overtake it.
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self) -> None:
        """SIGCONT."""
        self._running().send_signal(signal.SIGCONT)

    def remove(self) -> None:
        """Kill it if it runs and remove its output file."""
        if self._process is not None:
            self.kill()
        if self._file is not None and self._kept is None:
            self._file.unlink(missing_ok=True)

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(f"--- output of {self._command[0]}\n{self._tail()}")
        self.remove()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"{self._command[0]} is not started")
        return self._process

    def _tail(self) -> str:
        return "\n".join(self.output().splitlines()[-LINES_SHOWN:])

    def _check_alive(self) -> None:
        exit_code = self._running().poll()
        if exit_code is not None:
            raise AssertionError(f"{self._command[0]} ended with {exit_code}:\n{self._tail()}")

    def _line_with(self, text: str) -> str:
        exit_code = self._running().poll()
        line = next((line for line in self.output().splitlines() if text in line), "")
        if not line and exit_code is not None:
            self._check_alive()
        return line


def _temporary_file() -> Path:
    descriptor, name = tempfile.mkstemp(prefix="child-", suffix=".log")
    os.close(descriptor)
    return Path(name)


def children_of(pid: int) -> dict[int, str]:
    """The command lines of the processes that a process has started and that still are there."""
    found: dict[int, str] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == pid:
                    line = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(folder.name)] = line.decode(errors="replace")
    return found
