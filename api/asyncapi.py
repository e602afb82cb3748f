"""The AsyncAPI 3.0 document of the channels, made from the Structs of what travels on them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from api.schemas import Instant, LegState

REFERENCE = "#/components/schemas/{name}"
Seconds = Annotated[float, Meta(description="Seconds")]


class ChangeTold(Struct, frozen=True, kw_only=True):
    """What one version changed: `{field: [before, after]}`, and what that means to people."""

    version: int
    kinds: list[str]
    fields: dict[str, list[Any]]
    at: Annotated[Instant, Meta(description="Board time")]


class FlightPublication(Struct, frozen=True, kw_only=True):
    """The whole public state of a leg; offset is its version. `change` is absent when unknown."""

    leg: LegState
    change: ChangeTold | UnsetType = UNSET


class FeedFreshness(Struct, frozen=True, kw_only=True):
    """How fresh a feed is that spoke of this airport; `last_seen` is wall time.

    A board is as fresh as the best of the feeds that name it in `boards`, and live if none does.
    """

    code: str
    state: Literal["fresh", "late", "dead"]
    last_seen: datetime | None
    synthetic: bool
    boards: list[Literal["departures", "arrivals"]]


class LogPlace(Struct, frozen=True, kw_only=True):
    """Where the node is in the change log; `age` of its newest row in seconds, if it has one."""

    seq: int
    age: Seconds | None


class ReplayTold(Struct, frozen=True, kw_only=True):
    """The days that the clock replays; `opens` and `ends` are board time."""

    day: str
    opens: Instant
    ends: Instant
    again: bool
    over: bool


class StatusReport(Struct, frozen=True, kw_only=True):
    """Freshness of an airport each 5 s and at once on a change; `now` is board time."""

    now: Instant
    wall: Instant
    speed: float
    build: str
    log: LogPlace
    feeds: list[FeedFreshness]
    replay: ReplayTold | UnsetType = UNSET


class Described(Struct, frozen=True):
    """One kind of channel; `examples` has a value for each parameter of the address."""

    name: str
    address: str
    examples: dict[str, str]
    payload: type[Struct]
    servers: tuple[str, ...]
    summary: str


CHANNELS = (
    Described(
        "flight", "flight:{leg_key}", {"leg_key": "B69-2013-03-08-JFK-MCO"}, FlightPublication,
        ("websocket", "events"),
        "One leg; a stream with recovery by offset, the first reply carries the newest state",
    ),
    Described(
        "board", "board:{iata}:{movement}", {"iata": "JFK", "movement": "departures"}, LegState,
        ("websocket", "events"),
        "The movements of an airport; a map by leg key (`type` 1). `removed` with data null "
        "takes a row off",
    ),
    Described(
        "status", "status:{iata}", {"iata": "JFK"}, StatusReport,
        ("websocket",),
        "How fresh an airport is, and board time; without offset, not recoverable",
    ),
)  # fmt: skip


def document(version: str) -> dict[str, Any]:
    """The whole document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Gatecast channels",
            "version": version,
            "description": "Centrifugo client protocol (JSON) over WebSocket, and event streams.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": {each.name: _channel(each) for each in CHANNELS},
        "operations": {f"receive_{each.name}": _operation(each) for each in CHANNELS},
        "components": {
            "messages": {each.name: _message(each) for each in CHANNELS},
            "schemas": _schemas([each.payload for each in CHANNELS]),
        },
    }


def _servers() -> dict[str, Any]:
    host = {"host": "{host}", "variables": {"host": {"default": "127.0.0.1:8000"}}}
    return {
        "websocket": {
            **host,
            "protocol": "ws",
            "pathname": "/connection/websocket",
            "description": "Subscribe to any channel by its address. wss behind TLS.",
        },
        "events": {
            **host,
            "protocol": "http",
            "pathname": "/sse",
            "description": "text/event-stream: /sse/flights/{leg_key} and "
            "/sse/boards/{iata}/{movement}; both carry the airport's status too. "
            "Last-Event-ID resumes.",
        },
    }


def _channel(channel: Described) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        name: {"examples": [value]} for name, value in channel.examples.items()
    }
    if "movement" in parameters:
        parameters["movement"]["enum"] = ["departures", "arrivals"]
    return {
        "address": channel.address,
        "summary": channel.summary,
        "servers": [{"$ref": f"#/servers/{name}"} for name in channel.servers],
        "parameters": parameters,
        "messages": {channel.name: {"$ref": f"#/components/messages/{channel.name}"}},
    }


def _operation(channel: Described) -> dict[str, Any]:
    """Seen from a client, who only ever receives."""
    return {
        "action": "receive",
        "summary": channel.summary,
        "channel": {"$ref": f"#/channels/{channel.name}"},
        "messages": [{"$ref": f"#/channels/{channel.name}/messages/{channel.name}"}],
    }


def _message(channel: Described) -> dict[str, Any]:
    return {
        "name": channel.payload.__name__,
        "title": f"`data` of a publication on {channel.name}:",
        "contentType": "application/json",
        "payload": {"$ref": REFERENCE.format(name=channel.payload.__name__)},
    }


def _schemas(payloads: Sequence[type]) -> dict[str, Any]:
    _, components = msgspec.json.schema_components(payloads, ref_template=REFERENCE)
    return components
