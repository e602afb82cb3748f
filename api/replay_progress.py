"""How far a replay is: a line that renews itself on a terminal, else a log line a board hour."""

import asyncio
import sys
from datetime import datetime

import structlog
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from api.replay import OPENS, Replay

EACH = 0.5


class ReplayProgress:
    """Watches a replay, changes nothing."""

    def __init__(self, replay: Replay) -> None:
        self.replay = replay
        self.told_hour: datetime | None = None

    async def run(self) -> None:
        """Until cancelled."""
        await self.replay.opened.wait()
        if counts := self.replay.told.counts:
            structlog.get_logger().info("faults on purpose", **counts)
        if sys.stderr.isatty():
            await self._draw()
        while True:
            self._log()
            await asyncio.sleep(EACH)

    async def _draw(self) -> None:
        columns = (
            TextColumn("{task.fields[board]}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} statements, lag {task.fields[lag]} s"),
        )
        console = Console(stderr=True)
        with Progress(*columns, console=console, auto_refresh=False, transient=True) as drawn:
            line = drawn.add_task("", total=self.replay.total, board="", lag=0)
            while True:
                drawn.update(
                    line,
                    completed=self.replay.applied,
                    board=f"{self._board():%a %d %b %H:%M:%S} New York",
                    lag=round(self.replay.lag.total_seconds()),
                    refresh=True,
                )
                await asyncio.sleep(EACH)

    def _board(self) -> datetime:
        assert self.replay.now is not None
        return self.replay.now.astimezone(OPENS.tzinfo)

    def _log(self) -> None:
        hour = self._board().replace(minute=0, second=0, microsecond=0)
        if hour == self.told_hour:
            return
        self.told_hour = hour
        structlog.get_logger().info(
            "replay",
            board=self._board().isoformat(timespec="seconds"),
            applied=self.replay.applied,
            total=self.replay.total,
            lag=round(self.replay.lag.total_seconds(), 1),
        )
