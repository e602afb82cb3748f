"""A RabbitMQ node on loopback, run by hand from Debian's package without its service."""

import asyncio
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

HOST = "127.0.0.1"
INSTALLED = Path("/usr/lib/rabbitmq/lib")
PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"
METHOD_FRAME = b"\x01"
LOOPBACK_ONLY = "-kernel inet_dist_use_interface {127,0,0,1}"
QUIET_SCHEDULERS = "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none"


class RabbitSetup(NamedTuple):
    """Folder, name and ports of a node; nodes of one cluster share `home` and `epmd_port`."""

    home: Path
    name: str
    port: int
    dist_port: int
    epmd_port: int

    @property
    def folder(self) -> Path:
        """Where everything of this node lies."""
        return self.home / self.name

    def prepare(self, configuration: Sequence[str], plugins: Sequence[str] = ()) -> None:
        """Make the folder; `configuration` is what rabbitmq.conf says besides the listener."""
        self.folder.mkdir(parents=True)
        cookie = self.home / ".erlang.cookie"
        if not cookie.exists():
            cookie.write_text(secrets.token_hex(16))
            cookie.chmod(0o400)
        (self.folder / "enabled_plugins").write_text(f"[{','.join(plugins)}].\n")
        lines = (f"listeners.tcp.local = {HOST}:{self.port}", *configuration)
        (self.folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")

    def environment(self) -> dict[str, str]:
        """What the scripts of the package have to be told."""
        return {
            "HOME": str(self.home),
            "ERL_EPMD_ADDRESS": HOST,
            "ERL_EPMD_PORT": str(self.epmd_port),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_NODE_IP_ADDRESS": HOST,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self.dist_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self.folder / "generated"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{LOOPBACK_ONLY} {QUIET_SCHEDULERS}",
            "RABBITMQ_CTL_ERL_ARGS": LOOPBACK_ONLY,
            # Makes the start script `exec` the Erlang machine, so that our child is the node.
            "detached": "1",
        }

    async def speaks_amqp(self) -> bool:
        """Whether the node answers clients."""
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


def epmd_command(port: int) -> list[str]:
    """Erlang's port mapper, which a node would otherwise start on all interfaces."""
    return ["epmd", "-address", HOST, "-port", str(port)]


def rabbitmq_scripts() -> Path:
    """The folder of rabbitmq-server and rabbitmqctl themselves, behind Debian's wrappers."""
    versions = sorted(INSTALLED.glob("rabbitmq_server-*/sbin"))
    if not versions:
        raise FileNotFoundError("rabbitmq-server is not installed: run deploy/setup.sh test")
    return versions[-1]
