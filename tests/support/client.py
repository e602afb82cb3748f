"""A small client of the protocol, for what the SDKs hide."""

import asyncio
import json
from collections import deque
from types import TracebackType
from typing import Any, Self

import websockets
from websockets.asyncio.client import ClientConnection

WITHIN = 10.0


class RawClient:
    """Sends commands as dictionaries and keeps what comes, replies and pushes apart."""

    def __init__(self, url: str, **options: Any) -> None:
        self._url = url
        self._options = options
        self._socket: ClientConnection | None = None
        self._lines: deque[dict[str, Any]] = deque()
        self._ids = 0
        self.pushes: deque[dict[str, Any]] = deque()

    @property
    def socket(self) -> ClientConnection:
        assert self._socket is not None
        return self._socket

    async def open(self) -> Self:
        self._socket = await websockets.connect(self._url, **self._options)
        return self

    async def close(self) -> None:
        await self.socket.close()

    async def command(self, method: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The reply to one command."""
        self._ids += 1
        await self.socket.send(json.dumps({"id": self._ids, method: body or {}}))
        return await self.reply(self._ids)

    async def connect(self, token: str = "") -> dict[str, Any]:
        """The result of connect."""
        reply = await self.command("connect", {"token": token} if token else {})
        result: dict[str, Any] = reply["connect"]
        return result

    async def subscribe(self, channel: str, **request: Any) -> dict[str, Any]:
        """The result of subscribe; a map subscription for boards."""
        kind = {"type": 1, "phase": 2} if channel.startswith("board:") else {}
        reply = await self.command("subscribe", {"channel": channel} | kind | request)
        result: dict[str, Any] = reply["subscribe"]
        return result

    async def reply(self, command_id: int) -> dict[str, Any]:
        async with asyncio.timeout(WITHIN):
            while True:
                line = await self.line()
                if line.get("id") == command_id:
                    return line
                self._keep(line)

    async def push(self, channel: str) -> dict[str, Any]:
        """The next push of this channel: {"pub": …} or {"unsubscribe": …}."""
        async with asyncio.timeout(WITHIN):
            while True:
                for each in list(self.pushes):
                    if each["channel"] == channel:
                        self.pushes.remove(each)
                        return each
                self._keep(await self.line())

    async def closed(self) -> tuple[int, str]:
        """Code and reason with which the server ended it."""
        async with asyncio.timeout(WITHIN):
            await self.socket.wait_closed()
        return self.socket.close_code or 0, self.socket.close_reason or ""

    async def line(self) -> dict[str, Any]:
        while not self._lines:
            frame = await self.socket.recv()
            text = frame if isinstance(frame, str) else frame.decode()
            self._lines.extend(json.loads(line) for line in text.split("\n"))
        return self._lines.popleft()

    def _keep(self, line: dict[str, Any]) -> None:
        if "push" in line:
            self.pushes.append(line["push"])

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.close()
