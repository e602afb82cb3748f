"""Times as airports write them, read strictly: with an offset, or by the clock of a place. Pure."""

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

TIME = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})"
    r"(:(?P<second>[0-9]{2})(\.(?P<fraction>[0-9]{1,12}))?)?"
    r"(?P<offset>[Zz]|[+-][0-9]{2}:?[0-9]{2})?"
)
DAY = timedelta(days=1)


def read_time(text: str, zone: str | None = None) -> datetime:
    """An instant in UTC; without an offset by the clock of `zone`. ValueError says what is wrong.

    24:00 is midnight of the next day; seven and more digits of a fraction are cut to six.
    """
    found = TIME.fullmatch(text.strip())
    if found is None:
        raise ValueError("must be a time such as 2026-03-01T10:55:00Z")
    day = date.fromisoformat(found["day"])
    if found["hour"] == "24" and found["minute"] == "00" and not int(found["second"] or 0):
        clock, extra = time(), DAY
    else:
        micros = int((found["fraction"] or "0").ljust(6, "0")[:6])
        clock = time(int(found["hour"]), int(found["minute"]), int(found["second"] or 0), micros)
        extra = timedelta()
    try:
        return _instant(datetime.combine(day, clock) + extra, found["offset"], zone)
    except OverflowError:
        raise ValueError("is out of range") from None


def text_of(moment: datetime) -> str:
    """RFC 3339 in UTC, in whole seconds, as a patch has it."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def by_clock(wall: datetime, zone: str) -> datetime:
    """A wall clock's time as an instant: a skipped hour moves forward, of two the first counts."""
    # With fold 0 zoneinfo reads a skipped time by the offset before the gap: that is forward.
    return wall.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC)


def _instant(wall: datetime, offset: str | None, zone: str | None) -> datetime:
    if offset is None:
        if zone is None:
            raise ValueError("has no offset, and the zone of its airport is not known")
        return by_clock(wall, zone)
    if offset in "Zz":
        return wall.replace(tzinfo=UTC)
    ahead = timedelta(hours=int(offset[1:3]), minutes=int(offset[-2:]))
    if ahead > timedelta(hours=18):
        raise ValueError("has an offset that no place has")
    return (wall - ahead if offset[0] == "+" else wall + ahead).replace(tzinfo=UTC)
