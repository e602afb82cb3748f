"""What Starlette's documentation shows: every subscriber is sent to, one after the other.

`python -m bench.stock <port>`; publications come to port + 1 as lines.
"""

import asyncio
import sys

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from api.serving import listen
from realtime.settings import Settings


class Stock:
    """The subscribers of one channel."""

    def __init__(self) -> None:
        self.sockets: set[WebSocket] = set()

    async def endpoint(self, socket: WebSocket) -> None:
        """Hold one subscriber."""
        await socket.accept()
        self.sockets.add(socket)
        try:
            while True:
                await socket.receive_text()
        except WebSocketDisconnect:
            self.sockets.discard(socket)

    async def publish(self, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        """Each line to everybody."""
        while line := await reader.readline():
            text = line.decode().rstrip("\n")
            for socket in list(self.sockets):
                await socket.send_text(text)


async def serve(port: int) -> None:
    """Until it is killed."""
    stock = Stock()
    app = Starlette(routes=[WebSocketRoute("/", stock.endpoint)])
    config = uvicorn.Config(
        app,
        ws="websockets-sansio",
        lifespan="off",
        log_config=None,
        access_log=False,
        ws_per_message_deflate=False,
    )
    async with await asyncio.start_server(stock.publish, "127.0.0.1", port + 1):
        await uvicorn.Server(config).serve([listen(Settings(port=port))])


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1])))
