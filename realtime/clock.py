"""Board time from an anchor, by the same rule as board_now() in schema.sql. Pure."""

from datetime import datetime, timedelta

from msgspec import Struct

RUN_ON = timedelta(seconds=5)


class Clock(Struct, frozen=True):
    """`speed` None: board time is wall time; else it runs on from the anchor for 5 wall seconds."""

    board_at: datetime
    wall_at: datetime
    speed: float | None = None

    def now(self, wall: datetime) -> datetime:
        """Board time at this wall time."""
        if self.speed is None:
            return wall
        return self.board_at + min(wall - self.wall_at, RUN_ON) * self.speed
