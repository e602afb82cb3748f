"""nginx with our configuration, in front of nodes and an api."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from deploy.stack import nginx_command, render_proxy
from tests.support.certificate import CertificateFiles
from tests.support.ports import free_port
from tests.support.process import Child


class Proxy(Child):
    """The real nginx on a free port; with a certificate it speaks TLS only."""

    def __init__(
        self,
        folder: Path,
        nodes: Sequence[int],
        apis: Sequence[int],
        certificate: CertificateFiles | None = None,
    ) -> None:
        """`nodes` and `apis` are ports."""
        self.port = free_port()
        self.certificate = certificate
        listen, tls = f"127.0.0.1:{self.port}", ""
        if certificate:
            listen += " ssl"
            tls = f"ssl_certificate {certificate.chain}; ssl_certificate_key {certificate.key};"
        configuration = render_proxy(
            PROXY_FOLDER=str(folder),
            PROXY_LISTEN=listen,
            PROXY_TLS=tls,
            PROXY_REALTIME=servers(nodes),
            PROXY_API=servers(apis),
        )
        (folder / "nginx.conf").write_text(configuration, "utf-8")
        super().__init__(nginx_command(folder))

    @property
    def http(self) -> str:
        return f"http{'s' if self.certificate else ''}://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"ws{'s' if self.certificate else ''}://127.0.0.1:{self.port}/connection/websocket"

    async def ready(self, within: float = 30.0) -> None:
        """Wait until a request gets through to the api."""
        ca_file = self.certificate.ca if self.certificate else None
        await self.wait_http(f"{self.http}/healthz", within, ca_file=ca_file)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self.exit_code is None:
            await self.stop()  # its workers would outlive a kill
        await super().__aexit__(kind, error, _)


def servers(ports: Sequence[int]) -> str:
    """Of an upstream; one that refuses is left alone for a second."""
    return " ".join(f"server 127.0.0.1:{port} max_fails=1 fail_timeout=1s;" for port in ports)
