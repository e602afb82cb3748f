"""A small client of the protocol, for what the SDKs hide."""

import asyncio
from typing import Any

from api.wire import Wire

WITHIN = 10.0


class RawClient(Wire):
    """The product's connection with what only tests ask of it."""

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
