"""Bodies and query strings of the REST API; `/openapi.json` is made from them."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

Iata = Annotated[str, Meta(pattern="^[A-Z]{3}$", max_length=3, description="IATA airport code")]
Instant = Annotated[datetime, Meta(tz=True)]
Phase = Literal[
    "scheduled", "check_in", "gate_open", "boarding", "final_call", "gate_closed", "off_block",
    "airborne", "approaching", "landed", "in_block", "bags_done",
]  # fmt: skip
Irregularity = Literal[
    "none", "cancelled", "diverted", "returned_to_gate", "air_return", "not_operating"
]


class Fault(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is wrong with one part of a request: a place in the body, or a query parameter."""

    detail: str
    pointer: str | UnsetType = UNSET
    parameter: str | UnsetType = UNSET


class ProblemDetails(Struct, frozen=True, kw_only=True):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    errors: list[Fault] | UnsetType = UNSET


class MarketingNumber(Struct, frozen=True, omit_defaults=True):
    """Another carrier's number on the same leg."""

    airline: str
    number: int
    suffix: str | UnsetType = UNSET


class LegState(Struct, frozen=True, kw_only=True):
    """The public state of a flight leg. Members without a value are absent."""

    key: str
    version: int
    airline: str
    flight_no: int
    suffix: str | UnsetType = UNSET
    origin_date: date
    airline_name: str | UnsetType = UNSET
    codeshares: list[MarketingNumber] | UnsetType = UNSET
    service_type: str | UnsetType = UNSET
    dep_airport: str
    arr_airport: str
    dep_city: str | UnsetType = UNSET
    dep_tz: str
    arr_city: str | UnsetType = UNSET
    arr_tz: str
    std: Instant | UnsetType = UNSET
    etd: Instant | UnsetType = UNSET
    atd: Instant | UnsetType = UNSET
    atot: Instant | UnsetType = UNSET
    sta: Instant | UnsetType = UNSET
    eta: Instant | UnsetType = UNSET
    eldt: Instant | UnsetType = UNSET
    aldt: Instant | UnsetType = UNSET
    ata: Instant | UnsetType = UNSET
    phase: Phase
    irregularity: Irregularity
    divert_airport: str | UnsetType = UNSET
    divert_city: str | UnsetType = UNSET
    cancelled_at: Instant | UnsetType = UNSET
    next_info_at: Instant | UnsetType = UNSET
    public_remark: str | UnsetType = UNSET
    aircraft_type: str | UnsetType = UNSET
    uncertain: bool | UnsetType = UNSET
    hidden: bool | UnsetType = UNSET
    dep_terminal: str | UnsetType = UNSET
    dep_gate: str | UnsetType = UNSET
    dep_gate_was: str | UnsetType = UNSET
    dep_gate_at: Instant | UnsetType = UNSET
    check_in_from: str | UnsetType = UNSET
    check_in_to: str | UnsetType = UNSET
    check_in_open_at: Instant | UnsetType = UNSET
    check_in_close_at: Instant | UnsetType = UNSET
    gate_open_at: Instant | UnsetType = UNSET
    boarding_plan: Instant | UnsetType = UNSET
    boarding_est: Instant | UnsetType = UNSET
    boarding_at: Instant | UnsetType = UNSET
    gate_close_plan: Instant | UnsetType = UNSET
    gate_close_est: Instant | UnsetType = UNSET
    final_call_at: Instant | UnsetType = UNSET
    gate_close_at: Instant | UnsetType = UNSET
    arr_terminal: str | UnsetType = UNSET
    arr_gate: str | UnsetType = UNSET
    arr_gate_was: str | UnsetType = UNSET
    arr_gate_at: Instant | UnsetType = UNSET
    belts: list[str] | UnsetType = UNSET
    belts_was: list[str] | UnsetType = UNSET
    belts_at: Instant | UnsetType = UNSET
    first_bag_at: Instant | UnsetType = UNSET
    last_bag_at: Instant | UnsetType = UNSET


class FlightsQuery(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={"from_": "from", "date_": "date"},
):
    """Movements of one airport, without times from 2 hours ago to 12 hours ahead, board time; or
    with `q` the legs that have a number, on `date`, else those nearest to board time."""

    airport: Iata | None = None
    direction: Literal["departures", "arrivals"] = "departures"
    from_: Annotated[Instant | None, Meta(description="Earliest best time")] = None
    to: Annotated[Instant | None, Meta(description="Latest best time")] = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    after: Annotated[str | None, Meta(description="`next` of the page before")] = None
    q: (
        Annotated[
            str,
            Meta(max_length=32, description="Any number of a flight, a code-share's too: `B6 9`"),
        ]
        | None
    ) = None
    date_: Annotated[date | None, Meta(description="Origin date, with `q`")] = None


class LegsCsvQuery(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}
):
    """Without times from 2 hours ago to 12 hours ahead, board time."""

    from_: Annotated[Instant | None, Meta(description="Earliest best time")] = None
    to: Annotated[Instant | None, Meta(description="Latest best time")] = None


class FlightsPage(Struct, frozen=True):
    """Public states as the database makes them, and the cursor of the next page."""

    items: list[Raw]
    next: str | None


class LegStates(Struct, frozen=True):
    """A page of legs by scheduled time; `next` is null on the last one."""

    items: list[LegState]
    next: str | None


class HistoryQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of a leg's history."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    after: Annotated[int, Meta(ge=1, le=2**53, description="`next` of the page before")] | None = (
        None
    )


class LegChangeView(Struct, frozen=True, kw_only=True):
    """One visible change: who said it (null: by hand), and `{field: [before, after]}`."""

    version: int
    at: Instant
    source_ts: Instant | None
    feed: str | None
    kinds: list[str]
    changed: dict[str, list[Any]]


class LegHistory(Struct, frozen=True):
    """The changes of a leg, newest first; `next` is null on the last page."""

    items: list[LegChangeView]
    next: int | None


class AirportsQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Without `q` the airports where something moves now."""

    q: (
        Annotated[
            str, Meta(min_length=1, max_length=64, description="A code, or part of a name or city")
        ]
        | None
    ) = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 200


class AirportView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An airport, as the reference table has it; `placeholder`: only its code is known."""

    iata: str
    icao: str | None = None
    name: str
    city: str = ""
    country: str = ""
    tz: str
    lat: float | None = None
    lon: float | None = None
    placeholder: bool = False


class AirportMovements(Struct, frozen=True, kw_only=True):
    """An airport with the number of its movements from 2 hours ago to 12 hours ahead."""

    iata: str
    name: str
    city: str
    country: str
    tz: str
    departures: int
    arrivals: int


class Airports(Struct, frozen=True):
    """Airports with movements, by code."""

    items: list[AirportMovements]


class QrQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """What the QR code leads to."""

    path: Annotated[
        str,
        Meta(
            max_length=200,
            pattern=r"^/(?!/)[!-\[\]-~]*(?![\s\S])",
            description="A path of this server",
        ),
    ]
