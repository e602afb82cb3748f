"""A WebSocket echo behind the server that Gatecast uses: `python -m bench.echo <port>`."""

import asyncio
import sys

import uvloop
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from api.serving import listen, server_of
from realtime.settings import Settings


async def echo(socket: WebSocket) -> None:
    """Send back what comes."""
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        return


async def serve(port: int) -> None:
    """Until it is killed."""
    app = Starlette(routes=[WebSocketRoute("/", echo)])
    await server_of(app).serve([listen(Settings(port=port))])


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1])))
