"""Real RabbitMQ nodes on loopback, alone or as a cluster, without the Debian service."""

import asyncio
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.ports import free_port
from tests.support.process import Child
from tests.support.wait import until

HOST = "127.0.0.1"
INSTALLED = Path("/usr/lib/rabbitmq/lib")
READY_WITHIN = 90.0
STOP_WITHIN = 60.0
CTL_WITHIN = 60.0
PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"
METHOD_FRAME = b"\x01"
LOOPBACK_ONLY = "-kernel inet_dist_use_interface {127,0,0,1}"
QUIET_SCHEDULERS = "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none"


class Epmd:
    """The Erlang port mapper of one cluster, and the cookie and home folder its nodes share."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="rabbit-"))
        self.port = free_port()
        self._child = Child(
            ["epmd", "-address", HOST, "-port", str(self.port)],
            output_file=self.home / "epmd.log",
        )
        self._users = 0
        cookie = self.home / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(16))
        cookie.chmod(0o400)

    def acquire(self) -> None:
        """Run for one more node."""
        if self._users == 0:
            self._child.start()
        self._users += 1

    def release(self) -> None:
        """End with the last node and remove the folder."""
        self._users -= 1
        if self._users == 0:
            self._child.remove()
            shutil.rmtree(self.home, ignore_errors=True)


class RabbitNode:
    """One RabbitMQ node with its folder; `peer` puts it within reach of that node's cluster."""

    def __init__(
        self,
        *,
        peer: "RabbitNode | None" = None,
        plugins: Sequence[str] = (),
        configuration: Sequence[str] = (),
    ) -> None:
        self._epmd: Epmd = peer._epmd if peer else Epmd()
        self.port = free_port()
        self._dist_port = free_port()
        self.name = f"gatecast{self.port}@localhost"
        self._folder = self._epmd.home / self.name
        self._folder.mkdir()
        (self._folder / "enabled_plugins").write_text(f"[{','.join(plugins)}].\n")
        lines = (
            f"listeners.tcp.local = {HOST}:{self.port}",
            "disk_free_limit.absolute = 100MB",
            "vm_memory_high_watermark.absolute = 1GB",
            *configuration,
        )
        (self._folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
        self._scripts = _scripts()
        self._child = Child(
            [self._scripts / "rabbitmq-server"],
            environment=self._environment(),
            output_file=self._folder / "console.log",
        )
        self._epmd.acquire()

    @property
    def url(self) -> str:
        """The AMQP address."""
        return f"amqp://guest:guest@{HOST}:{self.port}/%2F"

    @property
    def pid(self) -> int:
        """The process id of the Erlang machine."""
        return self._child.pid

    def output(self) -> str:
        """What the node printed since its last start."""
        return self._child.output()

    async def start(self) -> None:
        """Start it, return when it speaks AMQP."""
        self._child.start()
        await until(self._speaks_amqp, within=READY_WITHIN, what=f"{self.name} speaks AMQP")

    async def stop(self) -> None:
        """End it in good order; its queues stay on disk."""
        await self._child.stop(STOP_WITHIN)

    async def restart(self) -> None:
        """Stop and start it."""
        await self.stop()
        await self.start()

    def kill(self) -> None:
        """SIGKILL."""
        self._child.kill()

    def freeze(self) -> None:
        """SIGSTOP: connections stay open, nothing answers."""
        self._child.freeze()

    def thaw(self) -> None:
        """SIGCONT."""
        self._child.thaw()

    def remove(self) -> None:
        """Kill it and remove its folder; with the last node of a cluster also its epmd."""
        self._child.remove()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._epmd.release()

    async def ctl(self, *arguments: str) -> str:
        """Run rabbitmqctl against this node and return what it prints."""
        return await asyncio.to_thread(self._ctl, arguments)

    async def join(self, node: "RabbitNode") -> None:
        """Make this started node a member of the cluster of `node`, which was given as its peer."""
        await self.ctl("stop_app")
        await self.ctl("join_cluster", node.name)
        await self.ctl("start_app")
        await until(self._speaks_amqp, within=READY_WITHIN, what=f"{self.name} speaks AMQP")

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            self.remove()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.remove()

    def _environment(self) -> dict[str, str]:
        return {
            "HOME": str(self._epmd.home),
            "ERL_EPMD_ADDRESS": HOST,
            "ERL_EPMD_PORT": str(self._epmd.port),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_NODE_IP_ADDRESS": HOST,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_MNESIA_BASE": str(self._folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self._folder / "log"),
            "RABBITMQ_PID_FILE": str(self._folder / "pid"),
            "RABBITMQ_CONFIG_FILE": str(self._folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "enabled_plugins"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self._folder / "generated"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{LOOPBACK_ONLY} {QUIET_SCHEDULERS}",
            "RABBITMQ_CTL_ERL_ARGS": LOOPBACK_ONLY,
            # Makes the start script `exec` the Erlang machine, so that our child is the node.
            "detached": "1",
        }

    async def _speaks_amqp(self) -> bool:
        if self._child.exit_code is not None:
            raise AssertionError(f"{self.name} ended at start:\n{self.output()[-3000:]}")
        try:
            reader, writer = await asyncio.open_connection(HOST, self.port)
        except OSError:
            return False
        try:
            writer.write(PROTOCOL_HEADER)
            return await asyncio.wait_for(reader.read(1), 5.0) == METHOD_FRAME
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()

    def _ctl(self, arguments: Sequence[str]) -> str:
        answer = subprocess.run(
            [self._scripts / "rabbitmqctl", "-q", *arguments],
            env={**os.environ, **self._environment()},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CTL_WITHIN,
        )
        if answer.returncode != 0:
            raise AssertionError(f"rabbitmqctl {arguments}: {answer.stdout}{answer.stderr}")
        return answer.stdout


def _scripts() -> Path:
    versions = sorted(INSTALLED.glob("rabbitmq_server-*/sbin"))
    if not versions:
        raise RuntimeError("rabbitmq-server is not installed: run deploy/setup.sh test")
    return versions[-1]
