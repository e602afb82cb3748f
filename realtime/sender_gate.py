"""When a provider must be left alone, and when its word about dead targets is not believed."""

import random
import time
from collections import deque
from collections.abc import Callable

import structlog

WINDOW, LEAST, SHARE = 60.0, 200, 0.2
WELL = 20  # answers in a window, with few enough dead ones, that close the breaker again

Clock = Callable[[], float]


class Pause:
    """The whole sender waits, for as long as the provider asked for and a little more."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._until = 0.0
        self.reason = ""

    def begin(self, seconds: float, reason: str) -> None:
        """Never shortens a pause."""
        until = self._clock() + seconds * random.uniform(1.0, 1.1)
        if until > self._until:
            self._until, self.reason = until, reason

    def left(self) -> float:
        """Seconds, 0 when sends may go."""
        return max(0.0, self._until - self._clock())


class Breaker:
    """Opens when too many targets are called dead: more likely a key or a project is wrong."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._answers: deque[tuple[float, bool]] = deque()
        self._dead = 0
        self.open = False

    def note(self, dead: bool) -> None:
        """An answer of the provider about a target."""
        self._answers.append((self._clock(), dead))
        self._dead += dead
        self._judge()

    def is_open(self) -> bool:
        """No target may be given up now."""
        self._judge()
        return self.open

    def _judge(self) -> None:
        start = self._clock() - WINDOW
        while self._answers and self._answers[0][0] < start:
            self._dead -= self._answers.popleft()[1]
        count = len(self._answers)
        too_many = self._dead > SHARE * count
        if self.open:
            # Silence proves nothing, nor does one good target of a wrong project.
            self.open = too_many or count < WELL
        elif too_many and count >= LEAST:
            self.open = True
            structlog.get_logger().error(
                "too many targets are called dead: none is given up", dead=self._dead, of=count
            )
