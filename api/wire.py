"""One connection of the client protocol (JSON), from the client's side."""

import asyncio
import json
from collections import deque
from types import TracebackType
from typing import Any, Self

import websockets
from websockets.asyncio.client import ClientConnection

ANSWERS_WITHIN = 10.0
PONG = "{}"


class Wire:
    """Sends commands as dictionaries and keeps what comes, replies and pushes apart."""

    def __init__(self, url: str, **options: Any) -> None:
        self._url = url
        self._options = options
        self._socket: ClientConnection | None = None
        self._lines: deque[dict[str, Any]] = deque()
        self._ids = 0
        self.pushes: deque[dict[str, Any]] = deque()
        self.unanswered_pings = 0

    @property
    def socket(self) -> ClientConnection:
        """The WebSocket below."""
        assert self._socket is not None
        return self._socket

    async def open(self) -> Self:
        """Connect the socket; the protocol's `connect` is the first command after it."""
        self._socket = await websockets.connect(self._url, **self._options)
        return self

    async def close(self) -> None:
        """Close the socket."""
        await self.socket.close()

    async def command(self, method: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The reply to one command."""
        self._ids += 1
        await self.socket.send(json.dumps({"id": self._ids, method: body or {}}))
        return await self.reply(self._ids)

    async def reply(self, command_id: int) -> dict[str, Any]:
        """The reply with this id; pushes before it are kept."""
        async with asyncio.timeout(ANSWERS_WITHIN):
            while True:
                line = await self.line()
                if line.get("id") == command_id:
                    return line
                self._keep(line)

    async def line(self) -> dict[str, Any]:
        """What came next, whatever it is; `{}` is a ping."""
        while not self._lines:
            frame = await self.socket.recv()
            text = frame if isinstance(frame, str) else frame.decode()
            self._lines.extend(json.loads(line) for line in text.split("\n"))
        line = self._lines.popleft()
        self.unanswered_pings += line == {}
        return line

    async def pong(self) -> None:
        """The answer to the pings that came, also to those among replies."""
        if self.unanswered_pings:
            self.unanswered_pings = 0
            await self.socket.send(PONG)

    def _keep(self, line: dict[str, Any]) -> None:
        if "push" in line:
            self.pushes.append(line["push"])

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.close()
