"""A provider that has to be left alone, and one whose word about dead targets is not believed."""

import pytest

from realtime.sender_gate import (
    FIRST,
    IN_A_ROW,
    LEAST,
    LONGEST,
    MOST,
    PAUSE_CAP,
    SHARE,
    WELL,
    WINDOW,
    Breaker,
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
