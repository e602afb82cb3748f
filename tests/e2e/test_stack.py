"""`make stack`: the shape of production on this machine, as its user meets it."""

import os
import re
import signal
import sys
from pathlib import Path

import asyncpg
import pytest

from tests.support.client import RawClient
from tests.support.legs import set_gate
from tests.support.ports import free_port
from tests.support.process import Child
from tests.support.wait import until

ROOT = Path(__file__).parents[2]
BOARD = "board:JFK:departures"


def processes_of(folder: Path) -> list[str]:
    """Command lines that still speak of this stack's folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


class StackUnderTest(Child):
    """The stack on a free port, with a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        command = [sys.executable, ROOT / "deploy" / "stack.py", "--speed", "10"]
        environment = {"GATECAST_PORT": str(self.port), "GATECAST_DATA_DIR": str(folder)}
        super().__init__(command, environment=environment, folder=ROOT)

    async def dsn(self) -> str:
        """Where its PostgreSQL is, as it says itself once everything runs."""
        line = await self.wait_for_line("By hand", 120)
        found = re.search(r"psql '([^']+)'", line)
        assert found is not None
        return found[1]

    def pid_of(self, role: str) -> int:
        """The process of one of its parts."""
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(path.read_text().rpartition(")")[2].split()[1])
                line = (path.parent / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if parent == self.pid and line[1:4] == [b"-m", b"api", role.encode()]:
                return int(path.parent.name)
        raise AssertionError(f"the stack has no {role}")


@pytest.mark.timeout(300)
async def test_the_stack_serves_ends_loudly_and_goes_on(tmp_path: Path) -> None:
    async with StackUnderTest(tmp_path) as stack:
        session = await asyncpg.connect(await stack.dsn())
        row = await session.fetchrow(
            "SELECT leg_id, key FROM flight_leg WHERE dep_airport = 'JFK'"
            " AND std > board_now() + interval '3 hours' ORDER BY std LIMIT 1"
        )
        assert row is not None
        url = f"ws://127.0.0.1:{stack.port}/connection/websocket"
        async with RawClient(url) as client:
            await client.connect()
            board = await client.subscribe(BOARD)
            assert row["key"] in {each["key"] for each in board["state"]}
            await set_gate(session, row["leg_id"], "Z99")
            pub = (await client.push(BOARD))["pub"]
            while pub["key"] != row["key"]:
                pub = (await client.push(BOARD))["pub"]
            assert pub["data"]["dep_gate"] == "Z99"
        changes = await session.fetchval("SELECT last_seq FROM relay_state")
        await session.close()

        # A part that dies ends the rest, and says which it was.
        os.kill(stack.pid_of("relay"), signal.SIGKILL)
        assert await stack.wait(60) == 1
        assert "relay ended with" in stack.output()
        assert processes_of(tmp_path) == []

        stack.start()
        session = await asyncpg.connect(await stack.dsn())
        assert await session.fetchval("SELECT last_seq FROM relay_state") >= changes
        await session.close()
        assert await stack.stop(60) == 0
        await until(lambda: not processes_of(tmp_path), within=10, what="nothing is left behind")
