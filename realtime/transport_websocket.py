"""The WebSocket endpoint: Origin, handshake, one reader and one writer a socket."""

import asyncio
from urllib.parse import urlsplit

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from realtime.client import Client, Shared
from realtime.errors import SLOW, Disconnected
from realtime.outbox import Outbox, Session

MAX_FRAME = 64 * 1024


class Sockets:
    """The connected clients of a node, on whatever transport, for keepalive and the drain."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.clients: dict[Session, Outbox] = {}

    async def keep_alive(self) -> None:
        """One task for all: pings, and an end for those whose time is over."""
        while True:
            await asyncio.sleep(min(1.0, self.shared.settings.ping_interval / 4))
            now = self.shared.monotonic()
            for client, outbox in list(self.clients.items()):
                over = client.tick(now)
                if over is not None:
                    outbox.disconnect(over)

    async def endpoint(self, socket: WebSocket) -> None:
        """Serve one client until either side ends it."""
        if not origin_allowed(socket, self.shared.settings.allowed_origins):
            await socket.close(4403, "origin not allowed")
            return
        subprotocol = "centrifuge-json" if "centrifuge-json" in socket["subprotocols"] else None
        await socket.accept(subprotocol)
        outbox = Outbox(traffic=self.shared.traffic)
        client = Client(outbox, self.shared)
        self.clients[client] = outbox
        stall = self.shared.settings.stall_timeout
        writer = asyncio.create_task(write(socket, outbox, stall), name=f"write {client.id}")
        reader = asyncio.create_task(read(socket, client, outbox), name=f"read {client.id}")
        try:
            await asyncio.wait((writer, reader), return_when=asyncio.FIRST_COMPLETED)
            if reader.done() and outbox.ended is not None:
                await asyncio.wait((writer,), timeout=1.0)
        finally:
            client.leave()
            del self.clients[client]
            self.shared.traffic.closed(outbox.ended)
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
