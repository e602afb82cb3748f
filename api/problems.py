"""Every error of the REST API as RFC 9457 problem details; nothing of the inside gets out."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Literal
from uuid import uuid4

import asyncpg
import msgspec
import structlog
from msgspec import UNSET
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api.schemas import Fault, ProblemDetails

log = structlog.get_logger("api")

SECURITY: Mapping[str, str] = MappingProxyType({
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
})  # fmt: skip
AWAY = frozenset({"08", "3D", "53", "57"})  # SQLSTATE classes that are no fault of the request
LOCK_NOT_AVAILABLE = "55P03"
MISSING = re.compile(r"Object missing required field `(?P<name>.+)`")
UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.+)`")
PLACE = re.compile(r"(?P<detail>.*) - at `\$(?P<path>.*)`", re.DOTALL)
STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")


class Problem(HTTPException):
    """An answer that is an error; `slug` names its kind for programs."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        slug: str | None = None,
        errors: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, headers)
        self.slug = slug
        self.errors = list(errors)


def invalid(error: msgspec.ValidationError, place: Literal["body", "query"]) -> Problem:
    """What the decoder says, with the place: a JSON pointer, or the name of a parameter."""
    found = PLACE.fullmatch(str(error))
    detail, path = (found["detail"], found["path"]) if found else (str(error), "")
    steps = [name or index for name, index in STEP.findall(path)]
    for form in (MISSING, UNKNOWN):
        if named := form.fullmatch(detail):
            steps.append(named["name"])
    if place == "query":
        fault = Fault(detail=detail, parameter=steps[0] if steps else "")
        return Problem(400, "A query parameter is wrong.", slug="bad-query", errors=[fault])
    pointer = "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)
    fault = Fault(detail=detail, pointer=pointer)
    return Problem(422, "The body does not fit.", slug="bad-body", errors=[fault])


def request_id(request: Request) -> str:
    """One name for this request in answers and logs."""
    known: str | None = getattr(request.state, "request_id", None)
    if known is None:
        known = request.state.request_id = uuid4().hex
    return known


def answer(request: Request, problem: HTTPException) -> Response:
    """The problem as a response."""
    slug = problem.slug if isinstance(problem, Problem) else None
    errors = problem.errors if isinstance(problem, Problem) else []
    title = HTTPStatus(problem.status_code).phrase
    details = ProblemDetails(
        type=f"urn:gatecast:problem:{slug}" if slug else "about:blank",
        title=slug.replace("-", " ").capitalize() if slug else title,
        status=problem.status_code,
        detail=problem.detail,
        instance=request.url.path,
        request_id=request_id(request),
        errors=errors or UNSET,
    )
    headers = {**SECURITY, "Cache-Control": "no-store", **(problem.headers or {})}
    headers["X-Request-Id"] = details.request_id
    body = msgspec.json.encode(details)
    return Response(body, problem.status_code, headers, "application/problem+json")


async def answer_http(request: Request, error: Exception) -> Response:
    """Our own problems, and Starlette's 404 and 405."""
    assert isinstance(error, HTTPException)
    return answer(request, error)


async def answer_database(request: Request, error: Exception) -> Response:
    """A database that is away is no fault of ours or of the client: try again soon."""
    if not database_is_away(error):
        raise error
    log.warning("database is away", request_id=request_id(request), error=type(error).__name__)
    problem = Problem(
        503, "The database is not reachable; try again.", slug="database-away",
        headers={"Retry-After": "2"},
    )  # fmt: skip
    return answer(request, problem)


async def answer_fault(request: Request, error: Exception) -> Response:
    """A fault of ours: the log has the stack, the client the request id."""
    log.error("request failed", request_id=request_id(request), error=type(error).__name__)
    return answer(request, HTTPException(500, "Something went wrong here; it is logged."))


def database_is_away(error: Exception) -> bool:
    """Whether this is about the server being out of reach, not about what it was asked."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, (PoolTimeoutError, OSError))
    cause = error.orig.__cause__ if error.orig else None
    if isinstance(cause, asyncpg.PostgresError):
        state = cause.sqlstate or ""
        return state[:2] in AWAY or state == LOCK_NOT_AVAILABLE
    lost = isinstance(cause, asyncpg.InterfaceError) and not isinstance(cause, ValueError)
    return error.connection_invalidated or lost


Answer = Callable[[Request, Exception], Awaitable[Response]]

exception_handlers: Mapping[Any, Answer] = {
    HTTPException: answer_http,
    SQLAlchemyError: answer_database,
    OSError: answer_database,
    Exception: answer_fault,
}
