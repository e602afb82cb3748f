"""The WebSocket endpoint: Origin, handshake, then a detached connection.

Behind a server that cannot detach, one reader and one writer task serve a socket over plain ASGI.
"""

import asyncio
import contextlib
from urllib.parse import urlsplit

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from realtime.audience import DIRECT, ENCRYPTED, WAITING, Sink
from realtime.client import Client, Shared
from realtime.connection import Connection
from realtime.detach import EXTENSION
from realtime.errors import SLOW, Disconnected
from realtime.outbox import Outbox
from realtime.wheel import Session, Wheel

LOOKS_A_TURN = 256


class Sockets:
    """The connected clients of a node, on whatever transport, for keepalive and the drain."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.clients: dict[Session, Sink] = {}
        self.traffic = shared.traffic
        self.beats = 0
        self._wheel = Wheel(min(1.0, shared.settings.ping_interval / 4))
        self._ending: dict[Connection, float] = {}
        self._slow: dict[Connection, tuple[int, float]] = {}  # bytes that waited, since when
        self._throttled: list[Connection] = []
        self._left = asyncio.Event()

    def add(self, session: Session, sink: Sink) -> None:
        """Keep account of it, and look after it when it is due."""
        self.clients[session] = sink
        self._wheel.add(session)

    def remove(self, session: Session) -> None:
        """It is gone."""
        if self.clients.pop(session, None) is not None:
            self._wheel.remove(session)

    async def keep_alive(self) -> None:
        """One task for all: pings, and an end for those whose time is over."""
        while True:
            await asyncio.sleep(self._wheel.step)
            now = self.shared.monotonic()
            for count, session in enumerate(self._wheel.turn(now)):
                self._look_at(session, now)
                if count % LOOKS_A_TURN == LOOKS_A_TURN - 1:
                    await asyncio.sleep(0)
            self._beat(now)

    def _look_at(self, session: Session, now: float) -> None:
        sink = self.clients.get(session)
        if sink is None:
            return
        over = session.tick(now)
        if over is not None:
            sink.disconnect(over)
        if session in self.clients:
            self._wheel.add(session)

    async def gone(self, within: float) -> None:
        """Wait for detached sockets that were told to leave, then cut those that did not."""
        if self._ending:
            self._left.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._left.wait(), within)
        for connection in self._open():
            connection.abort()

    async def endpoint(self, socket: WebSocket) -> None:
        """Serve one client, or hand its socket over and return."""
        if not origin_allowed(socket, self.shared.settings.allowed_origins):
            await socket.close(4403, "origin not allowed")
            return
        subprotocol = "centrifuge-json" if "centrifuge-json" in socket["subprotocols"] else None
        if EXTENSION in socket.scope.get("extensions", {}):
            await self._detach(socket, subprotocol)
        else:
            await self._serve(socket, subprotocol)

    # Detached ------------------------------------------------------------------------------------

    async def _detach(self, socket: WebSocket, subprotocol: str | None) -> None:
        connection = Connection(self)
        connection.peer = Client(connection, self.shared)
        accept = {"type": "websocket.accept", "subprotocol": subprotocol, EXTENSION: connection}
        try:
            await socket.receive()
            await socket.send(accept)
        except WebSocketDisconnect:
            return

    def opened(self, connection: Connection) -> None:
        self.add(connection.peer, connection)

    def throttled(self, connection: Connection) -> None:
        self._throttled.append(connection)

    def closing(self, connection: Connection, within: float) -> None:
        self._forget(connection)
        self._ending[connection] = self.shared.monotonic() + within

    def slowed(self, connection: Connection) -> None:
        waiting = connection.transport.get_write_buffer_size()
        self._slow[connection] = waiting, self.shared.monotonic()
        self.shared.hub.change_lane(connection, connection.peer.channels, WAITING)

    def drained(self, connection: Connection) -> None:
        self._slow.pop(connection, None)
        lane = DIRECT if connection.descriptor >= 0 else ENCRYPTED
        self.shared.hub.change_lane(connection, connection.peer.channels, lane)

    def lost(self, connection: Connection) -> None:
        self._forget(connection)
        self._ending.pop(connection, None)
        self.traffic.closed(connection.code)
        if not self._ending:
            self._left.set()

    def _forget(self, connection: Connection) -> None:
        self.remove(connection.peer)
        self._slow.pop(connection, None)

    def _open(self) -> list[Connection]:
        living = [each for each in self.clients.values() if isinstance(each, Connection)]
        return [*living, *self._ending]

    def _beat(self, now: float) -> None:
        """Let throttled ones read on, leave those that take nothing, cut those that do not end."""
        self.beats += 1
        throttled, self._throttled = self._throttled, []
        for connection in throttled:
            connection.go_on()
        for connection, (waited, since) in list(self._slow.items()):
            waiting = connection.transport.get_write_buffer_size()
            if waiting < waited:
                self._slow[connection] = waiting, now
            elif now - since >= self.shared.settings.stall_timeout:
                connection.disconnect(SLOW)
        for connection in [each for each, end in self._ending.items() if now >= end]:
            connection.abort()

    # Plain ASGI ----------------------------------------------------------------------------------

    async def _serve(self, socket: WebSocket, subprotocol: str | None) -> None:
        await socket.accept(subprotocol)
        outbox = Outbox(traffic=self.shared.traffic)
        client = Client(outbox, self.shared)
        self.add(client, outbox)
        stall = self.shared.settings.stall_timeout
        writer = asyncio.create_task(write(socket, outbox, stall), name=f"write {client.id}")
        reader = asyncio.create_task(read(socket, client, outbox), name=f"read {client.id}")
        try:
            await asyncio.wait((writer, reader), return_when=asyncio.FIRST_COMPLETED)
            if reader.done() and outbox.ended is not None:
                await asyncio.wait((writer,), timeout=1.0)
        finally:
            client.leave()
            self.remove(client)
            self.shared.traffic.closed(outbox.code)
            reader.cancel()
            writer.cancel()
            for ended in await asyncio.gather(reader, writer, return_exceptions=True):
                if isinstance(ended, Exception):
                    structlog.get_logger().error("socket failed", exc_info=ended)


async def read(socket: WebSocket, client: Client, outbox: Outbox) -> None:
    """Obey what the client sends; protocol errors end it with their code."""
    try:
        while outbox.ended is None:
            received = await socket.receive()
            if received["type"] == "websocket.disconnect":
                return
            frame = received.get("text") or received.get("bytes") or ""
            await client.receive(frame)
            await outbox.drained()
    except Disconnected as disconnected:
        outbox.disconnect(disconnected.disconnect)


async def write(socket: WebSocket, outbox: Outbox, stall_timeout: float) -> None:
    """Send what waits; a socket that takes nothing for so long is left and may come back."""
    try:
        while True:
            frame = await outbox.take()
            if frame:
                async with asyncio.timeout(stall_timeout):
                    await socket.send({"type": "websocket.send", "text": frame.decode()})
            if outbox.ended is not None:
                await socket.close(outbox.ended.code, outbox.ended.reason)
                return
    except TimeoutError:
        outbox.disconnect(SLOW)
    except WebSocketDisconnect:
        return


def origin_allowed(socket: WebSocket, allowed: str) -> bool:
    """No cookie authenticates a socket, so an absent Origin is fine; a present one must be ours."""
    origin = socket.headers.get("origin")
    if origin is None:
        return True
    if origin in {each.strip().rstrip("/") for each in allowed.split(",") if each.strip()}:
        return True
    return bool(origin) and urlsplit(origin).netloc == socket.headers.get("host", "")
