"""What feeds say over HTTP: many legs at once, one result each, a repeat answered as before."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw, Struct
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from starlette.requests import Request
from starlette.responses import Response

from api.auth import PRIVATE
from api.endpoint import Api, read_body
from api.feed import Patch
from api.ingest import Result, UnknownFeed
from api.keys import feed_of_key
from api.models import Feed, FeedMessage
from api.problems import Problem
from api.schemas import Instant

FEED_BODY_LIMIT = 5 * 1024 * 1024
MOST_LEGS = 10_000

MessageId = Annotated[str, Meta(max_length=200, pattern=r"^[!-~]+(?![\s\S])")]


class FeedLeg(Patch, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the feed says of one leg; `hide` takes it off the boards, and never cancels it."""

    action: Literal["hide"] | None = None


class FeedLegs(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Legs of one feed. `message_id`: repeated, it is answered as the first time.
    `heartbeat`: the feed lives, also with nothing new to say."""

    feed: str | None = None
    message_id: MessageId | None = None
    sent_at: Instant | None = None
    heartbeat: bool = False
    legs: Annotated[list[FeedLeg], Meta(max_length=MOST_LEGS)] = []


class FeedBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same as `FeedLegs`, with legs that are read one by one."""

    feed: str | None = None
    message_id: MessageId | None = None
    sent_at: Instant | None = None
    heartbeat: bool = False
    legs: Annotated[list[Raw], Meta(max_length=MOST_LEGS)] = []


class FeedAnswer(Struct, frozen=True):
    """One result a leg, in their order."""

    results: list[Result]


async def put_legs(api: Api, request: Request) -> Response:
    """Apply what the feed says; a leg's fault never refuses its neighbours."""
    feed, feed_id = await _feed_of(api, request)
    body = await read_body(request, FeedBody, FEED_BODY_LIMIT)
    if body.feed not in (None, feed):
        raise Problem(422, f"The body speaks for another feed than {feed}.", slug="other-feed")
    if body.message_id is not None:
        kept = await _kept(api, feed_id, body.message_id)
        if kept is not None:
            return _answer(kept)
    try:
        results = await _apply(api, feed, body)
    except UnknownFeed:
        raise _unknown_feed(feed) from None
    answer = msgspec.json.encode(FeedAnswer(results))
    if body.message_id is not None:
        answer = await _keep(api, feed_id, body.message_id, results, answer)
    return _answer(answer)


async def _feed_of(api: Api, request: Request) -> tuple[str, int]:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    wanted = request.path_params["feed"].replace("\0", "")
    async with api.sessions() as session:
        own = await feed_of_key(session, key.strip()) if scheme.lower() == "bearer" else None
        feed_id = await session.scalar(select(Feed.feed_id).where(Feed.code == wanted))
    if own is None:
        raise Problem(
            401,
            "This needs the key of a feed: Authorization: Bearer gck_…",
            headers={"WWW-Authenticate": 'Bearer realm="gatecast feeds"'},
        )
    if feed_id is None:
        raise _unknown_feed(wanted)
    if own != wanted:
        raise Problem(403, f"This key does not speak for {wanted}.", slug="other-feed")
    return wanted, feed_id


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
        leg = msgspec.json.decode(raw, type=FeedLeg)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        return Result("", "refused", code="bad_leg", text=str(error))
    hidden = {"hidden": True} if leg.action == "hide" else {}
    return msgspec.structs.replace(leg, set={**leg.set, **hidden})


async def _kept(api: Api, feed_id: int, message_id: str) -> bytes | None:
    async with api.sessions() as session:
        kept = await session.get(FeedMessage, (feed_id, message_id))
    return kept.answer if kept is not None else None


async def _keep(
    api: Api, feed_id: int, message_id: str, results: list[Result], answer: bytes
) -> bytes:
    """Of two at the same time both are answered as the first."""
    refused = sum(result.outcome == "refused" for result in results)
    outcome = "taken" if not refused else "refused" if refused == len(results) else "partly"
    new = insert(FeedMessage).values(
        feed_id=feed_id, message_key=message_id, outcome=outcome, answer=answer
    )
    async with api.sessions.begin() as session:
        await session.execute(new.on_conflict_do_nothing())
        return (await session.get_one(FeedMessage, (feed_id, message_id))).answer


def _answer(body: bytes) -> Response:
    return Response(body, 200, PRIVATE, "application/json")


def _unknown_feed(feed: str) -> Problem:
    return Problem(404, f"There is no feed {feed}, or it is switched off.", slug="unknown-feed")
