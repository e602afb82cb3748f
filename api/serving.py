"""The life of a process: start its parts, serve, drain on a signal, exit 0."""

import asyncio
import contextlib
import os
import random
import signal
import socket
from collections.abc import Iterator, Sequence
from typing import cast

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from api.tls import Certificate
from api.workers import Workers
from realtime.app import Readiness
from realtime.connection import MAX_FRAME
from realtime.detach import DetachingProtocol
from realtime.errors import SHUTDOWN
from realtime.guard import Guard
from realtime.settings import Settings
from realtime.transport_websocket import Sockets
from realtime.worker import Part

SEND_BUFFER = 64 * 1024
SECOND_SIGNAL = 130
LEAVE_WITHIN = 2.0


class Server(uvicorn.Server):
    """uvicorn without its own signals: ours drain first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop_listening(self) -> None:
        """No new connection; the ones that live go on."""
        for listener in self.servers:
            listener.close()


def listen(settings: Settings, setting: str = "port", *, shared: bool = False) -> socket.socket:
    """The bound socket of this port; what it accepts inherits the bounded send buffer.

    `shared`: others that are bound so get their part of the connections, drawn by the kernel.
    """
    port = getattr(settings, setting)
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    if shared:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        bound.bind((settings.host, port))
    except OSError as error:
        bound.close()
        raise OSError(
            error.errno,
            f"cannot listen on {settings.host}:{port}: {error.strerror}; "
            f"choose another with GATECAST_{setting.upper()}",
        ) from None
    bound.listen(2048)
    return bound


def listen_for(settings: Settings, workers: int) -> list[socket.socket]:
    """A socket for each of them on the one port, which nobody else may have."""
    alone = listen(settings)
    if workers == 1:
        return [alone]
    alone.close()  # it was free; those that share it would also share it with a stranger
    return [listen(settings, shared=True) for _ in range(workers)]


def server_of(
    app: Starlette,
    certificate: Certificate | None = None,
    detach: bool = False,
    guard: Guard | None = None,
) -> Server:
    """uvicorn as Gatecast needs it: the fast parsers, no compression, no logs of its own."""
    context = None if certificate is None else certificate.context
    config = uvicorn.Config(
        app,
        http="httptools" if guard is None else cast(type[asyncio.Protocol], guard),
        ws=DetachingProtocol if detach else "websockets-sansio",
        ws_max_size=MAX_FRAME,
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=2,
        backlog=2048,
        ssl_context_factory=None if context is None else lambda *_: context,
    )
    return Server(config)


class Process:
    """Parts, a server in front of them, and the signals that end both."""

    def __init__(
        self,
        settings: Settings,
        readiness: Readiness,
        parts: Sequence[tuple[str, Part]],
        app: Starlette | None = None,
        sockets: Sockets | None = None,
        operations: Sequence[BaseRoute] = (),
        workers: Workers | None = None,
    ) -> None:
        """`operations` are served on a port of their own, if the settings name one."""
        self.settings = settings
        self.readiness = readiness
        self.parts = parts
        self.certificate = None
        if app is not None or workers is not None:
            self.certificate = Certificate.of(settings)
        self.guard = Guard()
        self.server = None
        if app is not None:
            detach = settings.transport == "detached"
            self.server = server_of(app, self.certificate, detach, self.guard)
        self.operations = None
        if operations and settings.operations_port:
            self.operations = server_of(Starlette(routes=operations))
        self.sockets = sockets
        self.workers = workers
        self.stopping = asyncio.Event()

    async def run(self, bound: socket.socket | None = None) -> None:
        """Returns after a drained shutdown; the first part that fails is raised."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        if self.certificate is not None:
            loop.add_signal_handler(signal.SIGHUP, self._renew)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part.run(), name=name) for name, part in self.parts]
            if self.sockets is not None:
                keep_alive = self.sockets.keep_alive()
                tasks.append(group.create_task(keep_alive, name="keepalive"))
            operations = None
            if self.operations is not None:
                inside = listen(self.settings, "operations_port")
                operations = group.create_task(self.operations.serve([inside]), name="operations")
            serving = None
            tasks.append(group.create_task(self.guard.run(), name="guard"))
            if self.server is not None and bound is not None:
                serving = group.create_task(self.server.serve([bound]), name="server")
            await self.stopping.wait()
            await self._drain()
            for server, task in ((self.server, serving), (self.operations, operations)):
                if server is not None and task is not None:
                    server.should_exit = True
                    await task
            for task in tasks:
                task.cancel()
        structlog.get_logger().info("stopped")

    def _renew(self) -> None:
        if self.certificate is not None:
            self.certificate.renew()
        if self.workers is not None:
            self.workers.send(signal.SIGHUP)

    def _signalled(self) -> None:
        if self.stopping.is_set():
            os._exit(SECOND_SIGNAL)
        structlog.get_logger().info("stopping; a second signal stops at once")
        self.stopping.set()

    async def _drain(self) -> None:
        """Not ready, then no new connections, then clients leave one after the other."""
        self.readiness.draining = True
        if self.workers is not None:
            await self.workers.stop()
        if self.server is None:
            return
        await asyncio.sleep(self.settings.drain_delay)
        self.server.stop_listening()
        if self.sockets is None:
            return
        sinks = list(self.sockets.clients.values())
        random.shuffle(sinks)
        for sink in sinks:
            sink.disconnect(SHUTDOWN)
            await asyncio.sleep(self.settings.drain / len(sinks))
        await self.sockets.gone(within=LEAVE_WITHIN)
