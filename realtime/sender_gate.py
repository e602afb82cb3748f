"""When a provider must be left alone, and when its word about dead targets is not believed."""

import math
import random
import time
from collections import Counter, deque
from collections.abc import Callable

import structlog

WINDOW, LEAST, SHARE = 60.0, 200, 0.2
WELL = 20  # answers in a window, with few enough dead ones, that close the breaker again
MOST = 90  # at once: Google takes 100 streams on one connection
FIRST = 10  # at once, before anything is known of the provider
IN_A_ROW = 5  # faults without a success between them: the provider is out of order
PAUSE_BASE, PAUSE_CAP = 1.0, 30.0  # of the pauses of a provider that names none
LONGEST = 86_400.0  # of the pauses that a provider names

QUOTA_SHARE = 0.8
MINUTE, HOUR = 60.0, 3600.0
RAMP = 60.0  # seconds from the first send, or from a pause, to the full rate
FLOOR = 1 / 60  # of the full rate, at once
CALM_GAP, IN_AN_HOUR = MINUTE, 30  # of one device

Clock = Callable[[], float]


class Pause:
    """The whole sender waits, for as long as the provider asked for and a little more."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self.until = -math.inf
        self.reason = ""

    def begin(self, seconds: float, reason: str) -> None:
        """Never shortens a pause."""
        until = self._clock() + min(seconds, LONGEST) * random.uniform(1.0, 1.1)
        if until > self.until:
            self.until, self.reason = until, reason

    def left(self) -> float:
        """Seconds, 0 when sends may go."""
        return max(0.0, self.until - self._clock())


class Window:
    """How many sends may be under way: one more for each that is answered, half after a fault.

    Faults in a row begin a pause, each longer than the one before. After a pause a single send has
    to succeed before there are two, so that a provider that is out of order is asked rarely.
    """

    def __init__(self, pause: Pause, clock: Clock = time.monotonic) -> None:
        self._pause = pause
        self._clock = clock
        self.stops: Counter[str] = Counter()
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
                self.stop(random.uniform(bound / 2, bound), detail, "faults")

    def stop(self, seconds: float, reason: str, cause: str = "asked") -> None:
        """No send for so long, then a single one."""
        if not self._pause.left():
            self.stops[cause] += 1
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


class Bucket:
    """At most 80 % of a quota in any minute, and from rest no faster than it may grow.

    It knows of no other process: several notifiers share a project's quota only if each is given
    its part of it, the quota divided by their number.
    """

    def __init__(self, per_minute: int, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self.taken = 0
        self.allowed = allowed = QUOTA_SHARE * per_minute
        # A full bucket, which holds a second's flow, and the flow of a minute are what is allowed.
        per_second = allowed / (MINUTE + 1)
        self._rate = per_second if per_second >= 1 else (allowed - 1) / MINUTE
        self._burst = max(1.0, self._rate)
        self._begun = self._filled = self._taken = -math.inf
        self._tokens = 0.0

    def take(self, paused_until: float = -math.inf) -> float:
        """0: one send may go. Else seconds until that may be asked again.

        The rate grows again after a minute of rest, and after a pause.
        """
        now = self._clock()
        if now - self._taken >= RAMP or paused_until > self._begun:
            self._begin(now)
        slope = grown(now - self._begun)
        if now > self._filled:
            flow = self._rate * (flown(now - self._begun) - flown(self._filled - self._begun))
            self._tokens = min(self._tokens + flow, max(1.0, self._burst * slope))
            self._filled = now
        if self._tokens < 1.0:
            return (1.0 - self._tokens) / (self._rate * slope)
        self._tokens -= 1.0
        self.taken += 1
        self._taken = now
        return 0.0

    def _begin(self, now: float) -> None:
        full = max(1.0, self._burst * FLOOR)
        self._tokens = full if now - self._taken >= RAMP else min(self._tokens, full)
        self._begun = self._filled = now


def grown(age: float) -> float:
    """The share of the full rate so long after the beginning."""
    return min(1.0, max(FLOOR, age / RAMP))


def flown(age: float) -> float:
    """`grown` added up from the beginning, in seconds at the full rate."""
    bend = FLOOR * RAMP
    rising = min(max(age, bend), RAMP)
    return (
        FLOOR * min(age, bend) + (rising * rising - bend * bend) / (2 * RAMP) + max(0.0, age - RAMP)
    )


class DeviceLimit:
    """One device gets at most one send a minute and thirty an hour, but for urgent ones.

    What other notifiers send to it is not known here: with several it may be that much more.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._times: dict[str, list[float]] = {}  # of the last hour, at most IN_AN_HOUR
        self._calm: dict[str, float] = {}  # when the last one went that was not urgent
        self._pruned = clock()

    @property
    def known(self) -> int:
        """Devices that it remembers."""
        return len(self._times)

    def take(self, device: str, urgent: bool) -> float:
        """0: it may go, and counts. Else seconds until it may be asked again."""
        now = self._clock()
        self._prune(now)
        times = [at for at in self._times.get(device, ()) if at > now - HOUR]
        if not urgent:
            gap = self._calm.get(device, -math.inf) + CALM_GAP - now
            full = times[0] + HOUR - now if len(times) >= IN_AN_HOUR else 0.0
            if (wait := max(gap, full)) > 0:
                return wait
            self._calm[device] = now
        self._times[device] = [*times, now][-IN_AN_HOUR:]
        return 0.0

    def give_back(self, device: str, urgent: bool) -> None:
        """It did not go."""
        if times := self._times.get(device):
            times.pop()
        if not urgent:
            self._calm.pop(device, None)

    def _prune(self, now: float) -> None:
        if now - self._pruned < HOUR / 4:
            return
        self._pruned = now
        self._times = {each: at for each, at in self._times.items() if at and at[-1] > now - HOUR}
        self._calm = {each: at for each, at in self._calm.items() if at > now - CALM_GAP}
