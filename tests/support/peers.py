"""Detached connections over loopback without a handshake, and a peer that says what it hears."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from msgspec import Raw
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.frames import Frame, Opcode

from api.serving import listen, server_of
from realtime.client import Client, Shared
from realtime.connection import Connection
from realtime.errors import DisconnectCode
from realtime.frames import BINARY, TEXT
from realtime.guard import Guard
from realtime.hub import Hub
from realtime.settings import Settings
from realtime.tokens import Tokens
from realtime.transport_websocket import Sockets
from tests.support.ports import free_port
from tests.support.wait import until

WITHIN = 10.0


class Echo:
    """Answers each message with itself."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.transport = "echo"
        self.channels: set[str] = set()
        self.due = float("inf")
        self.bucket = 0

    def obey(self, frame: bytes | str) -> Coroutine[Any, Any, None] | None:
        if isinstance(frame, str):
            self.connection.send(frame.encode(), TEXT)
        else:
            self.connection.send(frame, BINARY)
        return None

    def tick(self, _: float) -> DisconnectCode | None:
        return None

    def leave(self) -> None:
        """Nothing was joined."""


def sockets_of(**settings: Any) -> Sockets:
    """A registry that beats, without a node behind it."""

    async def settle(account_id: str, epoch: str, attentive: bool, legs: dict[str, int]) -> int:
        return 0

    async def load_leg(leg_key: str) -> None:
        return None

    made = Settings(**settings)
    clock = asyncio.get_running_loop().time
    hub = Hub(lambda _: Raw(b"{}"))
    return Sockets(Shared(hub, Tokens("a secret"), settle, made, clock, load_leg))


class Line:
    """The client's end: raw frames out, parsed frames in."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(
        self, opcode: Opcode, payload: bytes = b"", fin: bool = True, **bits: bool
    ) -> None:
        """One masked frame."""
        self.writer.write(Frame(opcode, payload, fin, **bits).serialize(mask=True))
        await self.writer.drain()

    async def next(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame."""
        async with asyncio.timeout(WITHIN):
            first, size = await self.reader.readexactly(2)
            for marker, length in ((126, 2), (127, 8)):
                if size == marker:
                    size = int.from_bytes(await self.reader.readexactly(length), "big")
                    break
            return first & 0x0F, await self.reader.readexactly(size)

    async def code(self) -> int:
        """The code with which the server closes, after whatever comes before."""
        while True:
            opcode, payload = await self.next()
            if opcode == Opcode.CLOSE:
                return int.from_bytes(payload[:2], "big") if payload else 1005

    async def ended(self) -> bool:
        """Whether the server ends the connection, soon, with what was left to read."""
        async with asyncio.timeout(WITHIN):
            try:
                while await self.reader.read(65536):
                    pass
            except ConnectionError:
                pass
        return True


class Lines:
    """A listening socket whose connections begin right behind the handshake."""

    def __init__(self, sockets: Sockets, port: int) -> None:
        self.sockets = sockets
        self.port = port
        self.connections: list[Connection] = []
        self.accepted: asyncio.Queue[Connection] = asyncio.Queue()
        self._lines: list[Line] = []

    async def open(self, **options: Any) -> Line:
        """One more, in the order of `connections`."""
        line = Line(*await asyncio.open_connection("127.0.0.1", self.port, **options))
        self._lines.append(line)
        self.connections.append(await self.accepted.get())
        return line

    async def close(self) -> None:
        """All of them, from the client's side."""
        for line in self._lines:
            line.writer.transport.abort()
        closed = [line.writer.wait_closed() for line in self._lines]
        await asyncio.gather(*closed, return_exceptions=True)


@asynccontextmanager
async def lines(*, clients: bool = False, **settings: Any) -> AsyncIterator[Lines]:
    """Echoing connections of a registry that beats; with `clients` they speak our protocol."""
    sockets = sockets_of(**settings)
    loop = asyncio.get_running_loop()
    opened = Lines(sockets, 0)

    def accept() -> Connection:
        connection = Connection(sockets)
        connection.peer = Client(connection, sockets.shared) if clients else Echo(connection)
        opened.accepted.put_nowait(connection)
        return connection

    server = await loop.create_server(accept, "127.0.0.1", 0)
    opened.port = server.sockets[0].getsockname()[1]
    beating = asyncio.create_task(sockets.keep_alive(), name="beats under test")
    try:
        yield opened
    finally:
        server.close()
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
        await sockets.gone(0)
        await opened.close()


@asynccontextmanager
async def guarded(head_within: float) -> AsyncIterator[tuple[int, Guard]]:
    """A server that says ok, and ends who does not ask."""

    async def ok(_: Request) -> Response:
        return PlainTextResponse("ok")

    async def say_ok(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("ok")

    guard = Guard(head_within)
    settings = Settings(port=free_port())
    routes = [Route("/", ok), WebSocketRoute("/socket", say_ok)]
    server = server_of(Starlette(routes=routes), guard=guard)
    tasks = [
        asyncio.create_task(server.serve([listen(settings)]), name="server under test"),
        asyncio.create_task(guard.run(), name="guard under test"),
    ]
    try:
        await until(lambda: server.started, within=10, what="it listens")
        yield settings.port, guard
    finally:
        server.should_exit = True
        await tasks[0]
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
