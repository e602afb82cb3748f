"""AIDX messages of our own, as airports would send them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from tests.support.rest import DAY, NOW

IATA = "http://www.iata.org/IATA/2007/00"
XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
SOAP_11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_12 = "http://www.w3.org/2003/05/soap-envelope"
NIL = 'xsi:nil="true"'


def clock(minutes: float) -> str:
    """So many minutes from now."""
    return (NOW + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def time(qualifier: str, kind: str, value: str) -> str:
    """An OperationTime; without a value it is nil."""
    attributes = f'OperationQualifier="{qualifier}" CodeContext="9750" TimeType="{kind}"'
    if not value:
        return f"<OperationTime {attributes} {NIL}/>"
    return f"<OperationTime {attributes}>{value}</OperationTime>"


def planned(std: float = 60, sta: float = 240) -> str:
    """Both scheduled times, in minutes from now."""
    return time("OFB", "SCT", clock(std)) + time("ONB", "SCT", clock(sta))


def resources(side: str, inner: str, usage: str = "Actual") -> str:
    """What one end of the leg has."""
    resource = f'<Resource DepartureOrArrival="{side}">{inner}</Resource>'
    return f'<AirportResources Usage="{usage}">{resource}</AirportResources>'


def identifier(
    airline: str = "XY", number: str = "123", dep: str = "OSL", arr: str = "LHR", *,
    day: str | None = None, suffix: str = "", repeat: str = "",
) -> str:  # fmt: skip
    """A LegIdentifier."""
    return (
        f'<LegIdentifier><Airline CodeContext="3">{airline}</Airline>'
        f"<FlightNumber>{number}</FlightNumber>"
        + (f"<OperationalSuffix>{suffix}</OperationalSuffix>" if suffix else "")
        + f"<DepartureAirport>{dep}</DepartureAirport><ArrivalAirport>{arr}</ArrivalAirport>"
        f"<OriginDate>{DAY.isoformat() if day is None else day}</OriginDate>"
        + repeat
        + "</LegIdentifier>"
    )


def leg(data: str, named: str | None = None, *, extension: str = "", attributes: str = "") -> str:
    """A FlightLeg with this inside of its LegData."""
    named = identifier() if named is None else named
    return f"<FlightLeg {attributes}>{named}<LegData>{data}</LegData>{extension}</FlightLeg>"


def aidx(*legs: str, root: str = "IATA_AIDX_FlightLegNotifRQ", **attributes: str) -> bytes:
    """A message made now, of these legs."""
    stated: Mapping[str, str] = {
        "Version": "22.1", "TimeStamp": datetime.now(UTC).isoformat(), **attributes,
    }  # fmt: skip
    written = " ".join(f'{name}="{value}"' for name, value in stated.items() if value)
    inside = '<Originator CompanyShortName="DEMO"/>' + "".join(legs)
    return f'<{root} xmlns="{IATA}" {XSI} {written}>{inside}</{root}>'.encode()


def in_soap(body: bytes, space: str = SOAP_11, header: str = "") -> bytes:
    """The same in an envelope."""
    head = f"<s:Header>{header}</s:Header>" if header else ""
    return (
        f'<s:Envelope xmlns:s="{space}">{head}<s:Body>'.encode() + body + b"</s:Body></s:Envelope>"
    )
