"""What an operation of the REST API is, and how requests and answers are read and written."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeVar

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from api.database import Sessions
from api.ingest import Ingest
from api.problems import Problem, invalid
from realtime.flight import LegKey, parse_leg_key
from realtime.settings import Settings
from realtime.tokens import Tokens

BODY_LIMIT = 64 * 1024

T = TypeVar("T", bound=Struct)


class Settle(Protocol):
    """Record what an account displayed; the number of deliveries that this settled."""

    async def __call__(
        self, account_id: str, epoch: str, attentive: bool, legs: Mapping[str, int]
    ) -> int: ...


class Api(Struct, frozen=True):
    """What the operations of the REST API need."""

    sessions: Sessions
    tokens: Tokens
    settings: Settings
    ingest: Ingest
    settle: Settle


class Operation(Struct, frozen=True, kw_only=True):
    """One method of one path, as it is served and as it is described.

    `errors_in`: the media type of errors where a format has its own way to tell them.
    """

    method: str
    path: str
    summary: str
    call: Callable[[Api, Request], Awaitable[Response]]
    answers: Mapping[int, type | None]
    query: type[Struct] | None = None
    body: type[Struct] | None = None
    body_optional: bool = False
    raw: tuple[str, ...] = ()
    errors_in: str = ""
    errors: tuple[int, ...] = ()
    signed_in: bool = False
    keyed: bool = False
    media_type: str = "application/json"


def json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer in JSON."""
    return Response(msgspec.json.encode(value), status, headers, "application/json")


def tagged(
    request: Request, body: bytes | str, etag: str, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer in JSON with its ETag; 304 to who has it already."""
    whole = {**(headers or {}), "ETag": etag}
    if _matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=whole)
    return Response(body, 200, whole, "application/json")


def listing(request: Request, value: object, headers: Mapping[str, str] | None = None) -> Response:
    """A list whose ETag is made from its bytes: there is no version that covers all of it."""
    body = msgspec.json.encode(value)
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return tagged(request, body, etag, headers)


def read_query(request: Request, kind: type[T]) -> T:
    """The query string as this Struct; a parameter that it does not have is refused."""
    try:
        return msgspec.convert(dict(request.query_params), kind, strict=False)
    except msgspec.ValidationError as error:
        raise invalid(error, "query") from None


async def read_body(request: Request, kind: type[T], limit: int = BODY_LIMIT) -> T:
    """The JSON body as this Struct."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise Problem(415, "The body must be application/json.")
    body = await read_raw(request, limit)
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise invalid(error, "body") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem(400, "The body is not JSON.", slug="bad-json") from None


def leg_key_of(request: Request) -> LegKey:
    """The leg that the path names."""
    try:
        return parse_leg_key(request.path_params["leg_key"])
    except ValueError as error:
        raise Problem(400, str(error), slug="bad-leg-key") from None


def no_such_leg(key: LegKey) -> Problem:
    """The key is well-formed, and nobody has told us of such a leg."""
    return Problem(404, f"There is no leg {key}.", slug="unknown-leg")


def _matches(if_none_match: str | None, etag: str) -> bool:
    """RFC 9110 13.1.2: weak comparison against a list, or any."""
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or tags == ["*"]


async def read_optional_body(request: Request, kind: type[T]) -> T | None:
    """The JSON body as this Struct; None when there is none."""
    announced = request.headers.get("content-length", "0")
    if announced == "0" and "transfer-encoding" not in request.headers:
        return None
    return await read_body(request, kind)


async def read_raw(request: Request, limit: int) -> bytes:
    """The bytes of the body, whatever they are."""
    too_large = Problem(413, f"A body may have at most {limit} bytes.")
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced[:12]) > limit:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise too_large
    return bytes(body)
