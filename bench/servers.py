"""The servers that are measured side by side, each in processes of its own."""

import asyncio
import itertools
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg
from msgspec import Struct

from api.database import create_schema
from tests.support.gatecast import Gatecast
from tests.support.legs import add_legs
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer
from tests.support.process import Child
from tests.support.wait import until

FOLDER = Path(__file__).resolve().parent
BUILT = Path("build/bench")
BOARD = "board:JFK:departures"
PUBLISHERS = 8
LEGS = 64
PAYLOAD = (
    '{"push":{"channel":"board:JFK:departures","pub":{"data":"' + "x" * 560 + '","offset":7}}}'
)
"""About the size of a row of a board."""


class Server(Struct):
    """One that runs: whose CPU counts, where clients go, what they say, how to publish once."""

    pid: int
    port: int
    path: str
    texts: Sequence[str]
    ready: str
    publish: Callable[[], Awaitable[None]]


def build(name: str) -> Path:
    """A program of this folder, compiled; CalledProcessError without a compiler."""
    BUILT.mkdir(parents=True, exist_ok=True)
    program = BUILT.resolve() / name
    compiler = shutil.which("cc") or "cc"
    subprocess.run([compiler, "-O2", str(FOLDER / f"{name}.c"), "-o", str(program)], check=True)
    return program


def build_native() -> None:
    """The native writer, in place, where it was not built by the installation."""
    folder = FOLDER.parent / "realtime"
    built = folder / f"_sendall{sysconfig.get_config_var('EXT_SUFFIX')}"
    flags = ["-O2", "-shared", "-fPIC", f"-I{sysconfig.get_path('include')}"]
    command = ["cc", *flags, str(folder / "_sendall.c"), "-o", str(built)]
    subprocess.run(command, check=False, capture_output=True)


def has_native() -> bool:
    """Whether the processes of this checkout find it."""
    code = "import realtime._sendall"
    return subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


@asynccontextmanager
async def by_lines(command: Callable[[int], Sequence[str | Path]]) -> AsyncIterator[Server]:
    """A program with clients at a port and publications, a line each, at the next one."""
    port = free_port()
    line = PAYLOAD.encode() + b"\n"
    async with Child(command(port)) as child:
        writer = await _connected(port + 1)

        async def publish() -> None:
            writer.write(line)

        yield Server(child.pid, port, "/", [], "", publish)
        writer.close()


async def _connected(port: int) -> asyncio.StreamWriter:
    """To a server that is about to listen."""

    async def attempt() -> asyncio.StreamWriter | None:
        try:
            return (await asyncio.open_connection("127.0.0.1", port))[1]
        except OSError:
            return None

    writer = await until(attempt, within=20, what="the server listens")
    assert writer is not None
    return writer


def floor(*arguments: str) -> AbstractAsyncContextManager[Server]:
    """One send a delivery in C; with `join`, one send for all that came at once."""
    program = build("floor")
    return by_lines(lambda port: [program, str(port), *arguments])


def stock() -> AbstractAsyncContextManager[Server]:
    """Starlette as its documentation shows it."""
    return by_lines(lambda port: [sys.executable, "-m", "bench.stock", str(port)])


def node_ws() -> AbstractAsyncContextManager[Server]:
    """Node with `ws`."""
    folder = BUILT.resolve() / "node_modules" / "ws"
    if not folder.exists():
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(BUILT), "ws@8"]
        subprocess.run(command, check=True, capture_output=True)
    script = FOLDER / "peer_ws.mjs"
    return by_lines(lambda port: ["node", script, folder, str(port)])


NCHAN = """
load_module {module};
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr crit;
events {{ worker_connections 30000; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port};
    location = / {{ nchan_subscriber websocket; nchan_channel_id c; nchan_store_messages off; }}
    location = /pub {{ nchan_publisher; nchan_channel_id c; nchan_store_messages off; }}
  }}
}}
"""


def nchan_configuration(port: int) -> Path:
    """nginx with Nchan, of Debian's package, unpacked into a folder of its own."""
    folder = BUILT.resolve() / "nchan"
    folder.mkdir(parents=True, exist_ok=True)
    if not list(folder.rglob("ngx_nchan_module.so")):
        subprocess.run(["apt-get", "download", "-q", "libnginx-mod-nchan"], cwd=folder, check=True,
                       capture_output=True)  # fmt: skip
        for package in folder.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(folder)], check=True)
    module = next(folder.rglob("ngx_nchan_module.so"))
    configuration = folder / "nginx.conf"
    configuration.write_text(NCHAN.format(module=module, folder=folder, port=port))
    return configuration


@asynccontextmanager
async def nchan() -> AsyncIterator[Server]:
    """Publications come by HTTP."""
    port = free_port()
    configuration = nchan_configuration(port)
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    async with Child([nginx, "-c", configuration, "-p", configuration.parent]) as child:
        writer = await _connected(port)
        head = f"POST /pub HTTP/1.1\r\nHost: x\r\nContent-Length: {len(PAYLOAD)}\r\n\r\n"
        request = (head + PAYLOAD).encode()

        async def publish() -> None:
            writer.write(request)

        yield Server(child.pid, port, "/", [], "", publish)
        writer.close()


@asynccontextmanager
async def gatecast(**settings: str) -> AsyncIterator[Server]:
    """A node of ours behind the change log: each publication is a commit in PostgreSQL."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(PostgresServer(create_schema))
        dsn = await stack.enter_async_context(server.database("fanout"))
        pool = await stack.enter_async_context(
            asyncpg.create_pool(dsn, min_size=PUBLISHERS, max_size=PUBLISHERS)
        )
        legs = await add_legs(pool, LEGS)
        await stack.enter_async_context(Gatecast("relay", dsn=dsn))
        quiet = {"connects_per_second": "100000", "ping_interval": "3600", **settings}
        node = await stack.enter_async_context(Gatecast("realtime", dsn=dsn, **quiet))
        await node.ready(60)

        numbers = itertools.count()  # a gate that a leg has already would be no change

        async def publish() -> None:
            number = next(numbers)
            leg_id = legs[number % len(legs)]
            await pool.execute(
                "UPDATE flight_leg SET dep_gate = $2 WHERE leg_id = $1", leg_id, f"G{number}"
            )

        subscribe = f'{{"id":2,"subscribe":{{"channel":"{BOARD}","type":1,"phase":2}}}}'
        texts = ['{"id":1,"connect":{}}\n' + subscribe]
        yield Server(node.pid, node.port, "/connection/websocket", texts, '"subscribe":', publish)


SERVERS: dict[str, Callable[[], AbstractAsyncContextManager[Server]]] = {
    "floor": floor,
    "floor-join": lambda: floor("join"),
    "gatecast": gatecast,
    "gatecast-pure": lambda: gatecast(writer="pure"),
    "gatecast-asgi": lambda: gatecast(transport="asgi"),
    "nchan": nchan,
    "node-ws": node_ws,
    "stock": stock,
}
