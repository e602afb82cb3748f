"""Reading what sources write: numbers of flights, codes, times; what was read and what was not.

Pure. A fault in one record is a complaint about it, and its neighbours are read.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime

from api.feed import CodeShare, Complaint, Patch, Reading
from api.feed_manner import BodyRefused
from api.feed_times import read_time, text_of
from api.fields import PatchRefused

Values = dict[str, str | int | bool | list[str]]

MOST_LEGS = 10_000
MOST_COMPLAINTS = 500
MOST_UNKNOWN = 100
NUMBER = re.compile(r"([A-Z]{3}(?=[0-9])|[A-Z0-9]{2})([0-9]{1,5})([A-Z]?)")
AIRLINE = re.compile(r"[A-Z0-9]{2}|[A-Z]{3}")
AIRPORT = re.compile(r"[A-Z]{3}|[A-Z][A-Z0-9]{3}")
CLOCK = re.compile(r"([0-9]{1,2}):?([0-9]{2})(?::?([0-9]{2}))?(?:\.[0-9]{1,12})?")
DAY = re.compile(r"([0-9]{4})([-/.]?)([0-9]{2})\2([0-9]{2})")
STAMP = re.compile(r"([0-9]{4}[-/.]?[0-9]{2}[-/.]?[0-9]{2})[Tt ]([0-9:.]{3,22}) ?(.{0,6})")
ENCODING = re.compile(
    r"utf-?(8|16|16-?le|16-?be)|iso-?8859-?(1|2|5|7|9|15)|latin-?1|(windows-?|cp)(125[0-7])|ascii",
    re.IGNORECASE,
)


class Gathering:
    """What comes out of a body, record by record; bounded, whatever the body is."""

    def __init__(self) -> None:
        self.reading = Reading()
        self._record: int | None = None
        self._unsaid = 0

    @contextmanager
    def record(self, index: int) -> Iterator[None]:
        """While this record is read: a refusal is a complaint about it."""
        self._record = index
        try:
            yield
        except PatchRefused as refused:
            self.complain(refused.code, refused.text, refused.field)
        finally:
            self._record = None

    def take(self, patch: Patch) -> None:
        """One leg of the record."""
        if len(self.reading.patches) == MOST_LEGS:
            raise BodyRefused(f"a body may speak of at most {MOST_LEGS} legs: send several")
        self.reading.patches.append(patch)
        self.reading.records.append(self._record or 0)

    def complain(self, code: str, text: str, field: str | None = None) -> None:
        """About the record that is read, or about the body."""
        if len(self.reading.complaints) < MOST_COMPLAINTS:
            complaint = Complaint(code=code, text=text, record=self._record, field=field)
            self.reading.complaints.append(complaint)
        else:
            self._unsaid += 1

    def puzzle(self, what: str, word: str) -> None:
        """A word that has no meaning here; it changes nothing."""
        known = self.reading.unknown
        name = f"{what} {printable(word)[:32]}"
        if name in known or len(known) < MOST_UNKNOWN:
            known[name] = known.get(name, 0) + 1

    def done(self) -> Reading:
        """All of it."""
        if self._unsaid:
            text = f"{self._unsaid} more complaints are left out"
            self.reading.complaints.append(Complaint(code="more", text=text))
        return self.reading


def printable(text: str) -> str:
    """The same without what could break a line or a terminal."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def shown(text: str) -> str:
    """A faulty value as complaints quote it."""
    return repr(printable(text[:32]))


def decoded(body: bytes, encoding: str = "") -> str:
    """The text of a body, in the encoding named or marked, else UTF-8, else Windows-1252."""
    if encoding and ENCODING.fullmatch(encoding) is None:
        raise BodyRefused("the encoding must be such as utf-8, iso-8859-1 or windows-1252")
    marks = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
    marked = next((name for mark, name in marks if body.startswith(mark)), "")
    tried = [marked or encoding] if marked or encoding else ["utf-8", "cp1252"]
    for name in tried:
        try:
            text = body.decode(name)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            raise BodyRefused("the body holds NUL characters: is it UTF-16 without its mark?")
        return text
    raise BodyRefused(f"the body is not text in {' or '.join(tried)}: name its encoding")


def flight_number(text: str, field: str = "flight") -> tuple[str, int, str]:
    """`3V025N` → ("3V", 25, "N"): carrier, number, suffix letter."""
    found = NUMBER.fullmatch(re.sub(r"[\s-]", "", text.upper()))
    if found is None:
        raise PatchRefused("bad_value", field, f"{shown(text)} is no flight number")
    return found[1], number(found[2], field), found[3]


def number(text: str, field: str = "number") -> int:
    """1 to 9999; zeros in front are dropped."""
    digits = text.strip()
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 5):
        raise PatchRefused("bad_value", field, f"{shown(text)} is no number of a flight")
    if not 1 <= int(digits) <= 9999:
        raise PatchRefused("bad_value", field, "the number of a flight is between 1 and 9999")
    return int(digits)


def airline(text: str) -> str:
    """A carrier's code, IATA's or ICAO's."""
    code = text.strip().upper()
    if AIRLINE.fullmatch(code) is None:
        raise PatchRefused("bad_value", "airline", f"{shown(text)} is no carrier's code")
    return code


def airport(text: str, field: str) -> str:
    """An airport's code, IATA's or ICAO's."""
    code = text.strip().upper()
    if AIRPORT.fullmatch(code) is None:
        raise PatchRefused("bad_value", field, f"{shown(text)} is no airport's code")
    return code


def codeshares(texts: Iterable[str], own: tuple[str, int, str]) -> list[CodeShare]:
    """Other numbers of the leg, without its own one."""
    numbers = {flight_number(text, "codeshares") for text in texts if text.strip()} - {own}
    return [
        CodeShare(airline=airline, number=number, suffix=suffix)
        for airline, number, suffix in sorted(numbers)
    ]


def day(text: str, field: str) -> date:
    """A date with four digits of its year: `2026-03-01`, `20260301`."""
    found = DAY.fullmatch(text.strip().removesuffix("Z"))
    if found is not None:
        try:
            return date(int(found[1]), int(found[3]), int(found[4]))
        except ValueError:
            pass
    raise PatchRefused("bad_value", field, f"{shown(text)} is no date such as 2026-03-01")


def moment(text: str, field: str, zone: str | None = None, on: date | None = None) -> datetime:
    """A time in UTC: without an offset by the clock of `zone`, without a date on the day `on`."""
    stripped, offset = text.strip(), ""
    if (stamp := STAMP.fullmatch(stripped)) is not None:
        on, stripped, offset = day(stamp[1], field), stamp[2], stamp[3]
    clock = CLOCK.fullmatch(stripped)
    if clock is None or on is None:
        wanted = "a time such as 2026-03-01T10:55:00Z"
        raise PatchRefused("bad_value", field, f"{shown(text)} is not {wanted}")
    hours, minutes, seconds = (int(part or 0) for part in clock.groups())
    whole = f"{on.isoformat()}T{hours:02}:{minutes:02}:{seconds:02}{offset}"
    try:
        return read_time(whole, zone)
    except (ValueError, KeyError) as error:
        raise PatchRefused("bad_value", field, f"{shown(text)}: {error}") from None


def said(text: str, field: str, zone: str | None = None, on: date | None = None) -> str:
    """The same as a patch has it."""
    return text_of(moment(text, field, zone, on))
