"""One FlightLeg of AIDX becomes a patch: what is absent says nothing, what is nil clears. Pure."""

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta

from msgspec import Struct

from api.feed import CodeShare, Patch, PatchKey, Reference
from api.feed_aidx_codes import HIDDEN_ACTIONS, HIDDEN_SERVICES, REMARKS, STATUSES
from api.feed_aidx_resources import say_resources
from api.feed_aidx_times import say_times
from api.feed_aidx_words import Fault, Words
from api.fields import MOST_CODESHARES
from api.merge import EVIDENCE, RANK
from api.xml_parts import Element
from realtime.errors import GatecastError

AIRLINE = re.compile(r"[A-Z0-9]{2,3}")
NUMBER = re.compile(r"0*(?P<number>[1-9][0-9]{0,3})(?P<suffix>[A-Z]?)")
DAY = re.compile(r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})(Z|[+-][0-9]{2}:[0-9]{2}|[T ].*)?")
FAR = timedelta(days=3)
LEAVING = frozenset({
    "gate_open_at", "boarding_at", "final_call_at", "gate_close_at", "atd", "atot", "aldt", "ata",
})  # fmt: skip


class LegRefused(GatecastError):
    """This leg cannot be taken; its neighbours can."""

    def __init__(self, code: str, field: str, text: str) -> None:
        super().__init__(f"{field}: {text}")
        self.code = code
        self.field = field
        self.text = text


class LegFound(Struct, frozen=True):
    """The patch, the values that were left out of it, and the codes that nobody understood."""

    patch: Patch
    faults: list[Fault]
    unknown: list[str]


def read_leg(
    leg: Element, source_ts: datetime, heard_at: datetime, reference: Reference
) -> LegFound:
    """LegRefused when the leg cannot even be named."""
    key = _key(leg)
    zones = reference.zone(key.dep), reference.zone(key.arr)
    words = Words(heard_at)
    data = leg.find("LegData") or Element(leg.space, "LegData", {})
    say_times(words, data, zones)
    say_resources(words, data)
    _say_aircraft(words, data)
    _say_state(words, leg, data, key, reference)
    _say_hidden(words, leg, data)
    patch = Patch(
        key=key, source_ts=source_ts, set=words.set, clear=sorted(words.clear),
        codeshares=_codeshares(words, data),
    )  # fmt: skip
    _doubt_date(words, key)
    return LegFound(patch, words.faults, words.unknown)


def _key(leg: Element) -> PatchKey:
    named = leg.find("LegIdentifier")
    if named is None:
        if leg.find("GeneralAviationLegIdentifier") is not None:
            raise LegRefused("general_aviation", "LegIdentifier", "has no flight number")
        raise LegRefused("bad_key", "LegIdentifier", "is missing")
    airline = _text(named, "Airline").upper()
    number = NUMBER.fullmatch(_text(named, "FlightNumber").upper().removeprefix(airline))
    if AIRLINE.fullmatch(airline) is None:
        raise LegRefused("bad_key", "Airline", "must be a code of two or three characters")
    if number is None:
        raise LegRefused("bad_key", "FlightNumber", "must be a number of up to four digits")
    repeat = _text(named, "RepeatNumber") or "1"
    if not (repeat.isascii() and repeat.isdigit() and 1 <= int(repeat[:4]) <= 99):
        raise LegRefused("bad_key", "RepeatNumber", "must be between 1 and 99")
    return PatchKey(
        airline=airline, number=int(number["number"]),
        suffix=_text(named, "OperationalSuffix").upper() or number["suffix"],
        dep=_airport(named, "DepartureAirport"), arr=_airport(named, "ArrivalAirport"),
        origin_date=_origin_date(named), repeat=int(repeat),
    )  # fmt: skip


def _airport(named: Element, end: str) -> str:
    code = _text(named, end).upper()
    if not (code.isascii() and code.isalnum() and len(code) in (3, 4)):
        raise LegRefused("bad_key", end, "must be an airport code")
    return code


def _origin_date(named: Element) -> date | None:
    """None where the sender has none: ingest finds it."""
    text = _text(named, "OriginDate")
    found = DAY.fullmatch(text)
    try:
        return date.fromisoformat(found["day"] if found else text) if text else None
    except ValueError:
        raise LegRefused("bad_key", "OriginDate", "must be a date such as 2026-03-01") from None


def _text(parent: Element, name: str) -> str:
    child = parent.find(name)
    return child.value if child is not None else ""


def _say_aircraft(words: Words, data: Element) -> None:
    aircraft = data.find("AircraftInfo")
    for child in aircraft.children if aircraft is not None else ():
        if child.name == "AircraftType":
            words.say("aircraft_type", child.value.upper())
        elif child.name == "Registration":
            words.say("registration", re.sub("[- ]", "", child.value.upper()))
    service = data.find("ServiceType")
    if service is not None:
        words.say("service_type", service.value.upper())


def _say_hidden(words: Words, leg: Element, data: Element) -> None:
    actions = {action.lower() for action in _actions(leg, data)}
    if actions - HIDDEN_ACTIONS:
        words.unknown += [f"SpecialAction {action[:16]}" for action in actions - HIDDEN_ACTIONS]
    if actions & HIDDEN_ACTIONS:
        words.set["hidden"] = True
    elif service := words.set.get("service_type"):
        words.set["hidden"] = service in HIDDEN_SERVICES


def _actions(leg: Element, data: Element) -> Iterator[str]:
    for place in (leg, leg.find("LegIdentifier"), data):
        if place is None:
            continue
        if action := place.attributes.get("SpecialAction", "").strip():
            yield action
        if action := _text(place, "SpecialAction"):
            yield action


def _say_state(
    words: Words, leg: Element, data: Element, key: PatchKey, reference: Reference
) -> None:
    stated = _statuses(words, data)
    phases = [value for name, value in stated if name == "phase"] + _remarks(words, data)
    proven = [RANK[phase] for name, phase in EVIDENCE.items() if name in words.set]
    best = max(phases, key=lambda phase: RANK[phase], default=None)
    if best is not None and RANK[best] > max(proven, default=0):
        words.set["phase"] = best
    irregularities = [value for name, value in stated if name == "irregularity"]
    goes_to = _diversion(data, key, reference)
    returned = _returned(leg, key, bool(LEAVING & words.set.keys()))
    if "cancelled" in irregularities:
        words.set["irregularity"] = "cancelled"
    elif goes_to is not None:
        back = goes_to == reference.airport(key.dep)
        words.set |= {"irregularity": "air_return" if back else "diverted"}
        words.say("divert_airport", goes_to)
    elif returned is not None:
        words.set["irregularity"] = returned
    elif "not_operating" in irregularities:
        _say_not_operating(words, leg)
    elif "none" in irregularities:
        words.set["irregularity"] = "none"


def _statuses(words: Words, data: Element) -> list[tuple[str, str]]:
    found = []
    for status in data.all("OperationalStatus"):
        code = status.value.upper()
        if code in STATUSES:
            found.append(STATUSES[code])
        elif code:
            words.unknown.append(f"OperationalStatus {code[:16]}")
    return found


def _remarks(words: Words, data: Element) -> list[str]:
    """Phases that a sender tells in remarks; its other words are for people."""
    phases = []
    for remark in data.all("RemarkTextCode"):
        code = remark.value.upper()
        if code in REMARKS:
            phases.append(REMARKS[code])
        elif code:
            words.unknown.append(f"RemarkTextCode {code[:16]}")
    for remark in data.all("RemarkFreeText"):
        if remark.value.upper() in REMARKS:
            phases.append(REMARKS[remark.value.upper()])
        else:
            words.say("public_remark", " ".join(remark.value.split()))
    return phases


def _diversion(data: Element, key: PatchKey, reference: Reference) -> str | None:
    """Where the leg goes instead: the last planned arrival airport, if it is another one."""
    history = [each for each in data.all("PlannedArrivalAptHistory") if each.value]
    if not history:
        return None
    last = reference.airport(history[-1].value.upper())
    return last if last != reference.airport(key.arr) else None


def _returned(leg: Element, key: PatchKey, leaving: bool) -> str | None:
    """A repeated departure: back at the gate until something happens again."""
    if key.repeat == 1:
        return None
    if leaving:
        return "none"
    named = leg.find("LegIdentifier")
    repeat = named.find("RepeatNumber") if named is not None else None
    flown = repeat.attributes.get("AirborneReturnNumber", "0") if repeat is not None else "0"
    return "air_return" if flown.strip() not in ("", "0") else "returned_to_gate"


def _say_not_operating(words: Words, leg: Element) -> None:
    """Some send it of flights that their own board calls scheduled: that cancels nothing."""
    board = {status for status in _board_statuses(leg)} - {"NOP", "DX", "CNL", "DEL"}
    if board or words.set.keys() & {"etd", "eta", *LEAVING}:
        text = "NOP is contradicted by the board status or by times in the same message"
        words.faults.append(Fault("contradiction", "OperationalStatus", text))
    else:
        words.set["irregularity"] = "not_operating"


def _board_statuses(leg: Element) -> Iterator[str]:
    """Vendors put what their boards show into the extension: `Status` of qualifier FIDS."""
    open_elements = [child for child in leg.children if child.name == "TPA_Extension"]
    while open_elements:
        element = open_elements.pop()
        open_elements += element.children
        parts = {child.name: child.value for child in element.children}
        if element.name == "Status" and parts.get("Qualifier") == "FIDS":
            yield parts.get("Value", "").upper()


def _codeshares(words: Words, data: Element) -> list[CodeShare] | None:
    """The whole list; None: the message has none, and says nothing of it."""
    elements = list(data.all("CodeShareInfo"))
    if not elements:
        return None
    found: dict[CodeShare, None] = {}
    for element in elements:
        airline = _text(element, "Airline").upper()
        number = NUMBER.fullmatch(_text(element, "FlightNumber").upper().removeprefix(airline))
        suffix = _text(element, "OperationalSuffix").upper()
        if AIRLINE.fullmatch(airline) and number and re.fullmatch("[A-Z]?", suffix):
            share = CodeShare(
                airline=airline, number=int(number["number"]), suffix=suffix or number["suffix"]
            )
            found[share] = None
        elif airline or number:
            words.faults.append(Fault("bad_value", "CodeShareInfo", "needs airline and number"))
    return list(found)[:MOST_CODESHARES]


def _doubt_date(words: Words, key: PatchKey) -> None:
    """Test data in production has dates that are months away from its times."""
    for name in ("std", "sta"):
        at = words.set.get(name)
        if key.origin_date is not None and isinstance(at, str):
            days = abs(datetime.fromisoformat(at).date() - key.origin_date)
            if days > FAR:
                text = f"is {days.days} days away from {name}"
                words.faults.append(Fault("far_origin_date", "OriginDate", text))
                return
