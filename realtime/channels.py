"""Channel names: which exist, and which channels a leg belongs to. Pure."""

import re
from typing import Literal

from msgspec import Struct

from realtime.errors import BAD_REQUEST, UNKNOWN_CHANNEL, Refused
from realtime.flight import FlightLeg, parse_leg_key

Movement = Literal["departures", "arrivals"]

BOARD = re.compile(r"board:([A-Z]{3}):(departures|arrivals)")
STATUS = re.compile(r"status:([A-Z]{3})")
MAX_LENGTH = 255


class Channel(Struct, frozen=True):
    """A parsed channel name; `subject` is a leg key or an airport."""

    name: str
    kind: Literal["flight", "board", "status"]
    subject: str
    movement: Movement = "departures"


def parse_channel(name: str) -> Channel:
    """Refused: 102 for names that no channel has, 107 beyond 255 characters."""
    if len(name) > MAX_LENGTH:
        raise Refused(BAD_REQUEST)
    if name.startswith("flight:"):
        try:
            return Channel(name, "flight", str(parse_leg_key(name.removeprefix("flight:"))))
        except ValueError:
            raise Refused(UNKNOWN_CHANNEL) from None
    if found := BOARD.fullmatch(name):
        movement: Movement = "departures" if found[2] == "departures" else "arrivals"
        return Channel(name, "board", found[1], movement)
    if found := STATUS.fullmatch(name):
        return Channel(name, "status", found[1])
    raise Refused(UNKNOWN_CHANNEL)


def flight_channel(leg_key: str) -> str:
    return f"flight:{leg_key}"


def board_channel(airport: str, movement: Movement) -> str:
    return f"board:{airport}:{movement}"


def status_channel(airport: str) -> str:
    return f"status:{airport}"


def movements(leg: FlightLeg) -> list[tuple[str, Movement]]:
    """The boards that may show this leg; a diverted one is an arrival at both airports."""
    found: list[tuple[str, Movement]] = [
        (leg.dep_airport, "departures"),
        (leg.arr_airport, "arrivals"),
    ]
    if leg.divert_airport and leg.divert_airport != leg.arr_airport:
        found.append((leg.divert_airport, "arrivals"))
    return found
