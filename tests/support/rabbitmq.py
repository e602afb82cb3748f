"""Real RabbitMQ nodes on loopback, alone or as a cluster, without the Debian service."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.rabbitmq import HOST, RabbitSetup, epmd_command, rabbitmq_scripts
from tests.support.certificate import CertificateFiles
from tests.support.ports import free_port
from tests.support.process import Child
from tests.support.wait import until

READY_WITHIN = 90.0
STOP_WITHIN = 60.0
CTL_WITHIN = 120.0
LIMITS = ("disk_free_limit.absolute = 100MB", "vm_memory_high_watermark.absolute = 1GB")


CUT_OFF = """spawn(fun() -> Cookie = erlang:get_cookie(), erlang:set_cookie(node(), cut_off),
  [erlang:disconnect_node(Each) || Each <- nodes()], timer:sleep(%d),
  erlang:set_cookie(node(), Cookie) end), ok."""


class Epmd:
    """The Erlang port mapper of one cluster, and the home folder that its nodes share."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="rabbit-"))
        self.port = free_port()
        self._child = Child(epmd_command(self.port), output_file=self.home / "epmd.log")
        self._users = 0

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


def tls_listener(port: int, files: CertificateFiles) -> Sequence[str]:
    """Configuration of one more listener."""
    return (
        f"listeners.ssl.1 = {HOST}:{port}",
        f"ssl_options.certfile = {files.chain}",
        f"ssl_options.keyfile = {files.key}",
        f"ssl_options.cacertfile = {files.ca}",
    )


class RabbitNode:
    """One RabbitMQ node with its folder; `peer` puts it within reach of that node's cluster."""

    def __init__(
        self,
        *,
        peer: "RabbitNode | None" = None,
        plugins: Sequence[str] = (),
        configuration: Sequence[str] = (),
        tls: CertificateFiles | None = None,
    ) -> None:
        self.tls = tls
        self.tls_port = free_port()
        self._epmd: Epmd = peer._epmd if peer else Epmd()
        self.port = free_port()
        self.name = f"gatecast{self.port}@localhost"
        self._setup = RabbitSetup(
            self._epmd.home, self.name, self.port, free_port(), self._epmd.port
        )
        secure = () if tls is None else tls_listener(self.tls_port, tls)
        self._setup.prepare((*LIMITS, *secure, *configuration), plugins)
        self._scripts = rabbitmq_scripts()
        self._child = Child(
            [self._scripts / "rabbitmq-server"],
            environment=self._setup.environment(),
            output_file=self._setup.folder / "console.log",
        )
        self._epmd.acquire()

    @property
    def url(self) -> str:
        """The AMQP address."""
        return f"amqp://guest:guest@{HOST}:{self.port}/%2F"

    def url_of(self, user: str, vhost: str = "%2F", *, port: int = 0, scheme: str = "amqp") -> str:
        """The address for `user:password`; `port` 0 is the usual one."""
        return f"{scheme}://{user}@{HOST}:{port or self.port}/{vhost}"

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

    async def wipe(self) -> None:
        """SIGKILL, and what it had on disk is gone; it stays down."""
        self.kill()
        await asyncio.to_thread(shutil.rmtree, self._setup.folder / "mnesia")

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
        shutil.rmtree(self._setup.folder, ignore_errors=True)
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

    async def cut_off(self, seconds: float) -> None:
        """No other node reaches this one, nor it them, for so long; clients still do."""
        await self.ctl("eval", CUT_OFF % (seconds * 1000))

    async def answers(self) -> bool:
        """Whether it takes clients now."""
        return await self._setup.speaks_amqp()

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

    async def _speaks_amqp(self) -> bool:
        if self._child.exit_code is not None:
            raise AssertionError(f"{self.name} ended at start:\n{self.output()[-3000:]}")
        return await self._setup.speaks_amqp()

    def _ctl(self, arguments: Sequence[str]) -> str:
        answer = subprocess.run(
            [self._scripts / "rabbitmqctl", "-q", *arguments],
            env={**os.environ, **self._setup.environment()},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CTL_WITHIN,
        )
        if answer.returncode != 0:
            raise AssertionError(f"rabbitmqctl {arguments}: {answer.stdout}{answer.stderr}")
        return answer.stdout


@asynccontextmanager
async def rabbit_cluster() -> AsyncIterator[list[RabbitNode]]:
    """Three nodes; one that is cut off from the others pauses."""
    configuration = ["cluster_partition_handling = pause_minority"]
    async with RabbitNode(configuration=configuration) as first:
        others = [RabbitNode(peer=first, configuration=configuration) for _ in range(2)]
        async with others[0], others[1]:
            for each in others:
                await each.join(first)
            yield [first, *others]
