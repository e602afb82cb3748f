"""A TCP proxy between any two parts; what happens to them on the way can change at any time.

The kernel acknowledges what the proxy has read, so a black hole shows to limits of the parts
themselves and not to those of TCP.
"""

import asyncio
import socket
import struct
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from urllib.parse import parse_qs, urlsplit

from tests.support.ports import free_port

HOST = "127.0.0.1"
Target = tuple[str, int] | Path
"""Host and port, or a UNIX socket."""
Way = Literal["up", "down"]
"""From client to server, and back."""

CHUNK, IN_FLIGHT = 16_384, 32
BUFFER = 65_536  # small, so that a slow way is felt at its other end
SLICES = 20  # a second, on a way with a bandwidth
RESET = struct.pack("ii", 1, 0)


class FaultProxy:
    """Listens on a free port; `target` may change, for connections to come. `latency` in seconds
    each way, `bandwidth` in bytes a second of one way; `buffer` bytes wait at each end."""

    def __init__(self, target: Target, *, buffer: int = BUFFER) -> None:
        self.target = target
        self.buffer = buffer
        self.port = free_port()
        self.latency = 0.0
        self.bandwidth: float | None = None
        self.dropping = False
        self.accepted = self.carried = 0
        self._moving = asyncio.Event()
        self._moving.set()
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._links)

    def freeze(self) -> None:
        """Connections stay, new ones are taken, and nothing moves."""
        self._moving.clear()

    def thaw(self) -> None:
        """What was held back arrives."""
        self._moving.set()

    def drop(self) -> None:
        """A black hole: what is sent vanishes, new connections are never answered."""
        self.dropping = True

    def mend(self) -> None:
        """As new; connections that lost something in a black hole are reset."""
        self.latency, self.bandwidth, self.dropping = 0.0, None, False
        for link in [each for each in self._links if each.holed]:
            link.reset()
        self._moving.set()
        if self._accepting is None:
            self._open()

    def reset(self) -> int:
        """RST to both ends of every connection; how many there were."""
        links = list(self._links)
        for link in links:
            link.reset()
        return len(links)

    def half_close(self, way: Way) -> None:
        """Whoever is at the end of this way reads the end of the stream; the other way goes on."""
        for link in self._links:
            link.end(way)

    def refuse(self) -> None:
        """New connections are refused; open ones stay."""
        if self._accepting is not None:
            self._accepting.cancel()
            self._accepting = None
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def leads(self, address: str) -> str:
        """A URL of the target (PostgreSQL over a UNIX socket included) as one through here."""
        parts = urlsplit(address)
        login, at, _ = parts.netloc.rpartition("@")
        query = "" if isinstance(self.target, Path) else parts.query
        return parts._replace(netloc=f"{login}{at}{HOST}:{self.port}", query=query).geturl()

    async def gate(self) -> None:
        """Return when bytes may move."""
        await self._moving.wait()

    async def __aenter__(self) -> Self:
        self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.refuse()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _open(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.buffer)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.buffer)
        listener.bind((HOST, self.port))
        listener.listen(1024)
        listener.setblocking(False)
        self._listener = listener
        self._accepting = asyncio.create_task(self._accept(listener), name="fault proxy")

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            near, _ = await loop.sock_accept(listener)
            self.accepted += 1
            task = asyncio.create_task(self._serve(near), name="proxied connection")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, near: socket.socket) -> None:
        far = _socket_for(self.target, self.buffer)
        link = Link(self, near, far)
        self._links.add(link)
        try:
            await self.gate()
            if self.dropping:
                await link.vanish()
            else:
                address = str(self.target) if isinstance(self.target, Path) else self.target
                await asyncio.get_running_loop().sock_connect(far, address)
                await link.carry()
        except OSError:
            link.reset()
        finally:
            self._links.discard(link)
            near.close()
            far.close()


class Link:
    """Two sockets, and what is under way between them."""

    def __init__(self, proxy: FaultProxy, near: socket.socket, far: socket.socket) -> None:
        self.proxy = proxy
        self.holed = False
        self._near = near
        self._far = far
        self._over = asyncio.Event()

    async def carry(self) -> None:
        """Both ways, until both have ended or the link was reset."""
        ways = [
            asyncio.create_task(self._way(self._near, self._far), name="up"),
            asyncio.create_task(self._way(self._far, self._near), name="down"),
        ]
        over = asyncio.create_task(self._over.wait(), name="over")
        both = asyncio.gather(*ways, return_exceptions=True)
        try:
            await asyncio.wait((both, over), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*ways, over):
                task.cancel()
            await asyncio.gather(*ways, over, return_exceptions=True)

    async def vanish(self) -> None:
        """Never answered, until it is reset."""
        self.holed = True
        await self._over.wait()

    def reset(self) -> None:
        """Gone at once, for both ends."""
        for each in (self._near, self._far):
            with suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._over.set()

    def end(self, way: Way) -> None:
        """No more bytes this way."""
        with suppress(OSError):
            (self._far if way == "up" else self._near).shutdown(socket.SHUT_WR)

    async def _way(self, source: socket.socket, sink: socket.socket) -> None:
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(IN_FLIGHT)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(source, queue), name="read")
                group.create_task(self._write(queue, sink), name="write")
        except* OSError:
            self.reset()  # as the end that failed did to us

    async def _read(
        self, source: socket.socket, queue: "asyncio.Queue[tuple[float, bytes]]"
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self.proxy.gate()
            chunk = await loop.sock_recv(source, self._slice())
            if self.proxy.dropping:
                self.holed = True
                await asyncio.sleep(0)
                if chunk:
                    continue
                await asyncio.Event().wait()  # nor does the other end learn that this one left
            await queue.put((loop.time() + self.proxy.latency, chunk))
            if not chunk:
                return

    async def _write(
        self, queue: "asyncio.Queue[tuple[float, bytes]]", sink: socket.socket
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, chunk = await queue.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            await self.proxy.gate()
            if not chunk:
                with suppress(OSError):
                    sink.shutdown(socket.SHUT_WR)
                return
            if self.proxy.dropping:
                self.holed = True
                continue
            if self.proxy.bandwidth:
                await asyncio.sleep(len(chunk) / self.proxy.bandwidth)
            await loop.sock_sendall(sink, chunk)
            self.proxy.carried += len(chunk)

    def _slice(self) -> int:
        bandwidth = self.proxy.bandwidth
        return CHUNK if not bandwidth else max(1, min(CHUNK, int(bandwidth / SLICES)))


def _socket_for(target: Target, buffer: int) -> socket.socket:
    made = socket.socket(socket.AF_UNIX if isinstance(target, Path) else socket.AF_INET)
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
    if not isinstance(target, Path):
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def postgres_socket(dsn: str) -> Path:
    """Where the PostgreSQL of this address listens."""
    query = parse_qs(urlsplit(dsn).query)
    return Path(query["host"][0]) / f".s.PGSQL.{query['port'][0]}"


def proxied_database(dsn: str) -> FaultProxy:
    """To the PostgreSQL of this address."""
    return FaultProxy(postgres_socket(dsn))


def proxied_url(url: str, *, buffer: int = BUFFER) -> FaultProxy:
    """To whoever listens at this URL."""
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    return FaultProxy((parts.hostname, parts.port), buffer=buffer)
