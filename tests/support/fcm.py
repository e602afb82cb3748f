"""A double of the FCM HTTP v1 service for the real SDK: TLS, HTTP/2, OAuth, scripted answers."""

import json
import os
import shutil
import ssl
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import httpx2
import msgspec
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from tests.support.fcm_server import HOST, UNLIMITED, Step
from tests.support.ports import free_port
from tests.support.process import Child

PROJECT = "gatecast-test"
REPOSITORY = Path(__file__).parents[2]

Json = dict[str, Any]


class FcmDouble:
    """The double in a process of its own, with its certificates and service account."""

    def __init__(
        self, *, delay: float = 0.0, requests_per_connection: int = UNLIMITED, cheap: bool = False
    ) -> None:
        """`cheap`: it takes everything and costs little, for measurements."""
        self._folder = Path(tempfile.mkdtemp(prefix="fcm-"))
        port = free_port()
        control_port = port if cheap else free_port()
        self.base_url = f"https://{HOST}:{port}"
        self.control_url = f"https://{HOST}:{control_port}"
        self.ca_file = self._folder / "ca.pem"
        self.service_account = _service_account(f"{self.control_url}/token")
        (self._folder / "account.json").write_text(json.dumps(self.service_account))
        authority = trustme.CA()
        certificate = authority.issue_cert(HOST)
        authority.cert_pem.write_to_path(self.ca_file)
        certificate.private_key_and_cert_chain_pem.write_to_path(self._folder / "server.pem")
        server = "tests.support.fcm_sink" if cheap else "tests.support.fcm_server"
        command = [sys.executable, "-m", server, "--port", str(port)]
        command += ["--control-port", str(control_port)]
        command += ["--cert", str(self._folder / "server.pem")]
        command += ["--account", str(self._folder / "account.json"), "--delay", str(delay)]
        command += ["--requests-per-connection", str(requests_per_connection)]
        output = self._folder / "output.log"
        self._child = Child(command, folder=REPOSITORY, output_file=output)
        self._before: dict[str, str | None] = {}

    @property
    def environment(self) -> dict[str, str]:
        """What makes the SDK's two HTTP clients trust the double."""
        return {"SSL_CERT_FILE": str(self.ca_file), "REQUESTS_CA_BUNDLE": str(self.ca_file)}

    @property
    def send_url(self) -> str:
        """Where messages go."""
        return f"{self.base_url}/v1/projects/{PROJECT}/messages:send"

    async def start(self) -> None:
        """Start it, return when it answers."""
        self._child.start()
        await self._child.wait_http(f"{self.control_url}/control/cpu", ca_file=self.ca_file)

    def stop(self) -> None:
        """End it and remove its files."""
        self._child.remove()
        shutil.rmtree(self._folder, ignore_errors=True)

    def freeze(self) -> None:
        """Keep connections open and answer nothing."""
        self._child.freeze()

    def thaw(self) -> None:
        """Go on."""
        self._child.thaw()

    async def accepted(self) -> list[Json]:
        """Every accepted message in order."""
        return cast("list[Json]", await self._control("GET", "accepted"))

    async def requests(self) -> list[Json]:
        """Every request to send in order."""
        return cast("list[Json]", await self._control("GET", "requests"))

    async def cpu(self) -> float:
        """Seconds of CPU that it has used."""
        return cast("float", await self._control("GET", "cpu"))

    async def force(self, word: str, **how: Any) -> None:
        """Answer every target by `word`, for an outage; the empty word ends it."""
        step = Step(word, **how) if word else None
        await self._control("POST", "force", msgspec.json.encode(step))

    async def script(self, steps: Sequence[Step], target: str = "") -> None:
        """The next answers for this target, or for whichever is next; then as usual."""
        await self._control("POST", f"script?target={target}", msgspec.json.encode(steps))

    async def reset(self) -> None:
        """Forget everything."""
        await self._control("POST", "reset")

    async def __aenter__(self) -> Self:
        """Started, and trusted by SDKs of this process for as long as it runs."""
        try:
            await self.start()
        except BaseException:
            self.stop()
            raise
        self._before = {name: os.environ.get(name) for name in self.environment}
        os.environ.update(self.environment)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        for name, value in self._before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
        self.stop()

    async def _control(self, method: str, path: str, body: bytes = b"") -> object:
        trust = ssl.create_default_context(cafile=self.ca_file)
        async with httpx2.AsyncClient(trust_env=False, verify=trust, timeout=30.0) as client:
            answer = await client.request(
                method, f"{self.control_url}/control/{path}", content=body
            )
        answer.raise_for_status()
        return answer.json() if answer.content else None


def _service_account(token_uri: str) -> dict[str, str]:
    key = generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": "1",
        "private_key": pem.decode(),
        "client_email": f"sender@{PROJECT}.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": token_uri,
    }
