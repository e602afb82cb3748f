"""OperationTime of AIDX. Pure."""

from api.feed_aidx_codes import DEPARTURE_END, IGNORED, TIMES, TYPES
from api.feed_aidx_words import Words
from api.xml_parts import Element

Zones = tuple[str | None, str | None]


def say_times(words: Words, data: Element, zones: Zones) -> None:
    """Each time that a field stands for; `zones`: of the departure and the arrival airport."""
    said: dict[str, tuple[str, str]] = {}
    for qualifier, kind, value in _in_order(data):
        name = TIMES.get((qualifier, kind))
        if name is not None:
            if value or name not in said:
                said[name] = (qualifier, value)
        elif (qualifier, kind) not in IGNORED:
            words.unknown.append(f"OperationTime {qualifier[:16]} {kind[:16]}".rstrip())
    for name, (qualifier, value) in said.items():
        words.say_time(name, value, zones[0 if qualifier in DEPARTURE_END else 1])


def _in_order(data: Element) -> list[tuple[str, str, str]]:
    """Planned before estimated before actual, so that the last word on a field is the best one."""
    found = [
        (
            time.attributes.get("OperationQualifier", "").strip().upper(),
            time.attributes.get("TimeType", "").strip().upper(),
            time.value,
        )
        for time in data.all("OperationTime")
    ]
    return sorted(found, key=lambda each: TYPES.index(each[1]) if each[1] in TYPES else -1)
