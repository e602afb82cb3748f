"""`make stack`: the shape of production on this machine, as its user meets it."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.support.client import RawClient
from tests.support.legs import set_gate
from tests.support.ports import free_port
from tests.support.process import Child
from tests.support.wait import until

ROOT = Path(__file__).parents[2]
BOARD = "board:JFK:departures"


def below(root: int) -> dict[int, str]:
    """What a process has started, and that in turn: command lines by process id."""
    found: dict[int, str] = {}
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
    for pid in parents:
        ancestor = parents.get(pid)
        while ancestor and ancestor != root:
            ancestor = parents.get(ancestor)
        if ancestor:
            with contextlib.suppress(OSError):
                found[pid] = command_line(pid)
    return found


def command_line(pid: int) -> str:
    """Empty for the dead."""
    return (Path("/proc") / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode()


def left_of(started: dict[int, str]) -> list[str]:
    """Those of `started` that live."""
    left = []
    for pid, line in started.items():
        with contextlib.suppress(OSError):
            left += [line] if command_line(pid) == line else []
    return left


class StackUnderTest(Child):
    """The stack on a free port, with a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        command = [sys.executable, str(ROOT / "deploy" / "stack.py"), "--speed", "10"]
        environment = {"GATECAST_PORT": str(self.port), "GATECAST_DATA_DIR": str(folder)}
        super().__init__(command, environment=environment, folder=ROOT)

    async def dsn(self) -> str:
        """Where its PostgreSQL is, as it says itself once everything runs."""
        line = await self.wait_for_line("By hand", 90)
        found = re.search(r"psql '([^']+)'", line)
        assert found is not None
        return found[1]

    def pid_of(self, role: str) -> int:
        """One of its processes."""
        return next(pid for pid, line in below(self.pid).items() if f" -m api {role} " in line)


async def see_a_change_by_hand(stack: StackUnderTest, session: "asyncpg.Connection[Any]") -> None:
    """A browser behind the proxy sees a row that nobody but PostgreSQL was told of."""
    row = await session.fetchrow(
        "SELECT leg_id, key FROM flight_leg WHERE dep_airport = 'JFK'"
        " AND std > board_now() + interval '3 hours' ORDER BY std LIMIT 1"
    )
    assert row is not None
    place = f"127.0.0.1:{stack.port}"
    origin = {"Origin": f"http://{place}"}
    async with RawClient(f"ws://{place}/connection/websocket", additional_headers=origin) as client:
        await client.connect()
        board = await client.subscribe(BOARD)
        assert row["key"] in {each["key"] for each in board["state"]}
        await set_gate(session, row["leg_id"], "Z99")
        async with asyncio.timeout(2):
            pub = (await client.push(BOARD))["pub"]
            while pub["key"] != row["key"]:
                pub = (await client.push(BOARD))["pub"]
        assert pub["data"]["dep_gate"] == "Z99"


@pytest.mark.timeout(300)
async def test_the_stack_serves_ends_loudly_and_goes_on(tmp_path: Path) -> None:
    async with StackUnderTest(tmp_path) as stack:
        session = await asyncpg.connect(await stack.dsn())
        await see_a_change_by_hand(stack, session)
        changes = await session.fetchval("SELECT last_seq FROM relay_state")
        await session.close()
        started = below(stack.pid)
        assert len(started) > 10

        # A part that dies ends the rest, and says which it was.
        os.kill(stack.pid_of("realtime"), signal.SIGKILL)
        assert await stack.wait(60) == 1
        assert re.search(r"stopped because realtime-[12] ended with -9", stack.output())
        await until(lambda: not left_of(started), within=5, what="nothing is left behind")

        stack.start()
        session = await asyncpg.connect(await stack.dsn())
        assert await session.fetchval("SELECT last_seq FROM relay_state") >= changes
        await session.close()
        started = below(stack.pid)
        assert await stack.stop(60) == 0
        await until(lambda: not left_of(started), within=5, what="nothing is left behind")


@pytest.mark.timeout(180)
async def test_a_killed_stack_takes_its_parts_along(tmp_path: Path) -> None:
    async with StackUnderTest(tmp_path) as stack:
        await stack.dsn()
        started = below(stack.pid)
        assert len(started) > 10
        stack.kill()
        await until(lambda: not left_of(started), within=60, what="its parts end by themselves")
