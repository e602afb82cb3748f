"""IATA AIDX, all versions: a flight leg message, bare or in a SOAP envelope, becomes patches. Pure.

The namespace is the same in all versions and `Version` is information only, so that neither
decides anything here.
"""

from datetime import datetime, timedelta

from msgspec import Struct, field

from api.feed import Complaint, Reading, Reference
from api.feed_aidx_leg import LegRefused, read_leg
from api.feed_manner import BodyRefused, Manner
from api.feed_times import read_time
from api.feed_words import MOST_COMPLAINTS, MOST_UNKNOWN
from api.xml_parts import Element, XmlRefused, read_xml

IATA = "http://www.iata.org/IATA/2007/00"
SOAP_11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_12 = "http://www.w3.org/2003/05/soap-envelope"
PUSH = "IATA_AIDX_FlightLegNotifRQ"
PULLED = "IATA_AIDX_FlightLegRS"
MOST_LEGS = 5_000
CLOCK_SKEW = timedelta(minutes=5)


class AidxRefused(XmlRefused):
    """The body as a whole cannot be taken; `sent` is what it says of itself, if anything."""

    def __init__(self, code: str, text: str, sent: "AidxBody | None" = None) -> None:
        super().__init__(code, text)
        self.sent = sent


class AidxBody(Struct, frozen=True, kw_only=True):
    """A message: its root's attributes, the namespace of the envelope around it, and its legs."""

    name: str
    attributes: dict[str, str]
    soap: str | None
    reading: Reading
    legs: int = 0
    warnings: list[str] = field(default_factory=list)

    @property
    def is_test(self) -> bool:
        """Whether the sender marks it as a test."""
        return self.attributes.get("Target", "").strip().lower() == "test"

    @property
    def transaction(self) -> str | None:
        """What the sender calls it; some call all of theirs the same."""
        name = self.attributes.get("TransactionIdentifier") or self.attributes.get("CorrelationID")
        number = self.attributes.get("SequenceNmbr")
        return name and (f"{name}/{number}" if number else name)


def parse(body: bytes, now: datetime, reference: Reference, manner: Manner) -> Reading:
    """The legs of a body that comes in a folder or on a topic, where nobody waits for an answer."""
    try:
        found = read_aidx_body(body, now, reference, manner.encoding or None)
    except XmlRefused as refused:
        raise BodyRefused(refused.text.rstrip(".")) from None
    if found.is_test:
        raise BodyRefused('Target="Test" is taken over HTTP only, from a synthetic feed')
    del found.reading.complaints[MOST_COMPLAINTS:]
    return found.reading


def read_aidx(body: bytes, heard_at: datetime, reference: Reference) -> Reading:
    """The legs of a message; AidxRefused and XmlRefused when there is no such message."""
    return read_aidx_body(body, heard_at, reference).reading


def read_aidx_body(
    body: bytes, heard_at: datetime, reference: Reference, encoding: str | None = None
) -> AidxBody:
    """The whole message; a fault of a leg is a complaint, one of the body an exception."""
    legs = _Legs(heard_at, reference)
    root = read_xml(body, _is_leg, legs.take, encoding)
    soap, sent = _unwrapped(root)
    made = AidxBody(
        name=sent.name, attributes=sent.attributes, soap=soap, reading=legs.reading,
        legs=legs.count, warnings=_warnings(sent),
    )  # fmt: skip
    if sent.space not in (IATA, "") or sent.name not in (PUSH, PULLED):
        raise AidxRefused("not_aidx", f"Send {PUSH}, not {sent.name[:64]}.", made)
    if sent.name == PUSH and not legs.count:
        raise AidxRefused("no_legs", f"{PUSH} has no FlightLeg.", made)
    if sent.find("Errors") is not None:
        raise AidxRefused("sender_failed", "The sender reports errors instead of legs.", made)
    return made


class _Legs:
    """Takes the legs out of a message while it is read."""

    def __init__(self, heard_at: datetime, reference: Reference) -> None:
        self.reading = Reading()
        self.count = 0
        self._heard_at = heard_at
        self._reference = reference
        self._source_ts: datetime | None = None

    def take(self, leg: Element, sent: Element) -> None:
        if self.count >= MOST_LEGS:
            raise XmlRefused("too_large", f"A message may have {MOST_LEGS:,} legs; split it.")
        if self._source_ts is None:
            self._source_ts = source_time(sent.attributes, self._heard_at)
        record, reading = self.count, self.reading
        self.count += 1
        try:
            found = read_leg(leg, self._source_ts, self._heard_at, self._reference)
        except LegRefused as refused:
            reading.complaints.append(
                Complaint(code=refused.code, text=refused.text, field=refused.field, record=record)
            )
            return
        reading.patches.append(found.patch)
        reading.records.append(record)
        for code, name, text in found.faults:
            reading.complaints.append(Complaint(code=code, text=text, field=name, record=record))
        for name in found.unknown:
            if name in reading.unknown or len(reading.unknown) < MOST_UNKNOWN:
                reading.unknown[name] = reading.unknown.get(name, 0) + 1


def source_time(attributes: dict[str, str], heard_at: datetime) -> datetime:
    """When the message was made; without a zone it is UTC, and never later than now."""
    try:
        made = read_time(attributes.get("TimeStamp", ""), "UTC")
    except ValueError:
        return heard_at
    offset_given = attributes["TimeStamp"].strip()[-1:] in "Zz" or "+" in attributes["TimeStamp"]
    return made if offset_given or made <= heard_at + CLOCK_SKEW else heard_at


def _is_leg(element: Element, parent: Element) -> bool:
    return element.name == "FlightLeg" and parent.name in (PUSH, PULLED)


def _unwrapped(root: Element) -> tuple[str | None, Element]:
    if root.name != "Envelope" or root.space not in (SOAP_11, SOAP_12):
        return None, root
    empty = AidxBody(name="", attributes={}, soap=root.space, reading=Reading())
    header = root.find("Header")
    for entry in header.children if header is not None else ():
        if entry.attributes.get(f"{root.space} mustUnderstand", "").strip() in ("1", "true"):
            text = f"The header {entry.name[:64]} is not understood."
            raise AidxRefused("must_understand", text, empty)
    body = root.find("Body")
    if body is None or not body.children:
        raise AidxRefused("not_aidx", "The envelope is empty.", empty)
    return root.space, body.children[0]


def _warnings(sent: Element) -> list[str]:
    """What the sender of a pulled picture warns of: that it has none just now, for example."""
    around = sent.find("Warnings")
    found = around.all("Warning") if around is not None else iter(())
    return [warning.value or warning.attributes.get("ShortText", "") for warning in found]
