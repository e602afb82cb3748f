"""Where public flight lists are, how often they may be asked, and in what they answer. Pure."""

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from zoneinfo import ZoneInfo

from msgspec import Struct

HONG_KONG = ZoneInfo("Asia/Hong_Kong")
Addresses = Callable[[str, str, datetime], list[str]]


class PollSource(Struct, frozen=True):
    """`addresses`: of one round, from the base address, the airport and board time.

    `interval`: the least number of seconds between two rounds. `headers`: names that it needs.
    """

    base: str
    format: str
    interval: float
    addresses: Addresses
    headers: tuple[tuple[str, str], ...] = ()
    needs: tuple[str, ...] = ()
    airport: str = ""


def _avinor(base: str, airport: str, now: datetime) -> list[str]:
    return [f"{base}?TimeFrom=4&TimeTo=12&airport={airport}"]


def _schiphol(base: str, airport: str, now: datetime) -> list[str]:
    return [f"{base}?includedelays=true&page=0&sort=%2BscheduleTime"]


def _hong_kong(base: str, airport: str, now: datetime) -> list[str]:
    day = now.astimezone(HONG_KONG).date().isoformat()
    return [
        f"{base}?date={day}&arrival={arrival}&lang=en&cargo=false" for arrival in ("false", "true")
    ]


def _as_it_is(base: str, airport: str, now: datetime) -> list[str]:
    return [base]


SOURCES: Mapping[str, PollSource] = MappingProxyType({
    "avinor": PollSource("https://flydata.avinor.no/XmlFeed.asp", "avinor", 180.0, _avinor),
    "schiphol": PollSource(
        "https://api.schiphol.nl/public-flights/flights", "schiphol", 60.0, _schiphol,
        headers=(("ResourceVersion", "v4"), ("Accept", "application/json")),
        needs=("app_id", "app_key"), airport="AMS",
    ),
    "hongkong": PollSource(
        "https://www.hongkongairport.com/flightinfo-rest/rest/flights", "hongkong", 60.0,
        _hong_kong, airport="HKG",
    ),
    "url": PollSource("", "any", 30.0, _as_it_is),
})  # fmt: skip
"""`url`: any address that answers with a body of a known format."""
