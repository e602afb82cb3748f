"""Every format that a body may have, and how a body without a name is known. Pure."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from api import (
    feed_acris,
    feed_aeroapi,
    feed_aidx,
    feed_avinor,
    feed_csv,
    feed_finavia,
    feed_hongkong,
    feed_native,
    feed_schiphol,
    feed_ssim,
    feed_swedavia,
    feed_typeb,
)
from api.feed_json import at, decoded_json, records_of
from api.feed_manner import BodyRefused, Parse

SEEN = 4096
ANY = "any"


class Format(Struct, frozen=True):
    """`hashed`: its senders repeat a message as it was, so that the same bytes are the same one."""

    parse: Parse
    media_type: str
    what: str
    hashed: bool = False


FORMATS: Mapping[str, Format] = MappingProxyType({
    "native": Format(feed_native.parse, "application/json", "Gatecast's own patches"),
    "csv": Format(feed_csv.parse, "text/csv", "a row for each leg, or a slot coordinator's list"),
    "acris": Format(feed_acris.parse, "application/json", "ACRIS seamless travel, and its kin"),
    "aidx": Format(feed_aidx.parse, "application/xml", "IATA AIDX flight legs", hashed=True),
    "typeb": Format(feed_typeb.parse, "text/plain", "MVT, MVA and DIV", hashed=True),
    "ssim": Format(feed_ssim.parse, "text/plain", "SSIM chapter 7, the next two weeks"),
    "swedavia": Format(feed_swedavia.parse, "application/json", "Swedavia's flights of a day"),
    "aeroapi": Format(
        feed_aeroapi.parse, "application/json", "an alert of FlightAware's AeroAPI", hashed=True
    ),
    "finavia": Format(feed_finavia.parse, "application/xml", "Finavia's flights"),
    "avinor": Format(feed_avinor.parse, "application/xml", "Avinor's live flights"),
    "schiphol": Format(feed_schiphol.parse, "application/json", "Schiphol's public flights"),
    "hongkong": Format(feed_hongkong.parse, "application/json", "Hong Kong's lists of a day"),
})  # fmt: skip

MARKS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("aidx", re.compile(r"<[^\0]*?<?(?:\w+:)?IATA_AIDX_FlightLeg(?:NotifRQ|RS)\b")),
    ("ssim", re.compile("1AIRLINE STANDARD SCHEDULE DATA SET")),
    ("finavia", re.compile(r"(?:<\?[^>]*>\s*)?<flights[^>]*finavia", re.IGNORECASE)),
    ("avinor", re.compile(r"(?:<\?[^>]*>\s*)?<airport[\s>]")),
    ("typeb", re.compile(r"(?:.*\n){0,8}?(?:(?:COR|REV) ?)?(?:MVT|MVA|DIV)\s*\n.+/[0-9]{2}.*\.")),
    ("csv", re.compile(r"[^\n{<]*\b(flight|airline|ArrDep)\b[^\n]*[,;\t|]", re.IGNORECASE)),
)
MEMBERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("acris", ("flightNumber", "trackNumber")), ("schiphol", ("flightDirection",)),
    ("swedavia", ("flightLegIdentifier",)), ("aeroapi", ("flight", "ident")),
)  # fmt: skip


def format_of(name: str, body: bytes) -> Format:
    """The one of this name; `any`: the one that the body shows. BodyRefused names them."""
    found = FORMATS.get((detected(body) or "") if name == ANY else name)
    if found is not None:
        return found
    names = ", ".join(FORMATS)
    if name == ANY:
        raise BodyRefused(f"the body is of no format that can be seen; name one of {names}")
    raise BodyRefused(f"there is no such format; there are {names}, {ANY}")


def detected(body: bytes) -> str | None:
    """The format that this body has beyond doubt."""
    start = body.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start[:1] in (b"{", b"["):
        return _json_format(body)
    text = start[:SEEN].decode("utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1",
                               "replace").replace("\r\n", "\n")  # fmt: skip
    return next((name for name, mark in MARKS if mark.match(text)), None)


def _json_format(body: bytes) -> str | None:
    try:
        value = decoded_json(body)
        if isinstance(value, dict) and isinstance(value.get("legs"), list):
            return "native"
        first = next(iter(records_of(value)), None)
    except BodyRefused:
        return None
    return next((name for name, path in MEMBERS if at(first, *path) is not None), None)
