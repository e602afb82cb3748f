"""How late the event loop of a process is: what every client and every link feels."""

import asyncio
from collections import deque

EACH = 0.25
KEPT = 60  # observations: the last 15 seconds


class LoopLag:
    """A part that sleeps and looks how much too late it is woken."""

    def __init__(self) -> None:
        self._late: deque[float] = deque(maxlen=KEPT)

    @property
    def worst(self) -> float:
        """Seconds, of the last 15."""
        return max(self._late, default=0.0)

    async def run(self) -> None:
        """Until cancelled."""
        now = asyncio.get_running_loop().time
        while True:
            due = now() + EACH
            await asyncio.sleep(EACH)
            self._late.append(max(0.0, now() - due))
