"""One clock hand for all sessions: each is looked at when it is due, none has a timer."""

from collections.abc import Iterator
from typing import Protocol

from realtime.errors import DisconnectCode


class Session(Protocol):
    """A connected client as the keepalive sees it; `due`: when to look at it, monotonic seconds."""

    transport: str
    due: float
    bucket: int

    def tick(self, now: float) -> DisconnectCode | None:
        """Send a ping when one is due; the code to close with when the client's time is over."""
        ...


MAX_BUCKET = 1 << 53


class Wheel:
    """Sessions in buckets of one step of time."""

    def __init__(self, step: float) -> None:
        self.step = step
        self._buckets: dict[int, set[Session]] = {}
        self._passed = -1

    def add(self, session: Session) -> None:
        """It is looked at within a step after it is due."""
        due = min(session.due / self.step, MAX_BUCKET)
        session.bucket = max(int(due), self._passed) + 1
        self._buckets.setdefault(session.bucket, set()).add(session)

    def remove(self, session: Session) -> None:
        """It is not looked at any more."""
        bucket = self._buckets.get(session.bucket)
        if bucket is not None:
            bucket.discard(session)

    def turn(self, now: float) -> Iterator[Session]:
        """Those whose time has come, once; who stays is to be added again."""
        reached = int(now / self.step)
        for number in sorted(each for each in self._buckets if each <= reached):
            self._passed = number
            bucket = self._buckets[number]
            while bucket:
                yield bucket.pop()
            del self._buckets[number]
        self._passed = reached
