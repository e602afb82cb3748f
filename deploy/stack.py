"""Runs the shape of production on this machine, without containers: `make stack`.

nginx ─┬─ realtime-1, realtime-2 ─┬─ RabbitMQ ── relay, notifier
       └─ api                     └─ PostgreSQL ── replay
Everything listens on loopback. The first process that ends stops the rest, loudly; so does Ctrl-C,
quietly. Logs and data of one stack lie in the folder `stack` under GATECAST_DATA_DIR.
"""

import argparse
import asyncio
import contextlib
import secrets
import shutil
import signal
import string
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import asyncpg

from api.embedded import EmbeddedPostgres
from api.postgres_binaries import EmbeddedPostgresError
from deploy.child import Child, Output
from deploy.logins import BROKER_USERS, DATABASE_LOGINS, VHOST, broker_definitions
from deploy.ports import PortTaken, choose_ports
from deploy.rabbitmq import HOST, RabbitSetup, epmd_command, rabbitmq_scripts
from realtime.settings import Settings, SettingsError, load_settings

DEPLOY = Path(__file__).resolve().parent
NAME = "stack"
NODES = ("realtime-1", "realtime-2")
READY_WITHIN = 90.0
ANSWER_WITHIN = 5.0
POLL = 0.1
SECOND_SIGNAL = 130
AIRPORT = "JFK"
FLIGHTS = f"/api/flights?airport={AIRPORT}&direction=departures"
# Clients first, then those who write, then what these need.
STOP_ORDER = (
    ("db init", "replay"),
    NODES,
    ("nginx",),
    ("api", "relay", "notifier"),
    ("rabbitmq",),
    ("epmd",),
)


class StackError(Exception):
    """The stack cannot go on; the text is one line for a person."""


class Stack:
    """All processes, in the order in which they need each other."""

    def __init__(self, settings: Settings, day: str, speed: float) -> None:
        self.settings = settings
        self.day = day
        self.speed = speed
        self.output = Output(max(len(name) for group in STOP_ORDER for name in group))
        self.folder = Path(settings.data_dir).expanduser() / NAME
        self.ports = choose_ports(settings.port)
        self.postgres = EmbeddedPostgres(self.folder / "postgres")
        self.children: dict[str, Child] = {}
        self.stopping = False
        self.killed = False
        self.broken: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def say(self, text: str) -> None:
        """A line of our own."""
        self.output.line(NAME, text)

    async def run(self) -> None:
        """Start everything, say where to look, stay."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        async with self._step("PostgreSQL"):
            await self._database()
        await asyncio.gather(self._broker(), self._schema())
        await self._gatecast()
        async with self._step("nginx"):
            await self._proxy()
            await self._until(partial(answers, self.ports.front, "/healthz"), "nginx answers")
        self._links()
        await asyncio.Event().wait()

    async def stop(self) -> bool:
        """End everything in order; whether all of it ended by itself."""
        self.stopping = True
        late: list[str] = []
        for names in STOP_ORDER:
            group = [self.children[name] for name in names if name in self.children]
            in_time = await asyncio.gather(*(child.stop() for child in group))
            late += [child.name for child, ok in zip(group, in_time, strict=True) if not ok]
        await self.postgres.stop()
        for name in late:
            self.say(f"{name} did not end when asked and was killed")
        return not late

    def kill(self) -> None:
        """End everything now, but PostgreSQL as always."""
        self.killed = True
        for child in self.children.values():
            child.kill()

    # Parts ---------------------------------------------------------------------------------------

    async def _database(self) -> None:
        await self.postgres.start()
        end = asyncio.create_task(self.postgres.wait(), name="end of PostgreSQL")
        self._watch("PostgreSQL", end)

    async def _broker(self) -> None:
        home, ports = self.folder / "rabbitmq", self.ports
        # Nothing of value is in it: changes are in the log, deliveries in the database.
        shutil.rmtree(home, ignore_errors=True)
        setup = RabbitSetup(home, "gatecast@localhost", ports.broker, ports.broker_dist, ports.epmd)
        setup.prepare(
            (
                *broker_configuration(self._definitions(home)),
                "log.console.level = warning",
            )
        )
        environment = setup.environment() | {"RABBITMQ_LOG": "warning"}
        async with self._step("RabbitMQ"):
            self._start("epmd", epmd_command(ports.epmd), environment)
            self._start("rabbitmq", [rabbitmq_scripts() / "rabbitmq-server"], environment)
            await self._until(setup.speaks_amqp, "RabbitMQ speaks AMQP")

    def _definitions(self, home: Path) -> Path:
        """One user of the broker for each kind of process; passwords of this stack."""
        home.mkdir(parents=True)
        path = home / "definitions.json"
        path.write_text(
            broker_definitions({name: self._secret(name) for name in BROKER_USERS}), "utf-8"
        )
        return path

    async def _schema(self) -> None:
        name = "db init"
        async with self._step("schema"):
            environment = {"GATECAST_DATABASE_URL": self.postgres.dsn}
            child = Child(name, gatecast("db", "init"), environment, self.output)
            self.children[name] = child
            code = await asyncio.shield(child.start())
            if code != 0:
                raise StackError(f"{name} ended with {code}")
            await self._logins()

    async def _logins(self) -> None:
        """A login of the database for each kind of process; nobody else reaches its socket."""
        connection = await asyncpg.connect(self.postgres.dsn)
        try:
            for name in DATABASE_LOGINS:
                if not await connection.fetchval(
                    "SELECT count(*) FROM pg_roles WHERE rolname = $1", name
                ):
                    await connection.execute(f"CREATE ROLE {name} LOGIN IN ROLE gatecast_{name}")
        finally:
            await connection.close()

    async def _gatecast(self) -> None:
        ports = dict(zip(("api", *NODES), (self.ports.api, *self.ports.nodes), strict=True))
        async with self._step("api, realtime × 2, relay, notifier"):
            for name, port in ports.items():
                kind = name.partition("-")[0]
                listening = self._environment(kind) | {"GATECAST_PORT": str(port)}
                self._start(name, gatecast(kind), listening)
            for name in ("relay", "notifier"):
                self._start(name, gatecast(name), self._environment(name))
            for name, port in ports.items():
                await self._until(partial(answers, port, "/readyz"), f"{name} is ready")
        async with self._step(f"replay of {self.day}"):
            replay = gatecast("replay", self.day, "--speed", str(self.speed))
            self._start("replay", replay, self._environment("replay"))
            first = partial(answers, self.ports.api, FLIGHTS, '"key":')
            await self._until(first, "the replay has begun")

    async def _proxy(self) -> None:
        folder = self.folder / "nginx"
        folder.mkdir(exist_ok=True)
        nodes = (f"server {HOST}:{port} max_fails=1 fail_timeout=1s;" for port in self.ports.nodes)
        configuration = render_proxy(
            PROXY_FOLDER=str(folder),
            PROXY_LISTEN=f"{HOST}:{self.ports.front}",
            PROXY_TLS="",
            PROXY_REALTIME=" ".join(nodes),
            PROXY_API=f"server {HOST}:{self.ports.api};",
        )
        (folder / "nginx.conf").write_text(configuration, "utf-8")
        self._start("nginx", nginx_command(folder), {})

    def _environment(self, kind: str) -> dict[str, str]:
        """Of one kind of process, which has its own login everywhere."""
        environment = {
            "GATECAST_DATABASE_URL": self.postgres.dsn.replace("//gatecast@", f"//{kind}@"),
            "GATECAST_HOST": HOST,
            "GATECAST_DRAIN": "1",
            "GATECAST_DRAIN_DELAY": "0",
        }
        if kind in BROKER_USERS:
            broker = f"{kind}:{self._secret(kind)}@{HOST}:{self.ports.broker}"
            environment["GATECAST_AMQP_URL"] = f"amqp://{broker}/{VHOST}"
        if not self.settings.secret:
            self._secret("secret")
            environment["GATECAST_SECRET_FILE"] = str(self.folder / "secret")
        if self.settings.log_format == "auto" and self.output.terminal:
            environment["GATECAST_LOG_FORMAT"] = "pretty"
        return environment

    def _secret(self, name: str) -> str:
        """A secret of this stack, made once and kept."""
        path = self.folder / name
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(32), "utf-8")
        return path.read_text("utf-8")

    def _links(self) -> None:
        base = f"http://{HOST}:{self.ports.front}"
        for text in (
            "",
            f"Departures   {base}/board/{AIRPORT}/departures",
            f"Passengers   {base}/airports/{AIRPORT}",
            f"API          {base}{FLIGHTS}",
            f"By hand      psql '{self.postgres.dsn}'",
            "Estimates, gates and belts are simulated. Ctrl-C stops; data is kept in",
            f"{self.folder}",
            "",
        ):
            self.say(text)

    # Processes -----------------------------------------------------------------------------------

    def _start(self, name: str, command: Sequence[str | Path], environment: dict[str, str]) -> None:
        child = self.children[name] = Child(name, command, environment, self.output)
        self._watch(name, child.start())

    def _watch(self, name: str, end: asyncio.Task[int]) -> None:
        def ended(_: object) -> None:
            if name == "replay" and not end.cancelled() and end.result() == 0:
                self.say("the replayed day is over")
            elif not self.stopping and not self.broken.done() and not end.cancelled():
                self.broken.set_result(f"{name} ended with {end.result()}")

        end.add_done_callback(ended)

    @contextlib.asynccontextmanager
    async def _step(self, what: str) -> AsyncIterator[None]:
        clock = asyncio.get_running_loop().time
        began = clock()
        self.say(f"starting {what}")
        yield
        self.say(f"{what}: ready after {clock() - began:.1f} s")

    async def _until(self, condition: Callable[[], Awaitable[bool]], what: str) -> None:
        try:
            async with asyncio.timeout(READY_WITHIN):
                while True:
                    if await condition():
                        return
                    await asyncio.sleep(POLL)
        except TimeoutError:
            raise StackError(f"not within {READY_WITHIN:.0f} s: {what}") from None


def gatecast(*arguments: str) -> list[str]:
    """The command line, run by this Python."""
    return [sys.executable, "-m", "api", *arguments]


def render_proxy(**values: str) -> str:
    """nginx's configuration from the template that docker-compose.yml uses, too."""
    template = (DEPLOY / "nginx.conf.template").read_text("utf-8")
    return string.Template(template).safe_substitute(values)


def broker_configuration(definitions: Path) -> list[str]:
    """The lines that docker-compose.yml uses, too, with the users of this broker."""
    text = (DEPLOY / "rabbitmq.conf").read_text("utf-8")
    return text.replace("/etc/rabbitmq/definitions.json", str(definitions)).splitlines()


def nginx_command(folder: Path) -> list[str | Path]:
    """nginx in the foreground, as our child."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    return [program, "-e", "stderr", "-c", folder / "nginx.conf", "-g", "daemon off;"]


async def answers(port: int, path: str, text: str = "") -> bool:
    """Whether there is a 200 that holds `text`."""
    request = f"GET {path} HTTP/1.0\r\nHost: {HOST}:{port}\r\n\r\n"
    try:
        async with asyncio.timeout(ANSWER_WITHIN):
            reader, writer = await asyncio.open_connection(HOST, port)
            with contextlib.closing(writer):
                writer.write(request.encode())
                answer = (await reader.read()).decode(errors="replace")
    except (OSError, TimeoutError):
        return False
    return answer.split(" ", 2)[1:2] == ["200"] and text in answer


async def supervise(settings: Settings, day: str, speed: float) -> int:
    """Run the stack until a signal (0, the second time 130) or until a part of it ends (1)."""
    loop = asyncio.get_running_loop()
    stack, signalled = Stack(settings, day, speed), asyncio.Event()

    def stop_by_signal() -> None:
        if signalled.is_set():
            stack.kill()
            return
        stack.say("stopping; a second signal stops at once")
        signalled.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop_by_signal)
    running = asyncio.create_task(stack.run(), name="stack")
    waiting = asyncio.create_task(signalled.wait(), name="signal")
    ends: list[asyncio.Future[Any]] = [running, waiting, stack.broken]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    fault = await first_fault(stack, running)
    if fault:
        stack.say(f"STOPPING: {fault}")
    waiting.cancel()
    orderly = await stack.stop()
    stack.say(f"stopped because {fault}" if fault else "stopped")
    if stack.killed:
        return SECOND_SIGNAL
    return 0 if orderly and not fault else 1


async def first_fault(stack: Stack, running: asyncio.Task[None]) -> str:
    """Why the stack cannot go on; empty: somebody stopped it."""
    running.cancel()
    try:
        await running
    except asyncio.CancelledError:
        return stack.broken.result() if stack.broken.done() else ""
    except (StackError, EmbeddedPostgresError, OSError) as error:
        return str(error)
    return ""


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Run the shape of production on this machine.")
    parser.add_argument("--speed", type=float, default=10, help="board seconds a wall second")
    parser.add_argument("--day", default="2013-03-08", help="the day to replay")
    given = parser.parse_args()
    try:
        return asyncio.run(supervise(load_settings(), given.day, given.speed))
    except (SettingsError, PortTaken) as error:
        print(f"{NAME}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
