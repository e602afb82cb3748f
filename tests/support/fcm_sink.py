"""An FCM that takes every push at hardly any cost, for measurements: HTTP/2 in Rust, no scripts.

`python -m tests.support.fcm_sink`, with the options of `fcm_server`.
"""

import argparse
import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.embed import Server

HOST = "127.0.0.1"
JSON = [("content-type", "application/json")]
TOKEN = b'{"access_token":"bearer-1","expires_in":3600,"token_type":"Bearer"}'
NAMED = b'{"name":"projects/gatecast-test/messages/1"}'


class Pushed(msgspec.Struct):
    """What it reads of a push."""

    fid: str


class Body(msgspec.Struct):
    """The body of a push."""

    message: Pushed


class Sink:
    """An RSGI application; it keeps when each push came and whose it was."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.taken: list[tuple[float, str]] = []
        self.decode = msgspec.json.Decoder(Body).decode

    async def __rsgi__(self, scope: Any, proto: Any) -> None:
        """Answer one request."""
        path = scope.path
        if path.endswith("/messages:send"):
            self.taken.append((time.time(), self.decode(await proto()).message.fid))
            if self.delay:
                await asyncio.sleep(self.delay)
            proto.response_bytes(200, JSON, NAMED)
        elif path == "/token":
            proto.response_bytes(200, JSON, TOKEN)
        elif path == "/control/cpu":
            proto.response_bytes(200, JSON, msgspec.json.encode(time.process_time()))
        elif path == "/control/requests":
            requests = [{"at": at, "target": fid, "status": 200} for at, fid in self.taken]
            proto.response_bytes(200, JSON, msgspec.json.encode(requests))
        else:
            proto.response_empty(404, [])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--cert", type=Path, required=True)
    parser.add_argument("--delay", type=float, default=0.0)
    options, _ = parser.parse_known_args()
    server = Server(
        Sink(options.delay),
        HOST,
        options.port,
        interface=Interfaces.RSGI,
        websockets=False,
        log_level=LogLevels.warning,
        ssl_cert=options.cert,
        ssl_key=options.cert,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve())


if __name__ == "__main__":
    main()
