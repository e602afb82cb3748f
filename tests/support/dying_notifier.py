"""Notifiers that are killed at one point of their work, one after the other, with the real SDK.

`python -m tests.support.dying_notifier DSN ACCOUNT URL POINT KILLS` prints a line with target and
id for each notice that one of them had in hand, and `killed` when it is gone.
"""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import asyncpg

from realtime.database import QUERIES, SESSION
from realtime.notifier import Notifier
from realtime.sender import Notice, Sent, Target
from realtime.sender_fcm import FcmSender
from realtime.settings import Settings
from tests.support.followers import IdleBus
from tests.support.process import PR_SET_PDEATHSIG

BEFORE_SEND, AFTER_SEND = "before the send", "after the send"
POINTS: Mapping[str, str] = MappingProxyType({
    BEFORE_SEND: "",
    AFTER_SEND: "",
    "in the record": "tell_sent",
    "after the record": "release_leases",
    "in the enqueue": "advance_reader",
})  # fmt: skip
"""Where they die: at a send, or instead of this statement once there is something to lose."""
SETTINGS = Settings(grace=0.1, grace_urgent=0.1, lease=1.0)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DyingSender:
    """The real one, up to the point."""

    def __init__(self, sender: FcmSender, point: str) -> None:
        self.sender = sender
        self.point = point
        self.sent = False

    async def send(self, sends: Sequence[tuple[Target, Notice]]) -> list[Sent]:
        for target, notice in sends:
            print(target.target, notice.id, flush=True)
        if self.point == BEFORE_SEND:
            die()
        answers = await self.sender.send(sends)
        if self.point == AFTER_SEND:
            die()
        self.sent = True
        return answers

    async def close(self) -> None:
        raise NotImplementedError


async def run(dsn: str, account: Path, url: str, point: str) -> None:
    """Work until death."""
    sender = DyingSender(await FcmSender.open(account, url), point)
    fatal = QUERIES.get(POINTS[point], "")

    class DyingConnection(asyncpg.Connection):
        """Has something to lose once a notice was sent or a delivery enqueued."""

        enqueued = 0

        async def fetchval(self, query: str, *arguments: Any, **options: Any) -> Any:
            found = await super().fetchval(query, *arguments, **options)
            self.enqueued += found if query == QUERIES["enqueue"] else 0
            return found

        async def execute(self, query: str, *arguments: Any, **options: Any) -> str:
            if query == fatal and (sender.sent or self.enqueued):
                die()
            return await super().execute(query, *arguments, **options)

    pool = await asyncpg.create_pool(
        dsn, min_size=2, max_size=4, server_settings=SESSION, connection_class=DyingConnection
    )
    await Notifier(pool, IdleBus(), sender, SETTINGS).run()


def main() -> None:
    """A fork is a new process in no time: all is imported."""
    dsn, account, url, point, kills = sys.argv[1:]
    for _ in range(int(kills)):
        child = os.fork()
        if child == 0:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            asyncio.run(run(dsn, Path(account), url, point))
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            raise SystemExit(f"it ended by itself: {status}")
        print("killed", flush=True)


if __name__ == "__main__":
    main()
