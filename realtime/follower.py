"""Who follows a leg, what that person wants to be told, and what they know already. Pure."""

from datetime import datetime, time

from msgspec import Struct

from realtime.flight import FlightLeg

ROLES = ("passenger", "pick_up")
TOLD_FIELDS = (
    "std",
    "etd",
    "sta",
    "eta",
    "phase",
    "irregularity",
    "divert_airport",
    "dep_terminal",
    "dep_gate",
    "arr_terminal",
    "belts",
)  # members of a public state that `follow.told` keeps


class Quiet(Struct, frozen=True):
    """Quiet hours on the person's own clock; they may pass midnight."""

    start: time
    end: time
    urgent_passes: bool = True


class Preferences(Struct, frozen=True, omit_defaults=True):
    """Of an account; `kinds` None: what the role of a follow has by default."""

    kinds: tuple[str, ...] | None = None
    delay_step: int = 15  # minutes
    quiet: Quiet | None = None
    language: str = "en"
    zone: str = "UTC"  # of the quiet hours; flight times are in the zone of their airport
    hours: int = 24  # 12 or 24


class Told(Struct, frozen=True, omit_defaults=True):
    """What the person knows of the leg, from a screen, from a notice or since it was followed."""

    std: datetime | None = None
    etd: datetime | None = None
    sta: datetime | None = None
    eta: datetime | None = None
    phase: str = ""
    irregularity: str = ""
    divert_airport: str = ""
    dep_terminal: str = ""
    dep_gate: str = ""
    arr_terminal: str = ""
    belts: tuple[str, ...] = ()


class Rung(Struct, frozen=True):
    """A notice that was sent; `at` is board time."""

    kind: str
    at: datetime


class Beside(Struct, frozen=True):
    """Other legs that bear on the one that is told of: of its aircraft, and of the same person."""

    inbound: FlightLeg | None = None
    onward: FlightLeg | None = None


class Follower(Struct, frozen=True):
    """All that decides whether and how one person is told; `number` is what they searched for."""

    role: str = "passenger"
    number: str = ""
    preferences: Preferences = Preferences()
    told: Told = Told()
    rung: tuple[Rung, ...] = ()  # of this leg, newest last
    beside: Beside = Beside()
