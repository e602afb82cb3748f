"""Every flight and board at one position of the log, as a pure function of the log.

Two nodes at one seq hold the same boards and give the same offsets, also one that has just been
started: offsets are versions and seqs of the log, never counters of a process.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from realtime.board import Board
from realtime.channels import Movement, board_channel, flight_channel, movements
from realtime.flight import Change, FlightLeg, kinds
from realtime.protocol import Publication, encode
from realtime.stream import Stream

HELD = timedelta(hours=36)
# How far back a board recovers: in wall time, board time and rows. A leg leaves every board within
# 24 h of its best time, so that whatever left since the floor is still HELD.
RECENT_WALL, RECENT_BOARD, RECENT_HELD = timedelta(minutes=15), timedelta(hours=12), 50_000
MAX_GUESTS = 4096

_legs = msgspec.json.Decoder(FlightLeg)
_state = msgspec.json.Decoder(dict[str, Any])
_changed = msgspec.json.Decoder(dict[str, list[object]])

PLACE = ("key", "dep_airport", "arr_airport", "divert_airport")

Published = list[tuple[str, list[Publication]]]


class LoadedLeg(Struct, frozen=True):
    """A leg as the tables have it, which may be ahead of the log."""

    leg_id: int
    version: int
    state: Raw


class Floor:
    """The seq below which a board is not recovered: a function of the log's newest rows alone."""

    __slots__ = ("_board", "_rows", "_wall", "seq")

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self._rows: deque[tuple[int, datetime, datetime]] = deque()
        self._wall: datetime | None = None
        self._board: datetime | None = None

    def pass_row(self, change: Change) -> None:
        """Rows too old in either time are given up, and all of them when board time jumps back."""
        self._wall = max(self._wall or change.wall_at, change.wall_at)
        if change.kind == "clock":
            if self._board is not None and change.at < self._board:
                self._rows.clear()
            self._board = change.at
        self._rows.append((change.seq, change.wall_at, change.at))
        while self._rows and self._is_old(*self._rows[0], change.seq):
            self._rows.popleft()
        self.seq = max(self.seq, self._rows[0][0] - 1 if self._rows else change.seq)

    def _is_old(self, seq: int, wall: datetime, board: datetime, newest: int) -> bool:
        assert self._wall is not None
        return (
            wall <= self._wall - RECENT_WALL
            or seq <= newest - RECENT_HELD
            or (self._board is not None and board <= self._board - RECENT_BOARD)
        )


class Loaded(Struct, frozen=True):
    """What a node reads in one snapshot of the database; `seq` is where its log ends."""

    epoch: str
    seq: int
    legs: Sequence[LoadedLeg]
    unsequenced: dict[int, int]
    recent: Sequence[Change]
    clock_before: datetime | None
    """Board time of the last clock row before the recent ones."""
    aliases: Mapping[str, tuple[int, int]] = {}
    """Keys that legs have left: whose they were, and the version with which they were left."""


def compact(state: Raw) -> Raw:
    """JSON without white space, hence without newlines."""
    return Raw(msgspec.json.format(state, indent=-1))


def flight_publication(change: Change, state: Raw) -> Publication:
    """The whole state of the leg and what changed in it."""
    fields = _changed.decode(change.changed)
    body = {
        "version": change.version,
        "kinds": kinds(fields),
        "fields": fields,
        "at": change.at,
    }
    return Publication(data=Raw(encode({"leg": state, "change": body})), offset=change.version or 0)


def whole(state: Raw, version: int) -> Publication:
    """The state of a leg of which the log says nothing more."""
    return Publication(data=Raw(encode({"leg": state})), offset=version)


def departed(loaded: Loaded) -> list[LoadedLeg]:
    """Legs that recent rows took out of the window: boards have to tell those who return."""
    held = {row.leg_id for row in loaded.legs}
    newest = {
        change.leg_id: LoadedLeg(change.leg_id, change.version, change.state)
        for change in loaded.recent
        if change.leg_id is not None and change.version is not None and change.leg_id not in held
    }
    return list(newest.values())


def moved_publication(new_key: str, version: int) -> Publication:
    """The last of a flight channel: the leg goes on under its corrected key."""
    return Publication(data=Raw(encode({"moved_to": new_key})), offset=version)


def state_before(change: Change) -> Raw | None:
    """The state that this change left, when it was in another place; of use for places only."""
    fields = _changed.decode(change.changed)
    old = {name: fields[name][0] for name in PLACE if name in fields}
    if not old:
        return None
    state = _state.decode(change.state) | old
    return Raw(encode({name: value for name, value in state.items() if value is not None}))


class LogState:
    """Streams and boards at `seq`; `apply` moves it by one row and says what to publish."""

    def __init__(self, loaded: Loaded) -> None:
        self.epoch = loaded.epoch
        self.seq = loaded.seq
        self._floor = Floor(loaded.recent[0].seq - 1 if loaded.recent else loaded.seq)
        self.now = loaded.clock_before
        self.legs: dict[int, FlightLeg] = {}
        self.leg_ids: dict[str, int] = {}
        self.moved = dict(loaded.aliases)
        self.places: dict[int, set[tuple[str, Movement]]] = {}
        self.streams: dict[int, Stream] = {}
        self.boards: dict[tuple[str, Movement], Board] = {}
        self._ahead = dict(loaded.unsequenced)
        self._guests: dict[int, None] = {}
        self._load(loaded)
        for change in loaded.recent:
            self._floor.pass_row(change)

    @property
    def floor(self) -> int:
        """The oldest position from which a board is recovered."""
        return self._floor.seq

    @property
    def ready(self) -> bool:
        """False until the log has passed everything that the tables already had."""
        return not self._ahead and self.now is not None

    def stream(self, leg_key: str) -> Stream | None:
        leg_id = self.leg_ids.get(leg_key)
        return None if leg_id is None else self.streams[leg_id]

    def new_key(self, leg_key: str) -> str | None:
        """The key that the leg has now which had this one."""
        leg = self.legs.get(self.moved[leg_key][0]) if leg_key in self.moved else None
        return None if leg is None or leg_key in self.leg_ids else leg.key

    def moved_to(self, leg_key: str) -> Publication | None:
        """The end of the flight channel of a key that its leg has left."""
        key = self.new_key(leg_key)
        return None if key is None else moved_publication(key, self.moved[leg_key][1])

    def board(self, airport: str, movement: Movement) -> Board:
        return self.boards.setdefault((airport, movement), Board(movement))

    def admit(self, row: LoadedLeg) -> None:
        """Hold a leg for its flight channel only: boards know it once the log has spoken of it."""
        if row.leg_id in self.streams:
            return
        state = compact(row.state)
        leg = _legs.decode(state)
        self._hold(row.leg_id, leg)
        self.streams[row.leg_id] = Stream(whole(state, row.version))
        self._guests[row.leg_id] = None
        if len(self._guests) > MAX_GUESTS:
            self._drop(next(leg_id for leg_id in self._guests if leg_id not in self.places))

    def apply(self, change: Change) -> Published:
        """Publications by channel, all of this one seq."""
        self.seq = change.seq
        self._floor.pass_row(change)
        if change.kind == "clock":
            return self._pass_time(change)
        return self._apply_leg(change)

    def _pass_time(self, change: Change) -> Published:
        self.now = change.at
        published: Published = []
        for (airport, movement), board in self.boards.items():
            publications = board.pass_time(change.seq, change.at)
            if publications:
                published.append((board_channel(airport, movement), publications))
        if change.at.minute == 0:
            self._forget(change.at - HELD)
        return published

    def _apply_leg(self, change: Change) -> Published:
        assert change.leg_id is not None
        assert change.version is not None
        leg_id, version = change.leg_id, change.version
        if self._ahead.get(leg_id, version + 1) <= version:
            del self._ahead[leg_id]
        published: Published = []
        stream = self.streams.get(leg_id)
        passed = stream is not None and version <= stream.newest.offset
        if leg_id in self._guests and passed:
            self._seat(change)
        elif passed:
            self._visit(leg_id, change)
        else:
            publication = self._take(change)
            published.append((flight_channel(self.legs[leg_id].key), [publication]))
        old_key = self._left_key(change)
        if old_key is not None and (moved := self.moved_to(old_key)) is not None:
            published.append((flight_channel(old_key), [moved]))
        for airport, movement, board in self._boards_of(leg_id):
            publications = self._tell(board, change, leg_id, passed, old_key)
            if publications:
                published.append((board_channel(airport, movement), publications))
        return published

    def _tell(
        self, board: Board, change: Change, leg_id: int, passed: bool, old_key: str | None
    ) -> list[Publication]:
        """What one board's subscribers have to be told of a leg's change."""
        removed = settled = None
        if old_key is not None and (passed or board.legs[leg_id].member):
            removed = board.rename(leg_id, old_key, change.seq)
        elif passed:
            board.touch(leg_id, change.seq)
        if self.now is not None:
            settled = board.settle(board.legs[leg_id], change.seq, self.now, True)
        return [each for each in (removed, settled) if each is not None]

    def _left_key(self, change: Change) -> str | None:
        """The key that the leg had until this change."""
        if b'"key"' not in bytes(change.changed):
            return None
        left = _changed.decode(change.changed).get("key")
        if left is None or change.leg_id is None:
            return None
        old_key = str(left[0])
        self.moved[old_key] = (change.leg_id, change.version or 0)
        return old_key

    def _take(self, change: Change) -> Publication:
        assert change.leg_id is not None
        state = compact(change.state)
        publication = flight_publication(change, state)
        self._place(change.leg_id, _legs.decode(state), state)
        self._guests.pop(change.leg_id, None)
        stream = self.streams.get(change.leg_id)
        if stream is None:
            self.streams[change.leg_id] = Stream(publication)
        else:
            stream.publish(publication)
        return publication

    def _seat(self, change: Change) -> None:
        """A guest whose flight channel is ahead of the log is on boards what the log says."""
        assert change.leg_id is not None
        ahead = self.legs[change.leg_id]
        state = compact(change.state)
        self._place(change.leg_id, _legs.decode(state), state)
        if change.version == ahead.version:
            del self._guests[change.leg_id]
        else:
            self._hold(change.leg_id, ahead)

    def _hold(self, leg_id: int, leg: FlightLeg) -> None:
        """The leg as it is now, found by the key that it has now."""
        before = self.legs.get(leg_id)
        if before is not None and self.leg_ids.get(before.key) == leg_id:
            del self.leg_ids[before.key]
        self.legs[leg_id] = leg
        self.leg_ids[leg.key] = leg_id

    def _place(self, leg_id: int, leg: FlightLeg, state: Raw) -> None:
        """A board that the leg has left for good keeps it hidden, to tell those who return."""
        self._hold(leg_id, leg)
        current = movements(leg)
        places = self.places.setdefault(leg_id, set())
        places.update(current)
        for airport, movement in places:
            shown = leg if (airport, movement) in current else replace(leg, hidden=True)
            self.board(airport, movement).place(leg_id, shown, state)

    def _visit(self, leg_id: int, change: Change) -> None:
        """Boards that an older state of the leg was on have to tell those who return."""
        past = [change.state, state_before(change)]
        visited = {place for state in past if state for place in movements(_legs.decode(state))}
        left = visited - self.places[leg_id]
        if left:
            self.places[leg_id] |= left
            leg = self.legs[leg_id]
            self._place(leg_id, leg, self.boards[movements(leg)[0]].legs[leg_id].state)

    def _boards_of(self, leg_id: int) -> Iterable[tuple[str, Movement, Board]]:
        for airport, movement in self.places.get(leg_id, ()):
            yield airport, movement, self.board(airport, movement)

    def _forget(self, before: datetime) -> None:
        """Legs long gone from every board leave memory, once nobody can return from before that.

        Guests are bounded by their number: forgotten, the log behind them would be told as news.
        """
        for leg_id, leg in list(self.legs.items()):
            best = max(filter(None, (leg.best_departure, leg.best_arrival)), default=before)
            touched = [board.legs[leg_id].touched for _, _, board in self._boards_of(leg_id)]
            if (
                best <= before
                and leg_id not in self._ahead
                and leg_id not in self._guests
                and max(touched, default=0) <= self.floor
            ):
                self._drop(leg_id)
            else:
                self._leave(leg_id, leg)

    def _leave(self, leg_id: int, leg: FlightLeg) -> None:
        """Boards that the leg left for good forget it when nobody can return from before that."""
        for place in self.places.get(leg_id, set()) - set(movements(leg)):
            if self.boards[place].legs[leg_id].touched <= self.floor:
                del self.boards[place].legs[leg_id]
                self.places[leg_id].discard(place)

    def _drop(self, leg_id: int) -> None:
        for _, _, board in self._boards_of(leg_id):
            board.legs.pop(leg_id, None)
        leg = self.legs.pop(leg_id)
        self.leg_ids.pop(leg.key, None)
        self.places.pop(leg_id, None)
        self._guests.pop(leg_id, None)
        for key in [key for key, (owner, _) in self.moved.items() if owner == leg_id]:
            del self.moved[key]
        del self.streams[leg_id]

    def _load(self, loaded: Loaded) -> None:
        for row in (*loaded.legs, *departed(loaded)):
            state = compact(row.state)
            self._place(row.leg_id, _legs.decode(state), state)
            self.streams[row.leg_id] = Stream(whole(state, row.version))
        self._load_histories(loaded)
        self._load_touched(loaded.recent)

    def _load_histories(self, loaded: Loaded) -> None:
        """Recent log rows become what a flight channel can recover."""
        versions = {leg_id: stream.newest.offset for leg_id, stream in self.streams.items()}
        recent: dict[int, list[Publication]] = {}
        for change in loaded.recent:
            if change.leg_id in versions and (change.version or 0) <= versions[change.leg_id]:
                publication = flight_publication(change, compact(change.state))
                recent.setdefault(change.leg_id, []).append(publication)
        for leg_id, publications in recent.items():
            stream = Stream(publications[0])
            for publication in publications[1:]:
                stream.publish(publication)
            if stream.newest.offset != versions[leg_id]:
                stream.publish(self.streams[leg_id].newest)
            self.streams[leg_id] = stream

    def _load_touched(self, recent: Sequence[Change]) -> None:
        """Later than the truth at most: a touch too late only repeats a row to a client."""
        for board in self.boards.values():
            for placed in board.legs.values():
                placed.member = self.now is not None and board.shows(placed.leg, self.now)
        for change in recent:
            if change.kind == "clock":
                self.now = change.at
                for board in self.boards.values():
                    board.pass_time(change.seq, change.at)
            elif change.leg_id in self.legs and change.leg_id is not None:
                self._visit(change.leg_id, change)
                old_key = self._left_key(change)
                for _, _, board in self._boards_of(change.leg_id):
                    placed = board.touch(change.leg_id, change.seq)
                    if old_key is not None:
                        board.rename(change.leg_id, old_key, change.seq)
                    if self.now is not None:
                        placed.member = board.shows(placed.leg, self.now)
