"""Gatecast's own processes, started as an operator starts them."""

import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.certificate import CertificateFiles
from tests.support.ports import free_port
from tests.support.process import Child

SECRET = "the secret of the tests"


class Gatecast(Child):
    """`gatecast <role>` in a process of its own, on a free port when it listens."""

    def __init__(self, role: str, *arguments: str, dsn: str = "", **settings: str) -> None:
        self.port = free_port()
        self.ca_file: Path | None = None
        environment = {
            "GATECAST_SECRET": SECRET,
            "GATECAST_PORT": str(self.port),
            "GATECAST_DRAIN": "0.2",
            "GATECAST_DRAIN_DELAY": "0",
            "GATECAST_LOG_FORMAT": "json",
        }
        named = {f"GATECAST_{name.upper()}": value for name, value in settings.items()}
        if dsn:
            named["GATECAST_DATABASE_URL"] = dsn
        self._own = {**environment, **named}
        super().__init__([sys.executable, "-m", "api", role, *arguments], environment=self._own)

    def show_certificate(self, files: CertificateFiles) -> None:
        """Speak TLS itself, before it is started."""
        self.ca_file = files.ca
        self._own["GATECAST_TLS_CERT"] = str(files.chain)
        self._own["GATECAST_TLS_KEY"] = str(files.key)

    def add_environment(self, more: Mapping[str, str]) -> None:
        """Variables of others, before it is started."""
        self._own.update(more)

    def run_in(self, folder: Path) -> None:
        """The packages of this folder instead of this checkout's, before it is started."""
        self._folder = folder

    def run_from(self, environment: Path, folder: Path) -> None:
        """The command that is installed in this environment, in this folder, before a start."""
        self._command[:3] = [str(environment / "bin" / "gatecast")]
        self._folder = folder

    @property
    def http(self) -> str:
        return f"http{self._secure}://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"ws{self._secure}://127.0.0.1:{self.port}/connection/websocket"

    @property
    def _secure(self) -> str:
        return "s" if self.ca_file else ""

    @property
    def operations(self) -> str:
        """Where it tells how it is: plain HTTP where that has a port of its own."""
        port = self._own.get("GATECAST_OPERATIONS_PORT")
        return self.http if port is None else f"http://127.0.0.1:{port}"

    async def ready(self, within: float = 30.0) -> None:
        """Wait until it may get clients."""
        await self.wait_http(f"{self.operations}/readyz", within, ca_file=self.ca_file)
