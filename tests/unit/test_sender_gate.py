"""A provider that has to be left alone, and one whose word about dead targets is not believed."""

import pytest

from realtime.sender_gate import LEAST, SHARE, WELL, WINDOW, Breaker, Pause


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
