"""Writers that commit without pause, and watchers that come back, for tests of faults."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import websockets

from realtime.database import DATABASE_AWAY
from realtime.errors import UNRECOVERABLE_POSITION
from tests.support.client import RawClient
from tests.support.legs import key_of
from tests.support.socket_ledger import How, Shown, Surface
from tests.support.tasks import at_work
from tests.support.wait import until

COME_BACK = (0.05, 0.3)
# A socket that ended, a node that is away, a reply that did not come.
LINK_LOST = (OSError, TimeoutError, websockets.WebSocketException)


class Writers:
    """Gate changes of random legs; `acknowledged` is the last version that a commit answered,
    `committed_at` when it did."""

    def __init__(self, dsn: str, leg_ids: Sequence[int], *, pause: float = 0.02) -> None:
        self.dsn = dsn
        self.leg_ids = leg_ids
        self.pause = pause
        self.acknowledged: dict[int, int] = {}
        self.committed_at: dict[tuple[int, int], float] = {}
        self.commits = 0
        self.failures = 0

    async def run(self, number: int) -> None:
        """One writer, until cancelled; it reconnects when the database was away."""
        dice = random.Random(number)
        while True:
            try:
                connection = await asyncpg.connect(self.dsn, timeout=5)
                try:
                    while True:
                        await self._change(connection, dice)
                        await asyncio.sleep(self.pause)
                finally:
                    connection.terminate()
            except DATABASE_AWAY:
                self.failures += 1
                await asyncio.sleep(0.05)

    async def _change(self, connection: Any, dice: random.Random) -> None:
        leg_id, gate = dice.choice(self.leg_ids), f"{dice.choice('ABC')}{dice.randint(1, 99)}"
        version = await connection.fetchval(
            "UPDATE flight_leg SET dep_gate = $2 WHERE leg_id = $1 RETURNING version", leg_id, gate
        )
        self.commits += 1
        self.acknowledged[leg_id] = max(version, self.acknowledged.get(leg_id, 0))
        now = asyncio.get_running_loop().time()
        self.committed_at.setdefault((leg_id, version), now)

    @asynccontextmanager
    async def running(self, count: int) -> AsyncIterator["Writers"]:
        """This many of them at work."""
        tasks = [asyncio.create_task(self.run(n), name=f"writer {n}") for n in range(count)]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            for ended in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(ended, Exception):
                    raise ended


class Watcher:
    """Follows flights and a board over any of several nodes; comes back and recovers by offset."""

    def __init__(
        self, urls: Sequence[str], keys: Sequence[str], board: str, **options: Any
    ) -> None:
        """`options` are those of the WebSocket, a TLS context for one."""
        self.urls = urls
        self.keys = list(keys)
        self.options: dict[str, Any] = {"open_timeout": 2, "close_timeout": 0.2, **options}
        self.channels = [f"flight:{key}" for key in keys]
        self.board = board
        self.shown = Shown()
        self.positions: dict[str, tuple[str, int]] = {}
        self.versions: dict[str, int] = {}
        self.rows: dict[str, dict[str, Any]] = {}
        self.received = self.connects = self.unrecovered = 0
        self.wrong: list[str] = []

    @property
    def surfaces(self) -> Sequence[Surface]:
        """Each leg on its own channel and on the board."""
        return [(channel, key) for key in self.keys for channel in (f"flight:{key}", self.board)]

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            client = RawClient(random.choice(self.urls), **self.options)
            try:
                async with client:
                    await client.connect()
                    self.connects += 1
                    for channel in (*self.channels, self.board):
                        await self._subscribe(client, channel)
                    while True:
                        self._obey(await self._line(client))
            except LINK_LOST:
                await asyncio.sleep(random.uniform(*COME_BACK))

    async def _line(self, client: RawClient) -> dict[str, Any]:
        line = client.pushes.popleft() if client.pushes else await client.line()
        if line == {}:
            await client.socket.send("{}")
        return {"push": line} if "channel" in line else line

    async def _subscribe(self, client: RawClient, channel: str) -> None:
        request: dict[str, Any] = {"channel": channel}
        board = channel == self.board
        if board:
            request |= {"type": 1, "phase": 2}
        if channel in self.positions:
            epoch, offset = self.positions[channel]
            request |= {"recover": True, "epoch": epoch, "offset": offset}
            request |= {"phase": 1} if board else {}
        reply = await client.command("subscribe", request)
        while client.pushes:
            self._obey({"push": client.pushes.popleft()})
        if "error" in reply:
            if reply["error"]["code"] == UNRECOVERABLE_POSITION.code:
                self.positions.clear()  # of an epoch that has ended
            raise ConnectionError(f"{channel}: {reply['error']}")
        result = reply["subscribe"]
        whole = not result.get("recovered")
        self.unrecovered += result.get("was_recovering", False) and whole
        if "state" in result:
            self.rows = {each["key"]: each["data"] for each in result["state"]}
            for key, row in self.rows.items():
                self.shown.show((channel, key), row["version"], "resynchronised")
        if board or not result["publications"]:
            self.positions[channel] = result["epoch"], result["offset"]
        elif whole:
            self.positions[channel] = result["epoch"], 0
        how: How = "resynchronised" if board or whole else "lost"
        for each in result.get("publications", ()):
            self._take(channel, each, how)

    def _obey(self, line: dict[str, Any]) -> None:
        push = line.get("push", {})
        if "unsubscribe" in push:
            raise ConnectionError("unsubscribed")
        if "pub" in push:
            self._take(push["channel"], push["pub"], "conflated")

    def _take(self, channel: str, publication: dict[str, Any], how: How) -> None:
        self.received += 1
        epoch, held = self.positions[channel]
        offset = publication["offset"]
        if channel == self.board:
            self._take_row(publication, how)
        elif offset <= held:
            self.wrong.append(f"{channel} {offset} after {held}")
        else:
            key = channel.removeprefix("flight:")
            self.versions[key] = offset
            self.shown.show((channel, key), offset, how)
        self.positions[channel] = epoch, max(held, offset)

    def _take_row(self, publication: dict[str, Any], how: How) -> None:
        key = publication["key"]
        if publication.get("removed"):
            self.rows.pop(key, None)
            return
        version = publication["data"]["version"]
        if version < self.rows.get(key, {"version": 0})["version"]:
            self.wrong.append(f"{self.board} {key} {version} is older than what it replaces")
        self.rows[key] = publication["data"]
        self.shown.show((self.board, key), version, how)

    async def wait_for(self, database: Any, leg_ids: Sequence[int], within: float) -> None:
        """Until it holds what the database has, and nothing else."""
        wanted = {await key_of(database, each): 0 for each in leg_ids}
        states: dict[str, tuple[int, str]] = {}
        for row in await database.fetch("SELECT key, version, dep_gate FROM flight_leg"):
            states[row["key"]] = row["version"], row["dep_gate"]
        wanted = {key: states[key][0] for key in wanted}

        def equal() -> bool:
            rows = {key: (row["version"], row["dep_gate"]) for key, row in self.rows.items()}
            return self.versions == wanted and rows == states

        try:
            await until(equal, within=within, what="the watcher holds what the database has")
        except AssertionError as error:
            missing = {
                key: (self.versions.get(key), version)
                for key, version in wanted.items()
                if self.versions.get(key) != version
            }
            error.add_note(f"flights held, wanted: {missing}; {self.connects} connects")
            error.add_note(f"rows held: {sorted(self.rows)}, wanted: {sorted(states)}")
            raise


@asynccontextmanager
async def watching(watchers: Sequence[Watcher]) -> AsyncIterator[None]:
    """All of them at work, each with a first view."""
    async with at_work(*(each.run() for each in watchers)) as tasks:
        await until(
            lambda: (
                any(task.done() for task in tasks)
                or all(len(each.positions) == len(each.channels) + 1 for each in watchers)
            ),
            within=20,
            what="all watch",
        )
        yield
