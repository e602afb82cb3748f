"""Bodies over HTTP: whose they are, and how a repeat is answered as the first time."""

import base64
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from starlette.requests import Request
from starlette.responses import Response

from api.auth import PRIVATE
from api.database import Sessions
from api.endpoint import Api
from api.ingest import Result
from api.keys import feed_of_key
from api.models import Feed, FeedMessage
from api.problems import Problem


async def feed_of(api: Api, request: Request) -> tuple[str, int]:
    """The feed that the path names and whose key the request bears: its code and id."""
    key = _key_of(request.headers.get("authorization", ""))
    wanted = request.path_params["feed"].replace("\0", "")
    async with api.sessions() as session:
        own = await feed_of_key(session, key) if key else None
        feed_id = await session.scalar(select(Feed.feed_id).where(Feed.code == wanted))
    if own is None:
        raise Problem(
            401,
            "This needs the key of a feed: Authorization: Bearer gck_…",
            headers={"WWW-Authenticate": 'Bearer realm="gatecast feeds"'},
        )
    if feed_id is None:
        raise unknown_feed(wanted)
    if own != wanted:
        raise Problem(403, f"This key does not speak for {wanted}.", slug="other-feed")
    return wanted, feed_id


def _key_of(authorization: str) -> str:
    """The bearer's key, or a password: some webhooks can send no other header."""
    scheme, _, words = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return words.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(words.strip(), validate=True).decode("ascii").partition(":")[2]
    except ValueError:
        return ""


async def kept(sessions: Sessions, feed_id: int, message_id: str) -> bytes | None:
    """What this message was answered; None: it is new."""
    async with sessions() as session:
        found = await session.get(FeedMessage, (feed_id, message_id))
    return found.answer if found is not None else None


async def keep(
    sessions: Sessions, feed_id: int, message_id: str, outcome: str, answer: bytes
) -> bytes:
    """Of two at the same time both are answered as the first."""
    new = insert(FeedMessage).values(
        feed_id=feed_id, message_key=message_id, outcome=outcome, answer=answer
    )
    async with sessions.begin() as session:
        await session.execute(new.on_conflict_do_nothing())
        return (await session.get_one(FeedMessage, (feed_id, message_id))).answer


def outcome_of(results: Sequence[Result], complaints: int = 0) -> str:
    """What became of a body: taken, partly or refused."""
    refused = sum(result.outcome == "refused" for result in results) + complaints
    if not refused:
        return "taken"
    return "refused" if refused >= len(results) + complaints else "partly"


def json_answer(body: bytes) -> Response:
    """The answer to a body."""
    return Response(body, 200, PRIVATE, "application/json")


def unknown_feed(feed: str) -> Problem:
    """Nobody registered it, or it may not speak."""
    return Problem(404, f"There is no feed {feed}, or it is switched off.", slug="unknown-feed")
