"""A board channel: which legs one airport shows at a board time, as a map. Pure."""

from datetime import datetime, timedelta

from msgspec import Raw

from realtime.channels import Movement
from realtime.flight import FlightLeg
from realtime.protocol import NULL, Publication, encode

HORIZON = timedelta(hours=6)
FORGOTTEN = timedelta(hours=24)
CALLED_OFF = ("cancelled", "not_operating")


def minutes(count: int) -> timedelta:
    return timedelta(minutes=count)


def shows_departure(leg: FlightLeg, now: datetime) -> bool:
    """Never leaves because the scheduled time passed; only evidence or a day takes it off."""
    best = leg.best_departure
    if leg.hidden or best is None:
        return False
    if now < min(leg.std or best, best) - HORIZON:
        return False
    if leg.irregularity in CALLED_OFF:
        return now < max(leg.std or best, leg.etd or best) + minutes(60)
    if leg.back:
        return now < best + FORGOTTEN
    if leg.atd is not None:
        return now < leg.atd + minutes(10)
    if leg.atot is not None:
        return now < leg.atot + minutes(20)
    return now < best + FORGOTTEN


def shows_arrival(leg: FlightLeg, now: datetime) -> bool:
    """Leaves some time after on-block, landing or the last bag, never by the schedule."""
    best = leg.best_arrival
    if leg.hidden or best is None:
        return False
    if now < best - HORIZON:
        return False
    if leg.irregularity in CALLED_OFF:
        return now < (leg.sta or best) + minutes(60)
    if leg.irregularity == "diverted" and leg.aldt is None:
        return now < (leg.sta or best) + minutes(90)
    if leg.irregularity == "air_return":  # what landed is where it came from
        return now < max(leg.sta or best, best) + minutes(90)
    if leg.last_bag_at is not None:
        return now < leg.last_bag_at + minutes(10)
    if leg.ata is not None:
        return now < leg.ata + minutes(30)
    if leg.aldt is not None:
        return now < leg.aldt + minutes(60)
    return now < best + FORGOTTEN


def gone(key: str, seq: int) -> Publication:
    """No row has this key any more."""
    return Publication(data=NULL, offset=seq, key=key, removed=True)


class Placed:
    """One leg as this board holds it, shown or waiting for its time."""

    __slots__ = ("former", "key", "leg", "member", "state", "touched")

    def __init__(self, leg: FlightLeg, state: Raw) -> None:
        self.key = leg.key
        self.leg = leg
        self.state = state
        self.member = False
        self.former: dict[str, int] = {}  # keys before they were corrected, and at which seq
        self.touched = 0  # seq of the last change, entry or exit

    def publication(self) -> Publication:
        if self.member:
            return Publication(data=self.state, offset=self.touched, key=self.key)
        return gone(self.key, self.touched)


class Board:
    """The movements of one airport; a pure function of the log up to a seq."""

    __slots__ = ("_cached", "legs", "movement")

    def __init__(self, movement: Movement) -> None:
        self.movement = movement
        self.legs: dict[int, Placed] = {}
        self._cached: Raw | None = None

    def shows(self, leg: FlightLeg, now: datetime) -> bool:
        if self.movement == "departures":
            return shows_departure(leg, now)
        return shows_arrival(leg, now)

    def place(self, leg_id: int, leg: FlightLeg, state: Raw) -> Placed:
        """Take a leg's newest state; what a screen sees follows from `settle`."""
        placed = self.legs.get(leg_id)
        if placed is None:
            placed = self.legs[leg_id] = Placed(leg, state)
        placed.leg, placed.state = leg, state
        if placed.key != leg.key and not placed.member and not leg.hidden:
            placed.former[placed.key] = placed.touched
            placed.former.pop(leg.key, None)
            placed.key = leg.key
        return placed

    def settle(self, placed: Placed, seq: int, now: datetime, changed: bool) -> Publication | None:
        """Decide whether the leg is shown at this seq; what subscribers have to be told."""
        was, placed.member = placed.member, self.shows(placed.leg, now)
        if placed.member == was and not (changed and was):
            return None
        placed.touched = seq
        self._cached = None
        return placed.publication()

    def touch(self, leg_id: int, seq: int) -> Placed:
        """Something happened to the leg here at this seq, unknown what."""
        placed = self.legs[leg_id]
        placed.touched = seq
        self._cached = None
        return placed

    def rename(self, leg_id: int, old: str, seq: int) -> Publication | None:
        """The leg left this key; it enters under the new one when it is settled."""
        placed = self.touch(leg_id, seq)
        placed.former[placed.key] = placed.former[old] = seq
        placed.former.pop(placed.leg.key, None)
        placed.key = placed.leg.key
        was, placed.member = placed.member, False
        return gone(old, seq) if was else None

    def pass_time(self, seq: int, now: datetime) -> list[Publication]:
        """Entries and exits at a clock row."""
        settled = (self.settle(placed, seq, now, False) for placed in self.legs.values())
        return [publication for publication in settled if publication is not None]

    def snapshot(self) -> Raw:
        """All rows, as the `state` of a subscribe reply; encoded once until something changes."""
        if self._cached is None:
            rows = [placed.publication() for placed in self.legs.values() if placed.member]
            self._cached = Raw(encode(rows))
        return self._cached

    def since(self, seq: int) -> list[Publication]:
        """Rows changed and gone after this seq, oldest first."""
        found = [placed.publication() for placed in self.legs.values() if placed.touched > seq]
        found += [
            gone(key, left)
            for placed in self.legs.values()
            for key, left in placed.former.items()
            if left > seq
        ]
        # At one seq a leg leaves its old key before it enters under the new one.
        return sorted(found, key=lambda each: (each.offset, not each.removed))
