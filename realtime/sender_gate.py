"""When a provider must be left alone, and when its word about dead targets is not believed."""

import math
import random
import time
from collections import deque
from collections.abc import Callable

import structlog

WINDOW, LEAST, SHARE = 60.0, 200, 0.2
WELL = 20  # answers in a window, with few enough dead ones, that close the breaker again
MOST = 90  # at once: above about 100 streams on its one connection the SDK's client begins to fail
FIRST = 10  # at once, before anything is known of the provider
IN_A_ROW = 5  # faults without a success between them: the provider is out of order
PAUSE_BASE, PAUSE_CAP = 1.0, 30.0  # of the pauses of a provider that names none
LONGEST = 86_400.0  # of the pauses that a provider names

Clock = Callable[[], float]


class Pause:
    """The whole sender waits, for as long as the provider asked for and a little more."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._until = 0.0
        self.reason = ""

    def begin(self, seconds: float, reason: str) -> None:
        """Never shortens a pause."""
        until = self._clock() + min(seconds, LONGEST) * random.uniform(1.0, 1.1)
        if until > self._until:
            self._until, self.reason = until, reason

    def left(self) -> float:
        """Seconds, 0 when sends may go."""
        return max(0.0, self._until - self._clock())


class Window:
    """How many sends may be under way: one more for each that is answered, half after a fault.

    Faults in a row begin a pause, each longer than the one before. After a pause a single send has
    to succeed before there are two, so that a provider that is out of order is asked rarely.
    """

    def __init__(self, pause: Pause, clock: Clock = time.monotonic) -> None:
        self._pause = pause
        self._clock = clock
        self._size = float(FIRST)
        self._paused_at = -math.inf
        self._in_a_row = self._pauses = 0

    @property
    def size(self) -> int:
        """Sends that may be under way at once."""
        return int(self._size)

    def answered(self) -> None:
        """The provider is at work, whatever it said of the target."""
        self._size = min(self._size + 1.0, MOST)
        self._in_a_row = self._pauses = 0

    def failed(self, begun: float, detail: str, asked: float | None = None) -> None:
        """A fault of the provider, or no answer, to a send of that time; `asked`: Retry-After."""
        late = begun <= self._paused_at  # sent before the pause: tells nothing new
        if asked is not None:
            self.stop(asked, detail)
        elif not late:
            self._size = max(1.0, self._size / 2)
            self._in_a_row += 1
            if self._in_a_row >= IN_A_ROW:
                bound = min(PAUSE_CAP, PAUSE_BASE * 2.0 ** min(self._pauses, 10))
                self._pauses += 1
                self.stop(random.uniform(bound / 2, bound), detail)

    def stop(self, seconds: float, reason: str) -> None:
        """No send for so long, then a single one."""
        if not self._pause.left():
            structlog.get_logger().warning("sends pause", seconds=round(seconds, 1), reason=reason)
        self._pause.begin(seconds, reason)
        self._paused_at = self._clock()
        self._size = 1.0


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
