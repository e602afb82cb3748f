"""A double of the FCM HTTP v1 service for the real SDK: TLS, HTTP/2, OAuth, scripted answers.

The part of a `token` or `fid` before its first dash chooses the answer; `ok` and unknown words
are accepted. Run as `python -m tests.support.fcm` it is the server, `FcmDouble` starts that.
"""

import argparse
import asyncio
import json
import shutil
import ssl
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, cast
from urllib.parse import parse_qsl

import httpx2
import jwt
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.typing import ASGIFramework
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.support.ports import free_port
from tests.support.process import Child

HOST = "127.0.0.1"
PROJECT = "gatecast-test"
REPOSITORY = Path(__file__).parents[2]
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
# Fixed in google-auth, whatever the account's token_uri is.
AUDIENCE = "https://oauth2.googleapis.com/token"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ERROR_TYPE = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
TARGETS = ("fid", "token", "topic", "condition")
PAYLOAD_LIMIT = 4096
HANG_SECONDS = 30.0
FLAKY_FAILURES = 2
UNLIMITED = 1 << 30

Json = dict[str, Any]


class Refusal(NamedTuple):
    """An error as FCM words it; without `code` it is not an error of FCM but of the API."""

    status: int
    rpc: str
    code: str = ""
    retry_after: int | None = None

    def response(self, text: str) -> JSONResponse:
        """The answer on the wire."""
        details = [{"@type": ERROR_TYPE, "errorCode": self.code}] if self.code else []
        body = {"code": self.status, "message": text, "status": self.rpc, "details": details}
        headers = {"Retry-After": str(self.retry_after)} if self.retry_after else None
        return JSONResponse({"error": body}, self.status, headers)


INVALID = Refusal(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT")
UNAUTHENTICATED = Refusal(401, "UNAUTHENTICATED")
NOT_FOUND = Refusal(404, "NOT_FOUND")
UNAVAILABLE = Refusal(503, "UNAVAILABLE", "UNAVAILABLE", 1)
REFUSALS: Mapping[str, Refusal] = {
    "unreg": Refusal(404, "NOT_FOUND", "UNREGISTERED"),
    "missing": NOT_FOUND,
    "quota": Refusal(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", 2),
    "unavail": UNAVAILABLE,
    "internal": Refusal(500, "INTERNAL", "INTERNAL"),
    "sender": Refusal(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH"),
    "invalid": INVALID,
    "apns": Refusal(401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR"),
}


class FcmServer:
    """What the double knows, and its routes."""

    def __init__(self, account: Mapping[str, str], delay: float = 0.0) -> None:
        self._account = account
        self._delay = delay
        private = serialization.load_pem_private_key(account["private_key"].encode(), None)
        self._public = cast("Any", private).public_key()
        self._reset()

    def _reset(self) -> None:
        self._requests: list[Json] = []
        self._accepted: list[Json] = []
        self._tries: Counter[str] = Counter()
        self._bearers: set[str] = set()
        self._forced = ""

    def routes(self) -> list[Route]:
        """The service and, under /control, the view of the test."""
        return [
            Route("/token", self.token, methods=["POST"]),
            Route("/v1/projects/{project}/messages:send", self.send, methods=["POST"]),
            Route("/control/accepted", self.accepted),
            Route("/control/requests", self.requests),
            Route("/control/force", self.force, methods=["POST"]),
            Route("/control/reset", self.reset, methods=["POST"]),
        ]

    async def token(self, request: Request) -> Response:
        """Trade a signed assertion of the service account for an access token."""
        form = dict(parse_qsl((await request.body()).decode()))
        try:
            claims = jwt.decode(
                form.get("assertion", ""),
                self._public,
                algorithms=["RS256"],
                audience=AUDIENCE,
            )
        except jwt.InvalidTokenError as error:
            return JSONResponse({"error": "invalid_grant", "error_description": str(error)}, 400)
        issuer, scopes = claims.get("iss"), claims.get("scope", "").split()
        if (
            form.get("grant_type") != GRANT
            or issuer != self._account["client_email"]
            or SCOPE not in scopes
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        bearer = f"bearer-{len(self._bearers) + 1}"
        self._bearers.add(bearer)
        return JSONResponse({"access_token": bearer, "expires_in": 3600, "token_type": "Bearer"})

    async def send(self, request: Request) -> Response:
        """Take one message, answer as its target says."""
        body: Json = json.loads(await request.body())
        push: Json = body.get("message", {})
        target = next((str(push[kind]) for kind in TARGETS if kind in push), "")
        entry: Json = {
            "at": time.time(),
            "target": target,
            "http_version": request.scope["http_version"],
            "status": None,
        }
        self._requests.append(entry)
        await asyncio.sleep(self._delay)
        response = self._refusal(request, push) or await self._scripted(target)
        if response is None:
            name = f"projects/{PROJECT}/messages/{len(self._accepted) + 1}"
            if not body.get("validate_only"):
                self._accepted.append({**push, "name": name, "at": entry["at"]})
            response = JSONResponse({"name": name})
        entry["status"] = response.status_code
        return response

    def _refusal(self, request: Request, push: Json) -> Response | None:
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or bearer not in self._bearers:
            return UNAUTHENTICATED.response("Request had invalid authentication credentials.")
        if request.path_params["project"] != self._account["project_id"]:
            return NOT_FOUND.response("Requested entity was not found.")
        if sum(kind in push for kind in TARGETS) != 1:
            return INVALID.response("Exactly one target is required.")
        texts = push.get("data", {})
        if not all(isinstance(value, str) for value in texts.values()):
            return INVALID.response("Values of data must be strings.")
        texts = {**texts, **push.get("notification", {})}
        if sum(len(f"{key}{value}".encode()) for key, value in texts.items()) > PAYLOAD_LIMIT:
            return INVALID.response("Message too big.")
        return None

    async def _scripted(self, target: str) -> Response | None:
        word = self._forced or target.partition("-")[0]
        self._tries[target] += 1
        if word in REFUSALS:
            return REFUSALS[word].response(f"scripted: {word}")
        if word == "flaky" and self._tries[target] <= FLAKY_FAILURES:
            return UNAVAILABLE.response("scripted: flaky")
        if word == "html":
            return Response("<html>bad gateway</html>", 502, media_type="text/html")
        if word == "hang":
            await asyncio.sleep(HANG_SECONDS)
        return None

    async def accepted(self, _: Request) -> Response:
        """Every accepted message in order, as it came, with its `name` and `at`."""
        return JSONResponse(self._accepted)

    async def requests(self, _: Request) -> Response:
        """Every request to send in order; `status` is null while it is unanswered."""
        return JSONResponse(self._requests)

    async def force(self, request: Request) -> Response:
        """Answer every target by one word until told otherwise; the empty word ends it."""
        self._forced = (await request.body()).decode()
        return Response(status_code=204)

    async def reset(self, _: Request) -> Response:
        """Forget everything, also the access tokens."""
        self._reset()
        return Response(status_code=204)


class FcmDouble:
    """The double in a process of its own, with its certificates and service account."""

    def __init__(self, *, delay: float = 0.0, requests_per_connection: int = UNLIMITED) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="fcm-"))
        port = free_port()
        self.base_url = f"https://{HOST}:{port}"
        self.ca_file = self._folder / "ca.pem"
        self.service_account = _service_account(f"{self.base_url}/token")
        (self._folder / "account.json").write_text(json.dumps(self.service_account))
        authority = trustme.CA()
        certificate = authority.issue_cert(HOST)
        authority.cert_pem.write_to_path(self.ca_file)
        certificate.private_key_and_cert_chain_pem.write_to_path(self._folder / "server.pem")
        command = [sys.executable, "-m", "tests.support.fcm", "--port", str(port)]
        command += ["--cert", str(self._folder / "server.pem")]
        command += ["--account", str(self._folder / "account.json"), "--delay", str(delay)]
        command += ["--requests-per-connection", str(requests_per_connection)]
        output = self._folder / "output.log"
        self._child = Child(command, folder=REPOSITORY, output_file=output)

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
        await self._child.wait_http(f"{self.base_url}/control/accepted", ca_file=self.ca_file)

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

    async def force(self, word: str) -> None:
        """Answer every target by `word`, for an outage; the empty word ends it."""
        await self._control("POST", "force", word)

    async def reset(self) -> None:
        """Forget everything."""
        await self._control("POST", "reset")

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.stop()

    async def _control(self, method: str, path: str, body: str = "") -> object:
        trust = ssl.create_default_context(cafile=self.ca_file)
        async with httpx2.AsyncClient(trust_env=False, verify=trust, timeout=10.0) as client:
            answer = await client.request(
                method, f"{self.base_url}/control/{path}", content=body.encode()
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


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--cert", required=True)
    parser.add_argument("--account", type=Path, required=True)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--requests-per-connection", type=int, default=UNLIMITED)
    options = parser.parse_args()
    config = Config()
    config.bind = [f"{HOST}:{options.port}"]
    config.certfile = config.keyfile = options.cert
    config.keep_alive_max_requests = options.requests_per_connection
    server = FcmServer(json.loads(options.account.read_text()), options.delay)
    asyncio.run(serve(cast("ASGIFramework", Starlette(routes=server.routes())), config))


if __name__ == "__main__":
    main()
