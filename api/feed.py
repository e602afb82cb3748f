"""The contract of every source: bytes become leg patches, without touching the database. Pure."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from types import MappingProxyType

from msgspec import Struct, field

from realtime.flight import LegKey

NONE: Mapping[str, str] = MappingProxyType({})


class PatchKey(Struct, frozen=True, kw_only=True):
    """A leg as a feed names it; `repeat` counts departure attempts.

    Carriers and airports may be ICAO codes, and `origin_date` None where the feed has none: ingest
    finds the IATA codes and the date. `derived`: the date is no more than a good guess.
    """

    airline: str
    number: int
    origin_date: date | None = None
    dep: str
    arr: str
    suffix: str = ""
    repeat: int = 1
    derived: bool = False

    def leg_key(self) -> LegKey:
        """ValueError while nobody has found the date."""
        if self.origin_date is None:
            raise ValueError(f"{self.airline}{self.number} has no origin date")
        return LegKey(self.airline, self.number, self.suffix, self.origin_date, self.dep, self.arr)

    def text(self) -> str:
        """The leg key; without a date no more than the flight."""
        if self.origin_date is None:
            return f"{self.airline}{self.number}{self.suffix}"
        return str(self.leg_key())


class CodeShare(Struct, frozen=True, kw_only=True):
    """Another carrier's number on the same leg."""

    airline: str
    number: int
    suffix: str = ""


class Patch(Struct, frozen=True, kw_only=True):
    """What one feed says of one leg: columns to set (times RFC 3339) and to clear."""

    key: PatchKey
    source_ts: datetime
    set: dict[str, str | int | bool | list[str]] = field(default_factory=dict)
    clear: list[str] = field(default_factory=list)
    codeshares: list[CodeShare] | None = None


class Place(Struct, frozen=True):
    """Where an airport is; the zone is an IANA name, the position in degrees."""

    zone: str
    lat: float | None = None
    lon: float | None = None


class Reference(Struct, frozen=True):
    """Known carriers and airports: IATA codes by ICAO code, places by IATA code."""

    airlines: Mapping[str, str] = NONE
    airports: Mapping[str, str] = NONE
    places: Mapping[str, Place] = MappingProxyType({})

    def airport(self, code: str) -> str:
        """The IATA code of an airport, whichever of its codes this is; else the same text."""
        return self.airports.get(code, code)

    def zone(self, airport: str) -> str | None:
        """The zone of an airport by any of its codes; None: nobody knows it."""
        place = self.places.get(self.airport(airport))
        return place.zone if place is not None else None


class Complaint(Struct, frozen=True, kw_only=True):
    """What an adapter could not take; `record` counts the legs of a body from 0, None: the body."""

    code: str
    text: str
    record: int | None = None
    field: str | None = None


class Reading(Struct, frozen=True, kw_only=True):
    """What an adapter found in a body: patches, the record of each, complaints, unknown codes."""

    patches: list[Patch] = field(default_factory=list)
    records: list[int] = field(default_factory=list)
    complaints: list[Complaint] = field(default_factory=list)
    unknown: dict[str, int] = field(default_factory=dict)


Adapter = Callable[[bytes, datetime, Reference], Reading]
"""A body, the board time when it came, and the reference tables → what it says. Pure."""
