"""Waiting: between attempts, exponentially with full jitter; for an event, with a limit."""

import asyncio
import random
from contextlib import suppress


class Backoff:
    """Each call of `next` may wait twice as long as the one before, from `base` up to `cap` s."""

    def __init__(self, base: float = 0.2, cap: float = 5.0, least: float = 0.05) -> None:
        self.base = base
        self.cap = cap
        self.least = least
        self.attempt = 0

    def next(self) -> float:
        """Seconds to wait now."""
        bound = min(self.cap, self.base * 2**self.attempt)
        self.attempt = min(self.attempt + 1, 30)
        return max(self.least, random.uniform(0, bound))

    def reset(self) -> None:
        """The thing works again."""
        self.attempt = 0


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Until the event is set or the time is over."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
