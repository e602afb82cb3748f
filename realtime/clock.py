"""Board time from an anchor, by the same rule as board_now() in schema.sql, and wall time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from msgspec import Struct

RUN_ON = timedelta(seconds=5)
SAME = timedelta(seconds=1)


def machine_now() -> datetime:
    """Wall time as this machine has it."""
    return datetime.now(UTC)


class WallClock:
    """Wall time of the database, whatever the clock of this machine says."""

    def __init__(self, machine: Callable[[], datetime] = machine_now) -> None:
        self.ahead = timedelta(0)
        self._machine = machine

    def now(self) -> datetime:
        """Since the last reading of the database's clock, by the machine's."""
        return self._machine() + self.ahead

    def read(self, database: datetime) -> None:
        """The database has just said what time it is; what is less than a second is the way."""
        ahead = database - self._machine()
        self.ahead = ahead if abs(ahead) > SAME else timedelta(0)


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
