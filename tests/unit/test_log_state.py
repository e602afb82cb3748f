"""A4, A5: boards and flights are pure functions of the log, on every node, at every position."""

from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.channels import parse_channel
from realtime.flight import Change
from realtime.hub import board_result, flight_result
from realtime.log_state import Loaded, LoadedLeg, LogState, Published
from realtime.protocol import MAP, PHASE_STREAM, Publication, Subscribe
from tests.support.log_rows import Step, log_of

BOARD = "board:JFK:departures"
CHANNELS = (BOARD, "board:MCO:arrivals", "board:BOS:arrivals")
LEGS = 4

changes_of_a_leg = st.fixed_dictionaries(
    {},
    optional={
        "etd": st.integers(-90, 600),
        "atd": st.one_of(st.none(), st.integers(-30, 600)),
        "dep_gate": st.sampled_from(["", "1", "B22", "C3"]),
        "irregularity": st.sampled_from(["none", "cancelled", "diverted"]),
        "hidden": st.booleans(),
        "divert_airport": st.sampled_from(["", "BOS"]),
        "suffix": st.sampled_from(["", "D"]),
        "arr_airport": st.sampled_from(["MCO", "BOS"]),
    },
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("leg"), st.integers(1, LEGS), changes_of_a_leg),
        st.tuples(st.just("clock"), st.integers(1, 300), st.just({})),
    ),
    min_size=1,
    max_size=40,
)


def empty() -> LogState:
    return LogState(Loaded("e", 0, [], {}, [], None))


def snapshot(state: LogState, channel: str) -> dict[str, tuple[int, Any]]:
    rows = board_result(state, parse_channel(channel), Subscribe(channel=channel, type=MAP))
    entries = msgspec.json.decode(rows["state"])
    return {entry["key"]: entry["data"] for entry in entries}


class Screen:
    """A client of one board: what it would show."""

    def __init__(self, channel: str, state: LogState) -> None:
        self.channel = channel
        self.rows = snapshot(state, channel)
        self.offset = state.seq

    def receive(self, published: Published) -> None:
        for channel, publications in published:
            if channel == self.channel:
                self.take(publications)

    def take(self, publications: Sequence[Publication]) -> None:
        for publication in publications:
            assert publication.offset >= self.offset
            self.offset = publication.offset
            if publication.removed:
                self.rows.pop(publication.key, None)
            else:
                self.rows[publication.key] = msgspec.json.decode(publication.data)

    def recover(self, state: LogState) -> None:
        request = Subscribe(
            channel=self.channel, type=MAP, phase=PHASE_STREAM, recover=True, offset=self.offset,
            epoch=state.epoch,
        )  # fmt: skip
        result = board_result(state, parse_channel(self.channel), request)
        if result.get("recovered"):
            self.take(result["publications"])
        else:
            entries = msgspec.json.decode(result["state"])
            self.rows = {entry["key"]: entry["data"] for entry in entries}


@given(steps, st.data())
@settings(max_examples=150, deadline=None)
def test_snapshot_plus_publications_is_a_fresh_snapshot(
    given_steps: list[Step], choice: st.DataObject
) -> None:
    log = log_of(given_steps)
    joined = choice.draw(st.integers(0, len(log)))
    left = choice.draw(st.integers(joined, len(log)))
    state = empty()
    for change in log[:joined]:
        state.apply(change)
    steady = [Screen(channel, state) for channel in CHANNELS]
    absent = [Screen(channel, state) for channel in CHANNELS]
    for change in log[joined:]:
        published = state.apply(change)
        for screen in steady:
            screen.receive(published)
        if change.seq <= left:
            for screen in absent:
                screen.receive(published)
    for screen in absent:
        screen.recover(state)
    for screen in (*steady, *absent):
        assert screen.rows == snapshot(state, screen.channel)


@given(steps, st.data())
@settings(max_examples=150, deadline=None)
def test_a_node_started_late_holds_the_same_boards_and_recovers_the_same_clients(
    given_steps: list[Step], choice: st.DataObject
) -> None:
    log = log_of(given_steps)
    logged = choice.draw(st.integers(1, len(log)), label="rows in the log at the start")
    ahead = choice.draw(st.integers(logged, len(log)), label="rows in the tables at the start")
    floor = choice.draw(st.integers(0, logged), label="first recent row")
    old = empty()
    screens: list[Screen] = []
    for change in log:
        if floor <= old.seq:
            screens.append(Screen(CHANNELS[change.seq % len(CHANNELS)], old))
        old.apply(change)
    young = LogState(loaded_at(log, logged, ahead, floor))
    for change in log[logged:ahead]:
        young.apply(change)
    assert young.ready
    for change in log[ahead:]:
        young.apply(change)
    for channel in CHANNELS:
        assert snapshot(young, channel) == snapshot(old, channel)
    for screen in screens:
        screen.recover(young)
        assert screen.rows == snapshot(old, screen.channel)
    for leg_id in old.legs:
        assert young.streams[leg_id].newest.offset == old.streams[leg_id].newest.offset


def loaded_at(log: list[Change], logged: int, ahead: int, floor: int) -> Loaded:
    tables = {change.leg_id: change for change in log[:ahead] if change.leg_id is not None}
    unsequenced = {
        change.leg_id: change.version or 0 for change in log[logged:ahead] if change.leg_id
    }
    clocks = [change.at for change in log[:floor] if change.kind == "clock"]
    return Loaded(
        epoch="e",
        seq=logged,
        legs=[LoadedLeg(leg_id, each.version or 0, each.state) for leg_id, each in tables.items()],
        unsequenced=unsequenced,
        recent=log[floor:logged],
        clock_before=clocks[-1] if clocks else None,
    )


@given(steps, st.data())
@settings(max_examples=150, deadline=None)
def test_two_nodes_give_the_same_answer_to_a_returning_client(
    given_steps: list[Step], choice: st.DataObject
) -> None:
    log = log_of(given_steps)
    logged = choice.draw(st.integers(1, len(log)), label="rows in the log at the start")
    old = empty()
    for change in log[:logged]:
        old.apply(change)
    first = choice.draw(st.integers(0, min(old.floor, logged - 1)), label="first recent row")
    young = LogState(loaded_at(log, logged, logged, first))
    for change in log[logged:]:
        old.apply(change)
        young.apply(change)
    assert young.floor == old.floor
    for channel in CHANNELS:
        for offset in range(len(log) + 2):
            answers = [answer(state, channel, offset) for state in (old, young)]
            assert answers[0].keys() == answers[1].keys()
            told, repeated = ({each.key for each in each_of(one)} for one in answers)
            assert told <= repeated
            assert "state" in answers[0] or old.floor <= offset <= old.seq


def answer(state: LogState, channel: str, offset: int) -> dict[str, Any]:
    request = Subscribe(
        channel=channel, type=MAP, phase=PHASE_STREAM, recover=True, offset=offset, epoch="e"
    )
    return board_result(state, parse_channel(channel), request)


def each_of(result: dict[str, Any]) -> Sequence[Publication]:
    publications: Sequence[Publication] = result.get("publications", ())
    return publications


@given(steps, st.data())
@settings(max_examples=150, deadline=None)
def test_a_leg_loaded_for_its_flight_channel_changes_no_board(
    given_steps: list[Step], choice: st.DataObject
) -> None:
    log = log_of(given_steps)
    seen = choice.draw(st.integers(0, len(log)), label="rows in the log at the load")
    ahead = choice.draw(st.integers(seen, len(log)), label="rows in the tables at the load")
    plain, loading = empty(), empty()
    for change in log[:seen]:
        plain.apply(change)
        loading.apply(change)
    top: dict[int, int] = {}
    for row in loaded_at(log, seen, ahead, 0).legs:
        loading.admit(row)
        top[row.leg_id] = loading.streams[row.leg_id].newest.offset
    for change in log[seen:]:
        expected = [each for each in plain.apply(change) if not each[0].startswith("flight:")]
        published = loading.apply(change)
        boards = [each for each in published if not each[0].startswith("flight:")]
        assert dict(boards) == dict(expected)
        for channel, publications in published:
            if not channel.startswith("flight:"):
                continue
            (publication,) = publications
            assert change.leg_id is not None
            if b"moved_to" in bytes(publication.data):
                assert loading.new_key(channel.removeprefix("flight:")) is not None
                assert publication.offset == change.version
            else:
                assert publication.offset == top.get(change.leg_id, 0) + 1
                top[change.leg_id] = publication.offset
        for channel in CHANNELS:
            assert snapshot(loading, channel) == snapshot(plain, channel)
    for leg_id, stream in plain.streams.items():
        assert loading.streams[leg_id].newest.offset == stream.newest.offset


def test_a_leg_loaded_ahead_of_the_log_is_not_told_its_past_after_long_hours() -> None:
    log = log_of([*[("clock", 300, {})] * 10, ("leg", 1, {})])
    (row,) = loaded_at(log, 0, len(log), 0).legs
    state = empty()
    state.admit(row)
    published = [each for change in log for each in state.apply(change)]
    assert not [channel for channel, _ in published if channel.startswith("flight:")]
    assert state.streams[row.leg_id].newest.offset == row.version


def test_what_left_a_board_is_forgotten_when_nobody_can_return_from_before() -> None:
    far = [("leg", number, {"divert_airport": "BOS"}) for number in range(1, LEGS + 1)]
    back = [("leg", number, {"divert_airport": ""}) for number in range(1, LEGS + 1)]
    state = empty()
    log = log_of([*far, *back, *[("clock", 60, {})] * 12])
    for change in log[: 2 * LEGS + 1]:
        state.apply(change)
    left = state.boards["BOS", "arrivals"]
    assert len(left.legs) == LEGS
    for change in log[2 * LEGS + 1 :]:
        state.apply(change)
    assert not left.legs
    for change in log_of([*far, *back, *[("clock", 60, {})] * 100])[len(log) :]:
        state.apply(change)
    assert (state.legs, state.streams, state.places) == ({}, {}, {})
    assert not any(board.legs for board in state.boards.values())


@given(steps, st.data())
@settings(max_examples=150, deadline=None)
def test_a_flight_channel_replays_exactly_what_was_missed(
    given_steps: list[Step], choice: st.DataObject
) -> None:
    log = log_of(given_steps)
    state = empty()
    versions: dict[int, int] = {}
    first: dict[int, int] = {}
    for change in log:
        state.apply(change)
        if change.leg_id is not None:
            versions[change.leg_id] = change.version or 0
            first.setdefault(change.leg_id, change.version or 0)
        for leg_id in versions.keys() - state.streams.keys():  # long gone, and forgotten
            del versions[leg_id], first[leg_id]
    for leg_id, top in versions.items():
        name = f"flight:{state.legs[leg_id].key}"
        seen = choice.draw(st.integers(0, top + 2))
        request = Subscribe(channel=name, recover=True, offset=seen, epoch="e")
        result = flight_result(state, parse_channel(name), request)
        offsets = [publication.offset for publication in result["publications"]]
        if max(1, first[leg_id] - 1) <= seen <= top and top - seen <= 32:
            assert result["recovered"]
            assert offsets == list(range(seen + 1, top + 1))
        elif seen > top:
            assert "recovered" not in result
            assert offsets == [top]


def test_another_epoch_is_not_recovered_but_never_left_stateless() -> None:
    state = empty()
    for change in log_of([("leg", 1, {}), ("leg", 1, {"dep_gate": "1"})]):
        state.apply(change)
    name = "flight:B61-2013-03-08-JFK-MCO"
    request = Subscribe(channel=name, recover=True, offset=1, epoch="other")
    result = flight_result(state, parse_channel(name), request)
    assert "recovered" not in result
    assert [each.offset for each in result["publications"]] == [2]


def test_a_publication_says_what_changed() -> None:
    state = empty()
    log = log_of([("leg", 1, {"dep_gate": "1"}), ("leg", 1, {"dep_gate": "C3"})])
    published = dict([state.apply(change) for change in log][-1])
    body = msgspec.json.decode(published["flight:B61-2013-03-08-JFK-MCO"][0].data)
    assert body["change"]["fields"] == {"dep_gate": ["1", "C3"]}
    assert body["change"]["kinds"] == ["gate_changed"]
    assert body["change"]["version"] == body["leg"]["version"] == 2
