"""Answers to AIDX senders in their own terms: IATA_AIDX_FlightLegRS, SOAP faults. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from xml.sax.saxutils import escape, quoteattr

from msgspec import Struct

from api.feed_aidx import IATA, PULLED, SOAP_11, SOAP_12

ECHOED = (
    "EchoToken", "Target", "TransactionIdentifier", "SequenceNmbr", "TransactionStatusCode",
    "CorrelationID",
)  # fmt: skip
MEDIA_TYPES: Mapping[str | None, str] = MappingProxyType({
    None: "application/xml", SOAP_11: "text/xml", SOAP_12: "application/soap+xml",
})  # fmt: skip
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
OWN_VERSION = "22.1"


class Remark(Struct, frozen=True, kw_only=True):
    """A Warning or an Error; `record` counts the legs of the message from 0."""

    code: str
    text: str
    record: int | None = None
    field: str | None = None
    status: str = "NotProcessed"


def success(
    attributes: Mapping[str, str], soap: str | None, warnings: Iterable[Remark], now: datetime
) -> bytes:
    """The message was taken; one Warning a leg, or value, that was not."""
    said = "".join(_remark("Warning", warning) for warning in warnings)
    inner = f"<Success/>{f'<Warnings>{said}</Warnings>' if said else ''}"
    return _enveloped(_answer(attributes, inner, now), soap)


def failure(
    attributes: Mapping[str, str], soap: str | None, error: Remark, status: int, now: datetime
) -> bytes:
    """Nothing was taken; in a SOAP envelope a Fault that has the answer as its detail."""
    answer = _answer(attributes, f"<Errors>{_remark('Error', error)}</Errors>", now)
    text = escape(_clean(error.text))
    if soap == SOAP_11:
        side = "Server" if status >= 500 else "Client"
        code = "MustUnderstand" if error.code == "must_understand" else side
        answer = (
            f"<s:Fault><faultcode>s:{code}</faultcode><faultstring>{text}</faultstring>"
            f"<detail>{answer}</detail></s:Fault>"
        )
    elif soap == SOAP_12:
        side = "Receiver" if status >= 500 else "Sender"
        code = "MustUnderstand" if error.code == "must_understand" else side
        answer = (
            f"<s:Fault><s:Code><s:Value>s:{code}</s:Value></s:Code>"
            f'<s:Reason><s:Text xml:lang="en">{text}</s:Text></s:Reason>'
            f"<s:Detail>{answer}</s:Detail></s:Fault>"
        )
    return _enveloped(answer, soap)


def fault_status(soap: str | None, status: int) -> int:
    """SOAP 1.1 wants 500 for every fault that a message caused; HTTP's own errors stay."""
    return 500 if soap == SOAP_11 and status in (400, 422) else status


def _answer(attributes: Mapping[str, str], inner: str, now: datetime) -> str:
    stated = {
        "TimeStamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "Version": attributes.get("Version") or OWN_VERSION,
        **{name: attributes[name] for name in ECHOED if name in attributes},
    }
    written = "".join(f" {name}={quoteattr(_clean(text))}" for name, text in stated.items())
    return f'<{PULLED} xmlns="{IATA}"{written}>{inner}</{PULLED}>'


def _remark(element: str, remark: Remark) -> str:
    attributes = {"Type": "3", "Code": remark.code, "Status": remark.status}
    if remark.record is not None:
        attributes["RecordID"] = str(remark.record)
    if remark.field is not None:
        attributes["Tag"] = remark.field
    attributes["ShortText"] = remark.text
    written = "".join(f" {name}={quoteattr(_clean(text))}" for name, text in attributes.items())
    return f"<{element}{written}/>"


def _enveloped(answer: str, soap: str | None) -> bytes:
    if soap is not None:
        answer = f'<s:Envelope xmlns:s="{soap}"><s:Body>{answer}</s:Body></s:Envelope>'
    return (HEAD + answer).encode()


def _clean(text: str) -> str:
    """Without what XML cannot carry, and no longer than people read."""
    return "".join(char for char in text[:500] if char.isprintable() or char == "\n")
