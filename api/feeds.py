"""What feeds say over HTTP: many legs at once, one result each, a repeat answered as before."""

from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct
from starlette.requests import Request
from starlette.responses import Response

from api.endpoint import Api, read_body
from api.feed import Patch
from api.feed_messages import feed_of, json_answer, keep, kept, outcome_of, unknown_feed
from api.feed_native import FeedBody, FeedLeg, MessageId, read_leg
from api.feed_words import MOST_LEGS
from api.fields import PatchRefused
from api.ingest import Result, UnknownFeed
from api.problems import Problem
from api.schemas import Instant

FEED_BODY_LIMIT = 5 * 1024 * 1024


class FeedLegs(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Legs of one feed. `message_id`: repeated, it is answered as the first time.
    `heartbeat`: the feed lives, also with nothing new to say."""

    feed: str | None = None
    message_id: MessageId | None = None
    sent_at: Instant | None = None
    heartbeat: bool = False
    legs: Annotated[list[FeedLeg], Meta(max_length=MOST_LEGS)] = []


class FeedAnswer(Struct, frozen=True):
    """One result a leg, in their order."""

    results: list[Result]


async def put_legs(api: Api, request: Request) -> Response:
    """Apply what the feed says; a leg's fault never refuses its neighbours."""
    feed, feed_id = await feed_of(api, request)
    body = await read_body(request, FeedBody, FEED_BODY_LIMIT)
    if body.feed not in (None, feed):
        raise Problem(422, f"The body speaks for another feed than {feed}.", slug="other-feed")
    if body.message_id is not None:
        known = await kept(api.sessions, feed_id, body.message_id)
        if known is not None:
            return json_answer(known)
    try:
        results = await _apply(api, feed, body)
    except UnknownFeed:
        raise unknown_feed(feed) from None
    answer = msgspec.json.encode(FeedAnswer(results))
    if body.message_id is not None:
        outcome = outcome_of(results)
        answer = await keep(api.sessions, feed_id, body.message_id, outcome, answer)
    return json_answer(answer)


async def _apply(api: Api, feed: str, body: FeedBody) -> list[Result]:
    if body.heartbeat:
        await api.ingest.heartbeat(feed)
    read = [_read(raw) for raw in body.legs]
    patches = [leg for leg in read if isinstance(leg, Patch)]
    applied = iter(await api.ingest.apply(feed, patches))
    api.ingest.count(feed, [leg for leg in read if isinstance(leg, Result)])
    return [next(applied) if isinstance(leg, Patch) else leg for leg in read]


def _read(raw: Raw) -> Patch | Result:
    try:
        return read_leg(raw)
    except PatchRefused as refused:
        return Result("", "refused", code=refused.code, text=refused.text)
