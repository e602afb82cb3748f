"""Each session is looked at once when it is due, never before, and not when it has gone."""

from hypothesis import given
from hypothesis import strategies as st

from realtime.errors import DisconnectCode
from realtime.wheel import Wheel


class Looked:
    """A session that is due at one moment."""

    def __init__(self, due: float) -> None:
        self.transport = "none"
        self.due = due
        self.bucket = 0

    def tick(self, now: float) -> DisconnectCode | None:
        raise AssertionError(now)


@given(
    st.lists(st.floats(0, 60) | st.just(float("inf")), max_size=30),
    st.sets(st.integers(0, 29)),
    st.lists(st.floats(0.1, 5), min_size=1, max_size=40),
)
def test_looks_are_in_time(dues: list[float], gone: set[int], naps: list[float]) -> None:
    wheel, now = Wheel(1.0), 0.0
    sessions = [Looked(due) for due in dues]
    for session in sessions:
        wheel.add(session)
    for number in gone:
        if number < len(sessions):
            wheel.remove(sessions[number])
    left = {each for number, each in enumerate(sessions) if number not in gone}
    for nap in naps:
        now += nap
        for each in wheel.turn(now):
            assert isinstance(each, Looked)
            assert each in left
            assert each.due <= now
            left.remove(each)
        assert all(session.due > now - 1 for session in left)


def test_who_is_added_while_the_wheel_turns_is_looked_at_in_a_later_turn() -> None:
    wheel = Wheel(1.0)
    session = Looked(0.5)
    wheel.add(session)
    turns = []
    for now in (0.9, 1.1, 2.2):
        for each in wheel.turn(now):
            turns.append(now)
            wheel.add(each)
    assert turns == [1.1, 2.2]
