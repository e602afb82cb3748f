"""`gatecast watch` against a real serve: lines in a pipe, a table in a terminal."""

import asyncio
import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gatecast import Gatecast
from tests.support.operator import Operator
from tests.support.ports import free_port
from tests.support.process import Child
from tests.support.rest import DAY
from tests.support.wait import until

KEY = f"B69-{DAY}-JFK-MCO"
BOARD = "board:JFK:departures"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
QUICK = {"status_interval": "0.2", "link_late": "1", "link_stale": "2"}


@pytest.fixture
async def shell(dsn: str) -> AsyncIterator[Operator]:
    operator = Operator(dsn)
    await operator.leg(9, dep_gate="B22")
    await operator.leg(10, 2, dep_gate="B23")
    yield operator
    await operator.close()


@pytest.fixture
async def served(shell: Operator, tmp_path: Path) -> AsyncIterator[Gatecast]:
    data_dir = str(tmp_path / "served")
    async with Gatecast("serve", dsn=shell.dsn, data_dir=data_dir, **QUICK) as served:
        await served.ready(60)
        yield served


def watch(channel: str, *words: str) -> Child:
    return Child([sys.executable, "-m", "api", "watch", channel, *words])


def lines(child: Child, kind: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in child.output().splitlines()]
    return [each for each in found if each["kind"] == kind]


async def gates(child: Child, *wanted: str) -> None:
    """Wait until the told gates of the leg are these."""
    await until(
        lambda: gates_of(child) == list(wanted), within=20, what=f"{wanted}, not {gates_of(child)}"
    )


def gates_of(child: Child) -> list[str]:
    legs = [each["data"] for each in lines(child, "publication") if each["key"] == KEY]
    return [leg.get("leg", leg)["dep_gate"] for leg in legs]


async def test_a_pipe_gets_a_line_a_change_also_of_those_it_missed(
    shell: Operator, served: Gatecast
) -> None:

    async def sequenced() -> bool:
        return await shell.rows("SELECT count(*) FROM unsequenced()") == [(0,)]

    board, flight = watch(BOARD, "--url", served.http), watch(f"flight:{KEY}", "--url", served.url)
    # While serve is down another relay goes on giving changes their place in the log.
    async with Gatecast("relay", dsn=shell.dsn), board, flight:
        await gates(board, "B22")
        await gates(flight, "B22")
        await shell.leg(9, dep_gate="C3")
        await gates(board, "B22", "C3")
        served.kill()
        for gate in ("C4", "C5"):
            await shell.leg(9, dep_gate=gate)
        await shell.leg(10, 2, hidden=True)
        await until(sequenced, within=20, what="an empty outbox")
        served.start()
        # A flight recovers every version it missed, a board the newest of each row.
        await gates(flight, "B22", "C3", "C4", "C5")
        await gates(board, "B22", "C3", "C5")
        (removed,) = lines(board, "removed")
        assert removed["key"] == f"B610-{DAY}-JFK-MCO"
        told = [each["key"] for each in lines(board, "publication")]
        assert told.count(removed["key"]) == 1
        for child in (board, flight):
            child.send(signal.SIGINT)
            assert await child.wait() == 0, child.output()


async def test_a_pipe_hears_how_fresh_its_lines_are(served: Gatecast) -> None:
    async with watch("status:JFK", "--url", served.http) as child:

        async def states(*wanted: str) -> None:
            def said() -> list[str]:
                return [each["state"] for each in lines(child, "freshness")]

            await until(lambda: said() == list(wanted), within=20, what=f"{wanted}, not {said()}")

        await states("live")
        served.freeze()
        await states("live", "late", "stale")
        served.thaw()
        await states("live", "late", "stale", "live")
        status = lines(child, "status")[-1]
        assert status["data"]["speed"] == 1
        assert status["at"][:16] == status["data"]["now"][:16]


class Terminal:
    """`gatecast watch` as a person sees it."""

    def __init__(self, *words: str) -> None:
        self.screen = b""
        self._primary, secondary = pty.openpty()
        os.set_blocking(self._primary, False)
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
        command = [sys.executable, "-m", "api", "watch", *words]
        self.process = subprocess.Popen(
            command, env=environment, stdin=secondary, stdout=secondary, stderr=secondary
        )
        os.close(secondary)

    def shows(self, *texts: str) -> bool:
        """Whether the picture that was drawn last has all of these."""
        with contextlib.suppress(OSError):
            self.screen += os.read(self._primary, 1 << 20)
        text = COLOURS.sub("", self.screen.decode(errors="replace"))
        last = text.rpartition(BOARD)[2]
        return all(text in last for text in texts)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._primary)


async def test_a_terminal_shows_a_table_that_never_lies(shell: Operator, served: Gatecast) -> None:
    terminal = Terminal(BOARD, "--url", served.http)

    async def shows(*texts: str) -> None:
        await until(lambda: terminal.shows(*texts), within=20, what=f"{texts} on the screen")

    try:
        await shows("LIVE", "B6 9", "B22", "B6 10")
        await shell.leg(9, dep_gate="C3")
        await shows("LIVE", "C3")
        served.freeze()
        await shows("STALE (link)", "B6 9")
        assert not terminal.shows("C3")
        served.thaw()
        await shows("LIVE", "C3")
        terminal.process.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(terminal.process.wait, 20) == 0
    finally:
        terminal.close()


async def test_the_serve_that_runs_here_is_found(
    shell: Operator, served: Gatecast, tmp_path: Path
) -> None:
    child = Child(
        [sys.executable, "-m", "api", "watch", BOARD],
        environment={"GATECAST_DATA_DIR": str(tmp_path / "served")},
    )
    async with child:
        await gates(child, "B22")
    await served.stop()
    assert not (tmp_path / "served" / "serve.url").exists()


@pytest.mark.parametrize(("channel", "lines"), [("status:JFK", 2), (BOARD, 1)])
async def test_a_reader_that_has_seen_enough_ends_it_quietly(
    served: Gatecast, channel: str, lines: int
) -> None:
    command = f"{sys.executable} -m api watch {channel} --url {served.http} | head -n {lines}"
    shell = ["bash", "-o", "pipefail", "-c", command]
    done = await asyncio.to_thread(
        subprocess.run, shell, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == lines


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["board:JFK"], "board:JFK:departures"),
        (["flight:B69"], "is no channel"),
        (["status:JFK", "--url", f"http://127.0.0.1:{free_port()}"], "start `gatecast serve`"),
        (["status:JFK", "--url", "ftp://127.0.0.1"], "no address of a server"),
    ],
)
async def test_what_cannot_be_watched_is_one_line(
    shell: Operator, words: list[str], said: str
) -> None:
    done = await shell.run("watch", *words)
    assert done.returncode == 1
    assert done.stderr.startswith("gatecast: ")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
