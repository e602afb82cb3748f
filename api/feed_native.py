"""Gatecast's own words: bodies with legs, each of which is read apart from its neighbours. Pure."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from api.feed import Patch, Reading, Reference
from api.feed_manner import BodyRefused, Manner
from api.feed_words import MOST_LEGS, Gathering
from api.fields import PatchRefused
from api.schemas import Instant

MessageId = Annotated[str, Meta(max_length=200, pattern=r"^[!-~]+(?![\s\S])")]


class FeedLeg(Patch, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the feed says of one leg; `hide` takes it off the boards, and never cancels it."""

    action: Literal["hide"] | None = None


class FeedBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Legs of one feed, read one by one."""

    feed: str | None = None
    message_id: MessageId | None = None
    sent_at: Instant | None = None
    heartbeat: bool = False
    legs: Annotated[list[Raw], Meta(max_length=MOST_LEGS)] = []


def parse(body: bytes, now: datetime, reference: Reference, manner: Manner) -> Reading:
    """`{"legs": […]}` as over HTTP; what is said of one leg is a record."""
    try:
        legs = msgspec.json.decode(body, type=FeedBody).legs
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BodyRefused(f"the body is no native one: {str(error)[:200]}") from None
    gathered = Gathering()
    for index, raw in enumerate(legs):
        with gathered.record(index):
            gathered.take(read_leg(raw))
    return gathered.done()


def read_leg(raw: Raw) -> Patch:
    """One leg; PatchRefused when it is none."""
    try:
        leg = msgspec.json.decode(raw, type=FeedLeg)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise PatchRefused("bad_leg", "leg", str(error)) from None
    hidden = {"hidden": True} if leg.action == "hide" else {}
    return msgspec.structs.replace(leg, set={**leg.set, **hidden})
