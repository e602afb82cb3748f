"""Forged proofs of who somebody is, at a real node and over REST; and one account as a flood."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from api.devices import MOST_DEVICES
from realtime.errors import INVALID_TOKEN, TOKEN_EXPIRED
from realtime.tokens import AUDIENCE
from tests.support.client import RawClient
from tests.support.node import SECRET, RunningNode, running_node
from tests.support.rest import DEVICE, TOKENS, World, problem

Pool = asyncpg.Pool
ACCOUNT = str(uuid4())
KEY = hmac.digest(SECRET.encode(), AUDIENCE.encode(), "sha256")
KID = hashlib.sha256(KEY).hexdigest()[:8]
RSA: RSAPrivateKey = generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC = RSA.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
HASHES = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}


@pytest.fixture
async def node(pool: "Pool[asyncpg.Record]") -> AsyncIterator[RunningNode]:
    async with running_node(pool) as running:
        yield running


def claims(**others: Any) -> dict[str, Any]:
    """What a real token says now, but for `others`; None leaves a claim out."""
    now = int(datetime.now(UTC).timestamp())
    usual = {"aud": AUDIENCE, "sub": ACCOUNT, "iat": now, "exp": now + 600}
    return {name: value for name, value in (usual | others).items() if value is not None}


def signed(key: bytes = KEY, header: dict[str, Any] | None = None, **others: Any) -> str:
    """A token by hand, as no library would make it: any algorithm in its header, any key."""
    head = {"alg": "HS256", "typ": "JWT", "kid": KID} | (header or {})
    text = f"{part(head)}.{part(claims(**others))}"
    found = HASHES.get(head["alg"])
    signature = hmac.digest(key, text.encode(), found) if found else b""
    return f"{text}.{encoded(signature)}"


def part(value: object) -> str:
    return encoded(json.dumps(value).encode())


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def with_key_inside() -> str:
    """Brings its own key along, in its header."""
    number = RSA.public_key().public_numbers().n
    jwk = {"kty": "RSA", "e": "AQAB", "n": encoded(number.to_bytes(256))}
    return jwt.encode(claims(), RSA, "RS256", headers={"kid": KID, "jwk": jwk})


FORGED: dict[str, Callable[[], str]] = {
    "no algorithm": lambda: signed(header={"alg": "none"}),
    "no algorithm, in other letters": lambda: signed(header={"alg": "nOnE"}),
    "no signature": lambda: signed().rpartition(".")[0] + ".",
    "HS256 by the text of a public key": lambda: signed(PUBLIC),
    "RS256 by a key of one's own": lambda: jwt.encode(claims(), RSA, "RS256", {"kid": KID}),
    "RS256 with its key inside": with_key_inside,
    "our key, called RS256": lambda: signed(header={"alg": "RS256"}),
    "our key, by HS512": lambda: signed(header={"alg": "HS512"}),
    "the secret itself as the key": lambda: signed(SECRET.encode()),
    "an empty key": lambda: signed(b""),
    "another key's name": lambda: signed(header={"kid": "../../dev/null"}),
    "another audience": lambda: signed(aud="gatecast:ops"),
    "no audience": lambda: signed(aud=None),
    "no end": lambda: signed(exp=None),
    "an end in a year": lambda: signed(exp=int(datetime.now(UTC).timestamp()) + 365 * 86_400),
    "an end before its start": lambda: signed(exp=0),
    "a start that is to come": lambda: signed(iat=int(datetime.now(UTC).timestamp()) + 300),
    "no account": lambda: signed(sub=None),
    "an account that is none": lambda: signed(sub="' OR 1=1 --"),
    "a REST credential": lambda: f"gca_{ACCOUNT}_{'x' * 43}",
}


async def test_the_tokens_made_here_are_good_but_for_what_is_forged(node: RunningNode) -> None:
    async with RawClient(node.url) as client:
        assert (await client.connect(signed()))["expires"]


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
async def test_a_forged_token_ends_the_connection_for_good(
    node: RunningNode, forge: Callable[[], str]
) -> None:
    async with RawClient(node.url) as client:
        await client.socket.send(json.dumps({"id": 1, "connect": {"token": forge()}}))
        assert await client.closed() == (INVALID_TOKEN.code, INVALID_TOKEN.reason)
    assert not INVALID_TOKEN.reconnect


@pytest.mark.parametrize("minutes", [11, 60 * 24 * 365])
async def test_an_expired_token_is_refused_so_that_a_client_fetches_another(
    node: RunningNode, minutes: int
) -> None:
    issued = int((datetime.now(UTC) - timedelta(minutes=minutes)).timestamp())
    async with RawClient(node.url) as client:
        expired = signed(iat=issued, exp=issued + 600)
        reply = await client.command("connect", {"token": expired})
        assert reply["error"]["code"] == TOKEN_EXPIRED.code
        # Refused is not connected: the next command ends it.
        await client.socket.send(json.dumps({"id": 2, "subscribe": {"channel": "status:JFK"}}))
        assert (await client.closed())[0] == 3501


async def test_a_forged_refresh_ends_a_good_connection(node: RunningNode) -> None:
    async with RawClient(node.url) as client:
        await client.connect(signed())
        await client.socket.send(json.dumps({"id": 2, "refresh": {"token": signed(PUBLIC)}}))
        assert (await client.closed())[0] == INVALID_TOKEN.code


async def test_only_the_own_credential_opens_an_account(world: World) -> None:
    mine, theirs = await world.account(), await world.account()
    _, me, my_secret = mine["Authorization"].split("_", 2)
    _, they, their_secret = theirs["Authorization"].split("_", 2)
    forged = [
        f"Bearer gca_{they}_{my_secret}",
        f"Bearer gca_{me}_{their_secret}",
        f"Bearer gca_{they}_",
        f"Bearer gca_{uuid4()}_{my_secret}",
        f"Bearer {TOKENS.mint(they, datetime.now(UTC))}",
        f"Basic gca_{they}_{their_secret}",
        "Bearer ",
    ]
    for value in forged:
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/token"), ("GET", "/export")):
            answer = await world.client.request(
                method, f"/api/me{path}", headers={"Authorization": value}
            )
            problem(answer, 401)
    assert (await world.client.get("/api/me", headers=theirs)).json()["account"] == they
    assert await world.rows("SELECT count(*) FROM account") == [(2,)]


async def test_a_flood_of_devices_ends_at_the_limit(world: World) -> None:
    """The limit is counted, not remembered: the 10,000th is refused as the 11th is."""
    me, other, tries = await world.account(), await world.account(), 300
    statuses: list[int] = []

    async def flood(first: int) -> None:
        for number in range(first, tries, 20):
            body = DEVICE | {"target": f"target-{number:05}"}
            url = f"/api/me/devices/{uuid4()}"
            statuses.append((await world.client.put(url, headers=me, json=body)).status_code)

    async with asyncio.TaskGroup() as group:
        for first in range(20):
            group.create_task(flood(first), name=f"flood {first}")
    assert sorted(statuses) == [200] * MOST_DEVICES + [409] * (tries - MOST_DEVICES)
    assert await world.rows("SELECT count(*) FROM device") == [(MOST_DEVICES,)]
    url = f"/api/me/devices/{uuid4()}"
    theirs = await world.client.put(url, headers=other, json=DEVICE)
    assert theirs.status_code == 200
