"""Feeds in the formats of their systems, over HTTP: one body, one answer for all that is in it."""

from starlette.requests import Request
from starlette.responses import Response

from api.endpoint import Api, read_query, read_raw
from api.feed_manner import BodyRefused, Manner
from api.feed_messages import feed_of, json_answer, unknown_feed
from api.feed_native import MessageId
from api.ingest import UnknownFeed
from api.intake import Intake
from api.problems import Problem

BODY_LIMIT = 5 * 1024 * 1024


class BodyQuery(Manner, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`message_id`: repeated, it is answered as the first time."""

    message_id: MessageId | None = None


async def put_body(api: Api, request: Request) -> Response:
    """Take a body of this format; `any` is the one that the body shows."""
    query = read_query(request, BodyQuery)
    feed, _ = await feed_of(api, request)
    body = await read_raw(request, BODY_LIMIT)
    manner = Manner(**{name: getattr(query, name) for name in Manner.__struct_fields__})
    try:
        intake, name = Intake(api.sessions, api.ingest), request.path_params["format"]
        return json_answer(await intake.take(feed, name, body, manner, query.message_id))
    except BodyRefused as refused:
        raise Problem(422, f"{refused}.", slug="bad-body") from None
    except UnknownFeed:
        raise unknown_feed(feed) from None
