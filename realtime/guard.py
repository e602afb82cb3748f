"""Ends connections whose request does not come: a silent peer costs seconds, not hours."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_WITHIN, BODY_WITHIN = 10.0, 120.0
EACH = 1.0


class Guard:
    """Connections that owe a request, and until when; one task looks after all of them."""

    def __init__(self, head_within: float = HEAD_WITHIN) -> None:
        self.head_within = head_within
        self.owing: dict[GuardedHttp, float] = {}

    def __call__(self, *arguments: Any, **named: Any) -> "GuardedHttp":
        """The protocol of a new connection, as uvicorn asks for it."""
        made = GuardedHttp(*arguments, **named)
        made.guard = self
        return made

    def expect(self, connection: "GuardedHttp", within: float) -> None:
        """It is cut after so many seconds."""
        self.owing.pop(connection, None)
        self.owing[connection] = asyncio.get_running_loop().time() + within

    def settle(self, connection: "GuardedHttp") -> None:
        """It owes nothing."""
        self.owing.pop(connection, None)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(min(EACH, self.head_within / 4))
            now = asyncio.get_running_loop().time()
            for connection in [each for each, until in self.owing.items() if now >= until]:
                self.settle(connection)
                connection.transport.abort()


class GuardedHttp(HttpToolsProtocol):
    """uvicorn's, which waits for a first request without end."""

    guard: Guard

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """It owes a head."""
        super().connection_made(transport)
        self.guard.expect(self, self.guard.head_within)

    def connection_lost(self, exc: Exception | None) -> None:
        """It owes nothing any more."""
        self.guard.settle(self)
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Another head on a connection that was kept."""
        super().on_message_begin()
        self.guard.expect(self, self.guard.head_within)

    def on_headers_complete(self) -> None:
        """It owes a body."""
        super().on_headers_complete()
        self.guard.expect(self, BODY_WITHIN)

    def on_message_complete(self) -> None:
        """The request is whole."""
        super().on_message_complete()
        self.guard.settle(self)
