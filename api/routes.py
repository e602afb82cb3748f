"""The table of routes: what REST answers, and with what."""

from collections.abc import Awaitable, Callable
from functools import cache
from importlib.metadata import version

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from api.airports import list_airports, read_airport
from api.asyncapi import document as channels_document
from api.docs import HEADERS as DOCS_HEADERS
from api.docs import page as docs_page
from api.endpoint import Api, Operation
from api.feed_bodies import BodyQuery, put_body
from api.feed_formats import FORMATS
from api.feeds import FeedAnswer, FeedLegs, put_legs
from api.feeds_aidx import MEDIA, put_aidx
from api.flights import list_flights, read_flight
from api.history import read_history
from api.intake import BodyAnswer
from api.legs_csv import export_legs
from api.openapi import document
from api.operations import qr_code
from api.problems import SECURITY, request_id
from api.push import PushSettings, read_push
from api.routes_account import ACCOUNT_OPERATIONS
from api.schemas import (
    Airports,
    AirportsQuery,
    AirportView,
    FlightsQuery,
    HistoryQuery,
    LegHistory,
    LegsCsvQuery,
    LegState,
    LegStates,
    QrQuery,
)
from api.sources import LegSources, read_sources


async def openapi(api: Api, request: Request) -> Response:
    """This description of the API."""
    return Response(
        _document(), headers={"Cache-Control": "no-cache"}, media_type="application/json"
    )


async def asyncapi(api: Api, request: Request) -> Response:
    """The description of the channels."""
    body = msgspec.json.encode(channels_document(version("gatecast")))
    return Response(body, headers={"Cache-Control": "no-cache"}, media_type="application/json")


async def docs(api: Api, request: Request) -> Response:
    """The same for people."""
    html = docs_page(document(OPERATIONS, version("gatecast")))
    return Response(html, headers=DOCS_HEADERS, media_type="text/html")


@cache
def _document() -> bytes:
    return msgspec.json.encode(document(OPERATIONS, version("gatecast")))


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="GET", path="/api/flights", call=list_flights, query=FlightsQuery,
        summary="Departures or arrivals of an airport by scheduled time, or legs by a number",
        answers={200: LegStates, 304: None},
    ),
    Operation(
        method="GET", path="/api/flights/{leg_key}", call=read_flight,
        summary="The public state of one leg", answers={200: LegState, 304: None, 308: None},
        errors=(400, 404),
    ),
    Operation(
        method="GET", path="/api/flights/{leg_key}/history", call=read_history, query=HistoryQuery,
        summary="What changed in one leg, newest first",
        answers={200: LegHistory, 304: None, 308: None}, errors=(400, 404),
    ),
    Operation(
        method="GET", path="/api/flights/{leg_key}/sources", call=read_sources,
        summary="Whose word each value of one leg is, and what others say",
        answers={200: LegSources, 304: None, 308: None}, errors=(400, 404),
    ),
    Operation(
        method="GET", path="/api/airports", call=list_airports, query=AirportsQuery,
        summary="Airports with movements now, or those that a text finds",
        answers={200: Airports, 304: None},
    ),
    Operation(
        method="GET", path="/api/airports/{iata}", call=read_airport,
        summary="One airport", answers={200: AirportView}, errors=(400, 404),
    ),
    Operation(
        method="GET", path="/api/airports/{iata}/legs.csv", call=export_legs, query=LegsCsvQuery,
        summary="What leaves or arrives, as a table that feeds can send back",
        answers={200: str}, media_type="text/csv", errors=(404,),
    ),
    Operation(
        method="POST", path="/api/feeds/{feed}/legs", call=put_legs, keyed=True, body=FeedLegs,
        summary="What a feed says of legs; one result each", answers={200: FeedAnswer},
        errors=(403, 404),
    ),
    Operation(
        method="POST", path="/api/feeds/{feed}/aidx", call=put_aidx, keyed=True, raw=MEDIA,
        summary="An IATA AIDX flight leg message, bare or in SOAP; answered by FlightLegRS",
        answers={200: str}, media_type="application/xml", errors=(400, 403, 404, 415),
        errors_in="application/xml",
    ),
    Operation(
        method="POST", path="/api/feeds/{feed}/{format}", call=put_body, keyed=True,
        query=BodyQuery, raw=tuple(sorted({format.media_type for format in FORMATS.values()})),
        summary="What a feed says in a format of its own", answers={200: BodyAnswer},
        errors=(403, 404),
    ),
    *ACCOUNT_OPERATIONS,
    Operation(
        method="GET", path="/api/push", call=read_push,
        summary="What a browser needs to register for pushes", answers={200: PushSettings},
    ),
    Operation(
        method="GET", path="/api/qr.svg", call=qr_code, query=QrQuery,
        summary="A QR code that leads to a page", answers={200: str}, media_type="image/svg+xml",
    ),
    Operation(
        method="GET", path="/openapi.json", call=openapi,
        summary="This document", answers={200: dict},
    ),
    Operation(
        method="GET", path="/asyncapi.json", call=asyncapi,
        summary="The channels of the WebSocket and the event streams", answers={200: dict},
    ),
    Operation(
        method="GET", path="/docs", call=docs,
        summary="This document as a page", answers={200: str}, media_type="text/html",
    ),
)  # fmt: skip


def routes(api: Api) -> list[BaseRoute]:
    """The REST API; the paths of one resource keep their order in the table."""
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in OPERATIONS:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    return [
        Route(path, _endpoint(api, operations), methods=list(operations))
        for path, operations in by_path.items()
    ]


def _endpoint(
    api: Api, operations: dict[str, Operation]
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        response = await operations[method].call(api, request)
        response.headers.update({**SECURITY, "X-Request-Id": request_id(request)})
        return response

    return endpoint
