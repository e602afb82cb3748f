"""uvicorn's WebSocket protocol, whose socket may go on under another owner after the handshake.

An application that finds `EXTENSION` in `scope["extensions"]` may put an asyncio protocol under the
same name into its `websocket.accept`, and return: the socket is then that protocol's.
"""

import asyncio
from typing import Any

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

EXTENSION = "gatecast.detach"


class Detached(asyncio.Transport):
    """What the handshake's protocol holds instead of a transport that is not its own any more."""

    def close(self) -> None:
        """Nothing."""


class DetachingProtocol(WebSocketsSansIOProtocol):
    """Accepting and detaching are one step, so that no frame can come in between."""

    def handle_connect(self, event: Request) -> None:
        """Offer the extension to the application, which runs in a later turn."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            self.scope["extensions"][EXTENSION] = {}

    def data_received(self, data: bytes) -> None:
        """A client has to wait for the answer to its handshake."""
        if self.handshake_initiated and not self.handshake_complete:
            self.transport.abort()
        else:
            super().data_received(data)

    async def send(self, message: Any) -> None:
        """Hand the socket over right behind the accepted handshake."""
        await super().send(message)
        owner = message.get(EXTENSION)
        if owner is not None:
            self._hand_over(owner)

    def _hand_over(self, owner: asyncio.Protocol) -> None:
        transport = self.transport
        if transport.is_closing():
            raise ClientDisconnected
        self.stop_keepalive()
        self.connections.discard(self)
        self.transport = Detached()
        transport.set_protocol(owner)
        owner.connection_made(transport)
        if self.read_paused:
            transport.resume_reading()
