"""What the message of a leg says, value by value: a bad one never costs the others. Pure."""

from datetime import datetime
from typing import NamedTuple

from api.feed_times import read_time, text_of
from api.fields import ACTUALS, EARLY_ACTUAL, FIELDS, HORIZON, REPLACED_ONLY


class Fault(NamedTuple):
    """A value that was left out, or is doubtful."""

    code: str
    field: str
    text: str


class Words:
    """Fields to set and to clear, the faults, and codes that nobody understood."""

    def __init__(self, heard_at: datetime) -> None:
        self.set: dict[str, str | int | bool | list[str]] = {}
        self.clear: set[str] = set()
        self.faults: list[Fault] = []
        self.unknown: list[str] = []
        self._heard_at = heard_at

    def say(self, name: str, value: str | list[str]) -> None:
        """Set the field, or clear it when the value is empty; a value that cannot be is a fault."""
        if not value:
            if name not in REPLACED_ONLY:
                self.clear.add(name)
            return
        try:
            self.set[name] = FIELDS[name].read(value)
        except ValueError as error:
            self.faults.append(Fault("bad_value", name, str(error)))

    def say_time(self, name: str, text: str, zone: str | None) -> None:
        """The same for a time; without an offset it is by the clock of that zone."""
        if not text:
            self.say(name, text)
            return
        try:
            at = read_time(text, zone)
        except ValueError as error:
            self.faults.append(Fault("bad_value", name, str(error)))
            return
        if abs(at - self._heard_at) > HORIZON:
            self.faults.append(Fault("implausible_time", name, "is more than 400 days away"))
        elif name in ACTUALS and at > self._heard_at + EARLY_ACTUAL:
            fault = Fault("implausible_time", name, "is a fact and lies in the future")
            self.faults.append(fault)
        else:
            self.set[name] = text_of(at)
