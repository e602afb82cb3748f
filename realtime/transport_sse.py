"""One-way streams for EventSource and curl: a board, or a flight, with its airport's freshness.

Events: `snapshot` (everything, as a list of publications), `publication` and `removed` (one each),
`status` (freshness). `Last-Event-ID` resumes; of several publications of one seq only the last
carries an id, so that a position never lies between them.
"""

import asyncio
import random
from collections.abc import Sequence
from typing import Any, Protocol

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from realtime.audience import Sink, Slot
from realtime.channels import Channel, parse_channel, status_channel
from realtime.client import Shared, hold, subscribe
from realtime.errors import (
    FORCE_RECONNECT,
    SLOW,
    UNRECOVERABLE_POSITION,
    DisconnectCode,
    Refused,
)
from realtime.flight import parse_leg_key
from realtime.outbox import Outbox
from realtime.protocol import MAP, PHASE_STREAM, STREAM, Publication, Subscribe, encode
from realtime.traffic import Traffic
from realtime.wheel import Session

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "private, no-cache, no-store, must-revalidate, max-age=0",
    "X-Accel-Buffering": "no",
}
MAX_STREAMS = 10_000
MAX_POSITION = 128
JOIN_AGAIN = 0.5
PING: Slot = ("ping", "")

Position = tuple[str, int]


def event(name: str, body: bytes, position: str = "") -> bytes:
    """One event; JSON never holds a newline."""
    place = f"id: {position}\n" if position else ""
    return f"{place}event: {name}\ndata: ".encode() + body + b"\n\n"


def sse_frames(
    epoch: str, channel: str, publications: Sequence[Publication]
) -> list[tuple[Slot, bytes]]:
    """Events of publications in order; the last one of each offset has the id."""
    frames: list[tuple[Slot, bytes]] = []
    followers = [*publications[1:], None]
    for each, follower in zip(publications, followers, strict=False):
        if channel.startswith("status:"):
            frame = event("status", bytes(each.data))
        else:
            last = follower is None or follower.offset != each.offset
            name = "removed" if each.removed else "publication"
            frame = event(name, encode(each), f"{epoch}:{each.offset}" if last else "")
        frames.append(((channel, each.key), frame))
    return frames


def parse_position(text: str) -> Position | None:
    """`<epoch>:<offset>`; whatever else is no position."""
    epoch, _, offset = text[:MAX_POSITION].rpartition(":")
    if not epoch or not offset.isascii() or not offset.isdigit() or len(offset) > 15:
        return None
    return epoch, int(offset)


class Connected(Protocol):
    """Who keeps account of the clients of a node."""

    clients: dict[Session, Sink]

    def add(self, session: Session, sink: Sink) -> None: ...

    def remove(self, session: Session) -> None: ...


class StreamOutbox(Outbox):
    """An outbox whose owner subscribes again by itself."""

    def __init__(self, traffic: Traffic) -> None:
        super().__init__(sse_frames, b"".join, traffic)
        self.lost = asyncio.Event()

    def invalidate(self, channel: str) -> None:
        self.forget(channel)
        self.lost.set()

    def end(self, channel: str) -> None:
        self.disconnect(FORCE_RECONNECT)


class EventStream(Response):
    """One client's stream, as a response that ends when either side ends it."""

    transport = "sse"

    def __init__(
        self,
        channel: Channel,
        position: Position | None,
        shared: Shared,
        connected: Connected,
    ) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self.channel = channel
        self.position = position
        self.shared = shared
        self.connected = connected
        self.outbox = StreamOutbox(shared.traffic)
        self.bucket = 0
        self.due = shared.monotonic() + shared.settings.ping_interval * random.uniform(0.5, 1)

    def tick(self, now: float) -> DisconnectCode | None:
        """A comment keeps proxies from closing; on a quiet board it moves the position on."""
        if now >= self.due:
            self.due = now + self.shared.settings.ping_interval
            state = self.shared.hub.state
            joined = self.outbox in self.shared.hub.sinks.get(self.channel.name, ())
            frame = b": ping\n\n"
            if self.channel.kind == "board" and joined and state is not None:
                frame = f": ping\nid: {state.epoch}:{state.seq}\n\n".encode()
            self.outbox.publish([(PING, frame)])
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Follow, write and watch for the end, side by side."""
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        self.connected.add(self, self.outbox)
        name = self.channel.name
        stall = self.shared.settings.stall_timeout
        writer = asyncio.create_task(write(send, self.outbox, stall), name=f"write {name}")
        reader = asyncio.create_task(gone(receive), name=f"read {name}")
        follower = asyncio.create_task(self._follow(), name=f"follow {name}")
        try:
            tasks = (writer, reader, follower)
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.connected.remove(self)
            self.shared.traffic.closed(self.outbox.code)
            for channel in (self.channel.name, self._freshness.name):
                self.shared.hub.unsubscribe(self.outbox, channel)
            for task in (writer, reader, follower):
                task.cancel()
            for ended in await asyncio.gather(writer, reader, follower, return_exceptions=True):
                if isinstance(ended, Exception):
                    structlog.get_logger().error("stream failed", exc_info=ended)

    @property
    def _freshness(self) -> Channel:
        """Of the board's airport, or of the one that a flight leaves from."""
        subject = self.channel.subject
        airport = parse_leg_key(subject).dep if self.channel.kind == "flight" else subject
        return parse_channel(status_channel(airport))

    async def _follow(self) -> None:
        """Join, and join again whenever positions lost their meaning."""
        freshness = self._freshness
        self.outbox.reply(f"retry: {random.randint(1000, 3000)}\n\n".encode())
        first = self.shared.hub.subscribe(self.outbox, freshness, Subscribe(channel=freshness.name))
        frames = sse_frames("", freshness.name, first["publications"])
        self.outbox.publish(frames)
        while True:
            self.outbox.lost.clear()
            await self._join()
            self.position = None
            await self.outbox.lost.wait()

    async def _join(self) -> None:
        """Wait for the node to have the state, then send what is missing of it, or all."""
        while True:
            try:
                request = self._request()
                result = await subscribe(self.shared, self.outbox, self.channel, request)
                self.outbox.reply(self._first(result))
                return
            except Refused as refused:
                self.shared.traffic.refused[str(refused.error.code)] += 1
                if refused.error is UNRECOVERABLE_POSITION:
                    self.position = None
                else:
                    await asyncio.sleep(JOIN_AGAIN)

    def _request(self) -> Subscribe:
        kind = MAP if self.channel.kind == "board" else STREAM
        request = Subscribe(channel=self.channel.name, type=kind)
        if self.position is not None:
            request.recover = True
            request.epoch, request.offset = self.position
            request.phase = PHASE_STREAM if kind == MAP else 0
        return request

    def _first(self, result: dict[str, Any]) -> bytes:
        """The answer to a subscription as events."""
        if result.get("recovered"):
            frames = sse_frames(result["epoch"], self.channel.name, result["publications"])
            return b"".join(frame for _, frame in frames)
        rows = result["state"] if "state" in result else result["publications"]
        return event("snapshot", encode(rows), f"{result['epoch']}:{result['offset']}")


async def gone(receive: Receive) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def moved_to(shared: Shared, leg_key: str) -> str | None:
    """The key under which the leg goes on that had this one; None also when nobody can say."""
    try:
        await hold(shared, parse_channel(f"flight:{leg_key}"))
    except Refused:
        return None
    state = shared.hub.state
    return None if state is None or not state.ready else state.new_key(leg_key)


async def write(send: Send, outbox: Outbox, stall_timeout: float) -> None:
    """Send what waits; a reader that takes nothing for so long is left and may come back."""
    try:
        while True:
            body = await outbox.take()
            if outbox.ended is not None:
                body += f"retry: {random.randint(500, 3000)}\n\n".encode()
            async with asyncio.timeout(stall_timeout):
                more = outbox.ended is None
                await send({"type": "http.response.body", "body": body, "more_body": more})
            if not more:
                return
    except TimeoutError:
        outbox.disconnect(SLOW)


def sse_routes(shared: Shared, connected: Connected) -> list[BaseRoute]:
    """`/sse/flights/<leg key>` and `/sse/boards/<IATA>/<departures or arrivals>`."""

    def stream(name: str, request: Request) -> Response:
        try:
            channel = parse_channel(name)
        except Refused:
            raise HTTPException(404, "No flight or board has such a name.") from None
        if len(connected.clients) >= MAX_STREAMS:
            raise HTTPException(503, "Too many clients; try again.", {"Retry-After": "5"})
        given = request.headers.get("last-event-id") or request.query_params.get("last_event_id")
        return EventStream(channel, parse_position(given or ""), shared, connected)

    async def flight(request: Request) -> Response:
        key = request.path_params["leg_key"]
        moved = await moved_to(shared, key)
        if moved is not None:  # versions go on, hence a position of the old stream is one of this
            return RedirectResponse(str(request.url.replace(path=f"/sse/flights/{moved}")), 308)
        return stream(f"flight:{key}", request)

    async def board(request: Request) -> Response:
        airport, movement = request.path_params["airport"], request.path_params["movement"]
        return stream(f"board:{airport}:{movement}", request)

    return [
        Route("/sse/flights/{leg_key}", flight),
        Route("/sse/boards/{airport}/{movement}", board),
    ]
