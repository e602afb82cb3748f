"""A flight channel: the newest state, a bounded history, recovery by offset. Pure."""

from collections import deque

from realtime.protocol import Publication

HISTORY = 32


class Stream:
    """Offsets are the versions of one leg; they rise by one."""

    __slots__ = ("history",)

    def __init__(self, newest: Publication) -> None:
        self.history: deque[Publication] = deque((newest,), HISTORY)

    @property
    def newest(self) -> Publication:
        return self.history[-1]

    def publish(self, publication: Publication) -> None:
        """A jump (a state loaded afresh) makes everything before it unrecoverable."""
        if publication.offset != self.newest.offset + 1:
            self.history.clear()
        self.history.append(publication)

    def since(self, offset: int) -> list[Publication] | None:
        """Everything missed after this offset; None when that is not held any more."""
        missed = self.newest.offset - offset
        if missed < 0 or missed > len(self.history):
            return None
        return list(self.history)[len(self.history) - missed :]
