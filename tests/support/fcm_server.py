"""The server of the FCM double: HTTP/2 by hand for pushes, so that it can fail as Google's may.

The part of a `token` or `fid` before its first dash chooses the answer; `ok` and unknown words
are accepted. A step that is forced or scripted goes before. `python -m tests.support.fcm_server`.
"""

import argparse
import asyncio
import json
import ssl
import time
from collections import Counter, deque
from collections.abc import Mapping
from email.utils import formatdate
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import parse_qsl

import jwt
import msgspec
from cryptography.hazmat.primitives import serialization
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes
from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.typing import ASGIFramework
from hyperframe.frame import GoAwayFrame
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

HOST = "127.0.0.1"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
# Fixed in google-auth, whatever the account's token_uri is.
AUDIENCE = "https://oauth2.googleapis.com/token"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ERROR_TYPE = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
TARGETS = ("fid", "token", "topic", "condition")
PAYLOAD_LIMIT = 4096
STREAMS = 100
FLAKY_FAILURES = 2
UNLIMITED = 1 << 30
# What a step may do instead of answering: never answer; end the stream; cut the connection; send
# GOAWAY and process neither this request nor later ones of the connection.
DEEDS = ("hang", "reset", "cut", "goaway")

Json = dict[str, Any]


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One answer: a word, after `delay` seconds; `retry_after` 0 leaves the header out."""

    word: str = "ok"
    retry_after: int | None = None  # None: as is usual for the word
    as_date: bool = False
    delay: float = 0.0


class Refusal(NamedTuple):
    """An error as FCM words it; without `code` it is not an error of FCM but of the API."""

    status: int
    rpc: str
    code: str = ""
    retry_after: int = 0

    def reply(self, text: str, step: Step | None = None) -> "Reply":
        """The answer on the wire."""
        details = [{"@type": ERROR_TYPE, "errorCode": self.code}] if self.code else []
        body = {"code": self.status, "message": text, "status": self.rpc, "details": details}
        asked = self.retry_after
        if step is not None and step.retry_after is not None:
            asked = step.retry_after
        as_date = step is not None and step.as_date
        named = formatdate(time.time() + asked, usegmt=True) if as_date else str(asked)
        headers = [("retry-after", named)] if asked else []
        return Reply(self.status, json.dumps({"error": body}).encode(), headers)


class Reply(NamedTuple):
    """What goes back; with a `deed` nothing does."""

    status: int
    body: bytes
    headers: list[tuple[str, str]] = []  # noqa: RUF012
    kind: str = "application/json"
    deed: str = ""


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
    "denied": Refusal(403, "PERMISSION_DENIED"),
    "invalid": INVALID,
    "apns": Refusal(401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR"),
}


class FcmServer:
    """What the double knows and answers."""

    def __init__(self, account: Mapping[str, str], delay: float = 0.0) -> None:
        self._account = account
        self._path = f"/v1/projects/{account['project_id']}/messages:send"
        self.delay = delay
        private = serialization.load_pem_private_key(account["private_key"].encode(), None)
        self._public = cast("Any", private).public_key()
        self.connections = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything, also the access tokens."""
        self.requests: list[Json] = []
        self.accepted: list[Json] = []
        self.forced: Step | None = None
        self.scripts: dict[str, deque[Step]] = {}
        self._tries: Counter[str] = Counter()
        self._bearers: set[str] = set()

    def token(self, form: Mapping[str, str]) -> Json | None:
        """Trade a signed assertion of the service account for an access token."""
        claims = jwt.decode(
            form.get("assertion", ""), self._public, algorithms=["RS256"], audience=AUDIENCE
        )
        issuer, scopes = claims.get("iss"), claims.get("scope", "").split()
        if (
            form.get("grant_type") != GRANT
            or issuer != self._account["client_email"]
            or SCOPE not in scopes
        ):
            return None
        bearer = f"bearer-{len(self._bearers) + 1}"
        self._bearers.add(bearer)
        return {"access_token": bearer, "expires_in": 3600, "token_type": "Bearer"}

    def step_of(self, target: str) -> Step:
        """What is to be done now for this target."""
        self._tries[target] += 1
        if self.forced is not None:
            return self.forced
        for name in (target, ""):
            if script := self.scripts.get(name):
                return script.popleft()
        word = target.partition("-")[0]
        if word == "flaky":
            word = "unavail" if self._tries[target] <= FLAKY_FAILURES else "ok"
        return Step(word)

    def reply(self, headers: Mapping[str, str], body: Json, entry: Json, step: Step) -> Reply:
        """The answer to a push."""
        push: Json = body.get("message", {})
        refusal = self._refusal(headers, push)
        if refusal is not None:
            return refusal
        if step.word in DEEDS:
            return Reply(0, b"", deed=step.word)
        if step.word in REFUSALS:
            return REFUSALS[step.word].reply(f"scripted: {step.word}", step)
        if step.word == "html":
            return Reply(502, b"<html>bad gateway</html>", kind="text/html")
        name = f"projects/{self._account['project_id']}/messages/{len(self.accepted) + 1}"
        if not body.get("validate_only"):
            self.accepted.append({**push, "name": name, "at": entry["at"]})
        return Reply(200, json.dumps({"name": name}).encode())

    def _refusal(self, headers: Mapping[str, str], push: Json) -> Reply | None:
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or bearer not in self._bearers:
            return UNAUTHENTICATED.reply("Request had invalid authentication credentials.")
        if headers[":path"] != self._path:
            return NOT_FOUND.reply("Requested entity was not found.")
        if sum(kind in push for kind in TARGETS) != 1:
            return INVALID.reply("Exactly one target is required.")
        texts = push.get("data", {})
        if not all(isinstance(value, str) for value in texts.values()):
            return INVALID.reply("Values of data must be strings.")
        texts = {**texts, **push.get("notification", {})}
        if sum(len(f"{key}{value}".encode()) for key, value in texts.items()) > PAYLOAD_LIMIT:
            return INVALID.reply("Message too big.")
        return None


class Pushes(asyncio.Protocol):
    """One connection for pushes."""

    def __init__(self, server: FcmServer, most: int) -> None:
        self.server = server
        self.most = most  # requests, before a GOAWAY
        self.taken = 0
        self.http = H2Connection(
            H2Configuration(
                client_side=False, header_encoding="utf-8", validate_inbound_headers=False
            )
        )
        self.open: dict[int, tuple[Mapping[str, str], bytearray]] = {}
        self.unanswered: set[int] = set()
        self.last: int | None = None  # that is processed, once GOAWAY is sent

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client is there."""
        self.transport = cast("asyncio.Transport", transport)
        self.server.connections += 1
        self.number = self.server.connections
        self.http.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: STREAMS})
        self.http.initiate_connection()
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Frames of the client."""
        try:
            events = self.http.receive_data(data)
        except ProtocolError:
            self.transport.close()
            return
        for event in events:
            match event:
                case RequestReceived(stream_id=int(stream), headers=headers):
                    self.open[stream] = dict(cast("Any", headers)), bytearray()
                case DataReceived(stream_id=int(stream), data=bytes(part)):
                    self.http.acknowledge_received_data(event.flow_controlled_length or 0, stream)
                    if stream in self.open:
                        self.open[stream][1].extend(part)
                case StreamEnded(stream_id=int(stream)) if stream in self.open:
                    self._take(stream, *self.open.pop(stream))
                case StreamReset(stream_id=int(stream)):
                    self.open.pop(stream, None)
                    self.unanswered.discard(stream)
        self._flush()

    def _take(self, stream: int, headers: Mapping[str, str], raw: bytearray) -> None:
        if self.last is not None and stream > self.last:
            return  # the client was told that it is not processed
        body: Json = msgspec.json.decode(raw)
        push: Json = body.get("message", {})
        target = next((str(push[kind]) for kind in TARGETS if kind in push), "")
        step = self.server.step_of(target)
        if step.word == "goaway" and self.last is None:
            self._go_away(stream - 2)
            return
        entry: Json = {
            "at": time.time(),
            "target": target,
            "id": push.get("data", {}).get("id", ""),
            "http_version": "2",
            "connection": self.number,
            "status": None,
        }
        self.server.requests.append(entry)
        self.unanswered.add(stream)
        self.taken += 1
        if self.taken >= self.most and self.last is None:
            self._go_away(stream)
        if delay := self.server.delay + step.delay:
            loop = asyncio.get_running_loop()
            loop.call_later(delay, self._answer, stream, headers, body, entry, step)
        else:
            self._answer(stream, headers, body, entry, step)

    def _answer(
        self, stream: int, headers: Mapping[str, str], body: Json, entry: Json, step: Step
    ) -> None:
        if stream not in self.unanswered or self.transport.is_closing():
            return
        reply = self.server.reply(headers, body, entry, step)
        match reply.deed:
            case "hang":
                return
            case "cut":
                self.transport.abort()
                return
            case "reset":
                self.http.reset_stream(stream, ErrorCodes.INTERNAL_ERROR)
            case _:
                entry["status"], entry["answered_at"] = reply.status, time.time()
                known = [(":status", str(reply.status)), ("content-type", reply.kind)]
                dated = [("date", formatdate(usegmt=True))]
                self.http.send_headers(stream, [*known, *dated, *reply.headers])
                self.http.send_data(stream, reply.body, end_stream=True)
        self.unanswered.discard(stream)
        self._flush()

    def _go_away(self, last: int) -> None:
        """By hand: h2 would send nothing more on the streams that are still to be answered."""
        self._flush()
        frame = GoAwayFrame(0, last_stream_id=max(last, 0))
        self.transport.write(frame.serialize())
        self.last = frame.last_stream_id
        self._flush()

    def _flush(self) -> None:
        if data := self.http.data_to_send():
            self.transport.write(data)
        if self.last is not None and not self.unanswered:
            self.transport.close()


class Control:
    """Access tokens and the view of the test, over HTTP/1.1."""

    def __init__(self, server: FcmServer) -> None:
        self.server = server

    def routes(self) -> list[Route]:
        """One for each."""
        return [
            Route("/token", self.token, methods=["POST"]),
            Route("/control/accepted", self.accepted),
            Route("/control/requests", self.requests),
            Route("/control/cpu", self.cpu),
            Route("/control/force", self.force, methods=["POST"]),
            Route("/control/script", self.script, methods=["POST"]),
            Route("/control/reset", self.reset, methods=["POST"]),
        ]

    async def token(self, request: Request) -> Response:
        """An access token."""
        try:
            token = self.server.token(dict(parse_qsl((await request.body()).decode())))
        except jwt.InvalidTokenError as error:
            return JSONResponse({"error": "invalid_grant", "error_description": str(error)}, 400)
        return JSONResponse(token or {"error": "invalid_grant"}, 200 if token else 400)

    async def accepted(self, _: Request) -> Response:
        """Every accepted message in order, as it came, with its `name` and `at`."""
        return Response(msgspec.json.encode(self.server.accepted))

    async def requests(self, _: Request) -> Response:
        """Every request to send in order; `status` is null while it is unanswered."""
        return Response(msgspec.json.encode(self.server.requests))

    async def cpu(self, _: Request) -> Response:
        """Seconds of CPU of this process so far."""
        return JSONResponse(time.process_time())

    async def force(self, request: Request) -> Response:
        """Answer every target by one step until told otherwise; null ends it."""
        self.server.forced = msgspec.json.decode(await request.body(), type=Step | None)
        return Response(status_code=204)

    async def script(self, request: Request) -> Response:
        """The next answers for one target, or for all (the empty target)."""
        steps = msgspec.json.decode(await request.body(), type=list[Step])
        target = request.query_params.get("target", "")
        self.server.scripts.setdefault(target, deque()).extend(steps)
        return Response(status_code=204)

    async def reset(self, _: Request) -> Response:
        """Forget everything, also the access tokens."""
        self.server.reset()
        return Response(status_code=204)


async def run(options: argparse.Namespace) -> None:
    """Serve until killed."""
    server = FcmServer(json.loads(options.account.read_text()), options.delay)
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(options.cert)
    trust.set_alpn_protocols(["h2"])
    most = options.requests_per_connection
    await asyncio.get_running_loop().create_server(
        lambda: Pushes(server, most), HOST, options.port, ssl=trust
    )
    config = Config()
    config.bind = [f"{HOST}:{options.control_port}"]
    config.certfile = config.keyfile = options.cert
    await serve(cast("ASGIFramework", Starlette(routes=Control(server).routes())), config)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--control-port", type=int, required=True)
    parser.add_argument("--cert", required=True)
    parser.add_argument("--account", type=Path, required=True)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--requests-per-connection", type=int, default=UNLIMITED)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
