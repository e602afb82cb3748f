"""A provider that has to be left alone, and one whose word about dead targets is not believed."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.sender_gate import (
    CALM_GAP,
    FIRST,
    HOUR,
    IN_A_ROW,
    IN_AN_HOUR,
    LEAST,
    LONGEST,
    MOST,
    PAUSE_CAP,
    QUOTA_SHARE,
    RAMP,
    SHARE,
    WELL,
    WINDOW,
    Breaker,
    Bucket,
    DeviceLimit,
    Pause,
    Window,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def answer(breaker: Breaker, *, dead: int = 0, well: int = 0) -> None:
    for _ in range(well):
        breaker.note(dead=False)
    for _ in range(dead):
        breaker.note(dead=True)


def opened(clock: Clock) -> Breaker:
    breaker = Breaker(clock)
    answer(breaker, dead=LEAST)
    assert breaker.is_open()
    return breaker


def test_it_opens_when_too_many_of_enough_answers_are_dead(clock: Clock) -> None:
    breaker = Breaker(clock)
    answer(breaker, dead=LEAST - 1)
    assert not breaker.is_open()
    answer(breaker, dead=1)
    assert breaker.is_open()


def test_a_share_of_dead_targets_is_ordinary(clock: Clock) -> None:
    breaker = Breaker(clock)
    dead = int(SHARE * 1000)
    answer(breaker, well=1000 - dead, dead=dead)
    assert not breaker.is_open()
    answer(breaker, dead=1)
    assert breaker.is_open()


def test_silence_does_not_close_it(clock: Clock) -> None:
    breaker = opened(clock)
    clock.now += 100 * WINDOW
    assert breaker.is_open()


def test_a_few_good_answers_do_not_close_it_but_enough_do(clock: Clock) -> None:
    breaker = opened(clock)
    clock.now += WINDOW + 1
    answer(breaker, well=WELL - 1)
    assert breaker.is_open()
    answer(breaker, well=1)
    assert not breaker.is_open()


def test_answers_of_a_window_ago_count_no_more(clock: Clock) -> None:
    breaker = Breaker(clock)
    answer(breaker, dead=LEAST - 1)
    clock.now += WINDOW + 1
    answer(breaker, dead=1)
    assert not breaker.is_open()


def test_a_pause_is_stretched_but_never_shortened(clock: Clock) -> None:
    pause = Pause(clock)
    assert pause.left() == 0
    pause.begin(30, "the quota is used up")
    assert 30 <= pause.left() <= 33
    pause.begin(1, "something small")
    assert pause.left() >= 30
    assert pause.reason == "the quota is used up"
    clock.now += 33
    assert pause.left() == 0


def test_no_pause_is_longer_than_a_day(clock: Clock) -> None:
    pause = Pause(clock)
    pause.begin(1e12, "nonsense")
    assert pause.left() <= 1.1 * LONGEST


def test_more_are_under_way_while_all_goes_well_and_half_after_a_fault(clock: Clock) -> None:
    window = Window(Pause(clock), clock)
    assert window.size == FIRST
    for _ in range(200):
        window.answered()
    assert window.size == MOST
    window.failed(clock.now, "500")
    assert window.size == MOST // 2


def test_faults_in_a_row_pause_all_then_one_send_has_to_succeed(clock: Clock) -> None:
    pause = Pause(clock)
    window = Window(pause, clock)
    for _ in range(IN_A_ROW - 1):
        window.failed(clock.now, "500")
    window.answered()
    for _ in range(IN_A_ROW - 1):
        window.failed(clock.now, "500")
    assert pause.left() == 0
    window.failed(clock.now, "500")
    assert 0.5 <= pause.left() <= 1.1
    assert window.size == 1
    window.answered()
    assert window.size == 2


def test_answers_to_sends_before_the_pause_do_not_lengthen_it(clock: Clock) -> None:
    pause = Pause(clock)
    window = Window(pause, clock)
    begun = clock.now
    for _ in range(MOST):
        window.failed(begun, "500")
    assert pause.left() <= 1.1


def test_pauses_grow_to_a_bound_from_which_recovery_is_quick(clock: Clock) -> None:
    pause = Pause(clock)
    window = Window(pause, clock)
    lengths = []
    for _ in range(30):
        while not pause.left():
            clock.now += 0.01
            window.failed(clock.now, "500")
        lengths.append(pause.left())
        clock.now += pause.left()
    assert lengths[5] > 4 * lengths[0]
    assert PAUSE_CAP / 2 <= max(lengths) <= 1.1 * PAUSE_CAP < 45
    assert len(set(lengths)) == len(lengths)


def test_what_the_provider_asks_for_is_kept_to_the_second(clock: Clock) -> None:
    pause = Pause(clock)
    window = Window(pause, clock)
    window.failed(clock.now, "503", 30.0)
    window.failed(clock.now, "503")
    assert 30 <= pause.left() <= 33
    assert window.size == 1


STEPS = st.lists(st.tuples(st.floats(0, 90), st.integers(1, 400)), min_size=1, max_size=40)
"""Time that passes, then how often is asked."""


def counted(times: list[float], start: float, end: float) -> int:
    return sum(start <= at <= end for at in times)


@given(st.integers(10, 20_000), STEPS, st.lists(st.integers(0, 39), max_size=3))
def test_no_minute_has_more_than_its_share_of_the_quota(
    per_minute: int, steps: list[tuple[float, int]], pauses: list[int]
) -> None:
    """However the sends fall, and whenever pauses end."""
    clock = Clock()
    bucket, taken, paused_until = Bucket(per_minute, clock), [], -inf
    for number, (passed, asks) in enumerate(steps):
        clock.now += passed
        paused_until = clock.now if number in pauses else paused_until
        for _ in range(asks):
            if not bucket.take(paused_until):
                taken.append(clock.now)
    for start in taken:
        assert counted(taken, start, start + 60.0) <= QUOTA_SHARE * per_minute + 1e-6


@given(st.integers(10, 600_000), st.floats(0.0, 60.0))
def test_from_rest_the_rate_grows_over_a_minute(per_minute: int, age: float) -> None:
    clock = Clock()
    bucket, asked = Bucket(per_minute, clock), 0
    full = QUOTA_SHARE * per_minute / 60.0
    begun, taken = clock.now, 0
    while clock.now <= begun + age and asked < 3_000:
        asked += 1
        if wait := bucket.take():
            clock.now += wait
        else:
            taken += 1
    seconds = clock.now - begun
    assert taken <= 1.0 + full * (1.0 / 60.0 + min(seconds, 1.0) / 60.0 + seconds**2 / 120.0)


@given(st.integers(10, 600_000), st.floats(0.0, 300.0))
def test_whoever_waits_as_told_may_send(per_minute: int, rest: float) -> None:
    clock = Clock()
    bucket = Bucket(per_minute, clock)
    assert bucket.take() == 0
    clock.now += rest
    for _ in range(50):
        if wait := bucket.take():
            clock.now += wait + 1e-6
            assert bucket.take() == 0


def test_the_full_rate_is_reached(clock: Clock) -> None:
    """60,000 in a minute and a half, and 80 % of the quota once it has grown."""
    bucket, taken = Bucket(600_000, clock), []
    while clock.now < 1000.0 + 180.0:
        clock.now += 0.05
        while not bucket.take():
            taken.append(clock.now)
    assert counted(taken, 1000.0, 1090.0) > 60_000
    assert counted(taken, 1000.0, 1001.0) <= 600
    last = counted(taken, 1120.0, 1180.0)
    assert 0.97 * 480_000 <= last <= 480_000


def test_after_a_rest_or_a_pause_it_grows_anew(clock: Clock) -> None:
    bucket = Bucket(60_000, clock)

    def at_once() -> int:
        count = 0
        while not bucket.take(paused_until):
            count += 1
        return count

    def warm_up() -> None:
        for _ in range(700):
            clock.now += 0.1
            at_once()

    paused_until = -inf
    assert at_once() == 13
    warm_up()
    clock.now += 1.0
    assert at_once() == 786
    clock.now += RAMP
    assert at_once() == 13
    warm_up()
    paused_until = clock.now = clock.now + 5.0
    assert at_once() <= 13


ASKS = st.lists(
    st.tuples(st.floats(0, 600), st.sampled_from("ab"), st.booleans(), st.booleans()), max_size=120
)


@given(ASKS)
def test_a_device_is_not_sent_more_than_it_should_get(
    asks: list[tuple[float, str, bool, bool]],
) -> None:
    """Urgent ones always go; sends that did not go do not count."""
    clock = Clock()
    limit = DeviceLimit(clock)
    went: dict[str, list[tuple[float, bool]]] = {"a": [], "b": []}
    for passed, device, urgent, taken in asks:
        clock.now += passed
        wait = limit.take(device, urgent)
        assert wait == 0 or not urgent
        calm = [at for at, was_urgent in went[device] if not was_urgent]
        hour = [at for at, _ in went[device] if at > clock.now - HOUR]
        if wait:
            assert calm[-1] > clock.now - CALM_GAP or len(hour) >= IN_AN_HOUR
        elif not urgent:
            assert not calm or calm[-1] <= clock.now - CALM_GAP
            assert len(hour) < IN_AN_HOUR
        if not wait and taken:
            went[device].append((clock.now, urgent))
        elif not wait:
            limit.give_back(device, urgent)


def test_the_limit_forgets_devices_that_got_nothing_for_an_hour(clock: Clock) -> None:
    limit = DeviceLimit(clock)
    for number in range(1000):
        limit.take(f"device-{number}", urgent=number % 2 == 0)
    clock.now += HOUR + 1
    limit.take("another", urgent=False)
    assert limit.known == 1
