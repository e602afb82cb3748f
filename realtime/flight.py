"""What a flight leg is and what a difference between two of its states means. Pure."""

import re
from datetime import UTC, date, datetime

from msgspec import Raw, Struct

LEG_KEY = re.compile(
    r"(?P<airline>[A-Z]{3}(?=[0-9])|[A-Z0-9]{2})(?P<number>[1-9][0-9]{0,3})(?P<suffix>[A-Z]?)"
    r"-(?P<origin_date>[0-9]{4}-[0-9]{2}-[0-9]{2})-(?P<dep>[A-Z]{3})-(?P<arr>[A-Z]{3})"
)


class LegKey(Struct, frozen=True):
    """The planned, public identity of a leg; it never changes while the leg lives."""

    airline: str
    number: int
    suffix: str
    origin_date: date
    dep: str
    arr: str

    def __str__(self) -> str:
        flight = f"{self.airline}{self.number}{self.suffix}"
        return f"{flight}-{self.origin_date.isoformat()}-{self.dep}-{self.arr}"


def parse_leg_key(text: str) -> LegKey:
    """`B69-2013-03-08-JFK-MCO` → LegKey; ValueError says what is wrong."""
    found = LEG_KEY.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:64]!r} is not a leg key such as B69-2013-03-08-JFK-MCO")
    return LegKey(
        airline=found["airline"],
        number=int(found["number"]),
        suffix=found["suffix"],
        origin_date=date.fromisoformat(found["origin_date"]),
        dep=found["dep"],
        arr=found["arr"],
    )


class FlightLeg(Struct, frozen=True):
    """The members of a public state that decisions in Python read; the rest passes as bytes."""

    key: str
    version: int
    airline: str
    flight_no: int
    dep_airport: str
    arr_airport: str
    phase: str
    irregularity: str
    suffix: str = ""
    airline_name: str = ""
    dep_city: str = ""
    dep_tz: str = "UTC"
    arr_city: str = ""
    arr_tz: str = "UTC"
    std: datetime | None = None
    etd: datetime | None = None
    atd: datetime | None = None
    atot: datetime | None = None
    sta: datetime | None = None
    eta: datetime | None = None
    eldt: datetime | None = None
    aldt: datetime | None = None
    ata: datetime | None = None
    last_bag_at: datetime | None = None
    dep_terminal: str = ""
    dep_gate: str = ""
    dep_gate_was: str = ""
    check_in_from: str = ""
    check_in_to: str = ""
    check_in_close_at: datetime | None = None
    boarding_plan: datetime | None = None
    boarding_est: datetime | None = None
    gate_close_plan: datetime | None = None
    gate_close_est: datetime | None = None
    arr_terminal: str = ""
    arr_gate: str = ""
    belts: tuple[str, ...] = ()
    first_bag_at: datetime | None = None
    divert_airport: str = ""
    divert_city: str = ""
    next_info_at: datetime | None = None
    aircraft_type: str = ""
    hidden: bool = False

    @property
    def back(self) -> bool:
        """It left and came back: what happened before does not count, it has yet to leave."""
        if self.irregularity == "air_return":
            return True
        return self.irregularity == "returned_to_gate" and self.phase not in LEFT

    @property
    def best_departure(self) -> datetime | None:
        """Actual, else estimated, else scheduled."""
        actual = None if self.back else self.atd or self.atot
        return actual or self.etd or self.std

    @property
    def best_arrival(self) -> datetime | None:
        """Actual, else estimated, else scheduled."""
        actual = None if self.back else self.ata or self.aldt
        return actual or self.eta or self.eldt or self.sta


LEFT = frozenset({"off_block", "airborne", "approaching", "landed", "in_block", "bags_done"})
EPOCH_START = datetime(1970, 1, 1, tzinfo=UTC)


class Change(Struct, frozen=True):
    """One row of the change log: a leg's new state, or the passing of a board minute."""

    seq: int
    kind: str
    at: datetime
    wall_at: datetime
    leg_id: int | None = None
    version: int | None = None
    feed: str | None = None
    changed: Raw = Raw(b"{}")
    state: Raw = Raw(b"{}")


def kinds(changed: dict[str, list[object]]) -> list[str]:
    """What `{field: [old, new]}` means to people, most urgent first."""
    found: list[str] = []
    irregularity = changed.get("irregularity")
    if irregularity is not None:
        if irregularity[1] == "cancelled":
            found.append("cancelled")
        elif irregularity[0] == "cancelled":
            found.append("reinstated")
        elif irregularity[1] == "diverted":
            found.append("diverted")
    gate = changed.get("dep_gate")
    if gate is not None and gate[1]:
        found.append("gate_changed" if gate[0] else "gate_assigned")
    if "etd" in changed or "eta" in changed:
        found.append("estimate")
    if "std" in changed or "sta" in changed:
        found.append("schedule_change")
    phase = changed.get("phase")
    if phase is not None:
        found.append(str(phase[1]))
    return found
