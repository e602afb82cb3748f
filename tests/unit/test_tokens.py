"""Connection tokens: what is minted is accepted, and nothing else."""

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import jwt
import pytest

from realtime.errors import INVALID_TOKEN, TOKEN_EXPIRED, Disconnected, Refused
from realtime.tokens import LEEWAY, LIFETIME, Tokens

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ACCOUNT = str(uuid4())
SECRET = "a secret of this installation"
TOKENS = Tokens(SECRET)
KEY = hmac.digest(SECRET.encode(), b"gatecast:ws", "sha256")
SECOND = timedelta(seconds=1)


def reminted(headers: dict[str, Any] | None = None, **claims: Any) -> str:
    """Our own token with other claims, signed with our own key; None takes a claim away."""
    token = TOKENS.mint(ACCOUNT, NOW)
    header = jwt.get_unverified_header(token)
    payload = jwt.decode(token, options={"verify_signature": False})
    kept = {name: value for name, value in (payload | claims).items() if value is not None}
    return jwt.encode(kept, KEY, "HS256", headers=header | (headers or {}))


def refuse(token: str, now: datetime = NOW) -> None:
    with pytest.raises(Disconnected) as refused:
        TOKENS.verify(token, now)
    assert refused.value.disconnect is INVALID_TOKEN


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_a_minted_token_says_who_and_until_when() -> None:
    claims = TOKENS.verify(TOKENS.mint(ACCOUNT, NOW), NOW)
    assert claims.account_id == ACCOUNT
    assert claims.expires_at == NOW + LIFETIME == NOW + timedelta(minutes=10)


def test_the_header_names_algorithm_and_key() -> None:
    header = jwt.get_unverified_header(TOKENS.mint(ACCOUNT, NOW))
    assert header["alg"] == "HS256"
    assert header["kid"]
    assert header["kid"] not in SECRET


def test_it_lasts_to_its_end_and_the_leeway_and_no_longer() -> None:
    token = TOKENS.mint(ACCOUNT, NOW)
    TOKENS.verify(token, NOW + LIFETIME + LEEWAY - SECOND)
    with pytest.raises(Refused) as refused:
        TOKENS.verify(token, NOW + LIFETIME + LEEWAY)
    assert refused.value.error is TOKEN_EXPIRED


def test_a_clock_that_is_a_little_behind_accepts_it() -> None:
    token = TOKENS.mint(ACCOUNT, NOW)
    TOKENS.verify(token, NOW - LEEWAY)
    refuse(token, NOW - LEEWAY - SECOND)


@pytest.mark.parametrize("claim", ["exp", "iat", "aud", "sub"])
def test_every_claim_is_required(claim: str) -> None:
    TOKENS.verify(reminted(), NOW)
    refuse(reminted(**{claim: None}))


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "gatecast:admin"},
        {"sub": "root"},
        {"exp": int(NOW.timestamp()) + 15 * 60 + 1},
        {"exp": 253402300799},
        {"exp": int(NOW.timestamp())},
        {"exp": "soon"},
        {"exp": 1e308},
        {"iat": int(NOW.timestamp()) + 60, "exp": int(NOW.timestamp()) + 120},
        {"nbf": int(NOW.timestamp()) + 60},
    ],
    ids=str,
)
def test_claims_that_nobody_minted_are_refused(claims: dict[str, Any]) -> None:
    refuse(reminted(**claims))


def test_the_longest_life_is_a_quarter_of_an_hour() -> None:
    TOKENS.verify(reminted(exp=int(NOW.timestamp()) + 15 * 60), NOW)


def test_another_installation_and_another_key_are_refused() -> None:
    refuse(Tokens("another secret").mint(ACCOUNT, NOW))
    refuse(reminted({"kid": "00000000"}))


def test_an_unsigned_or_differently_signed_token_is_refused() -> None:
    token = TOKENS.mint(ACCOUNT, NOW)
    header, payload, signature = token.split(".")
    kid = jwt.get_unverified_header(token)["kid"]
    refuse(f"{part({'alg': 'none', 'kid': kid})}.{payload}.")
    refuse(f"{part({'alg': 'HS512', 'kid': kid})}.{payload}.{signature}")
    refuse(f"{header}.{payload}.{signature[:-4]}AAAA")
    refuse(f"{header}.{part({'sub': ACCOUNT})}.{signature}")


@pytest.mark.parametrize(
    "token",
    ["", "x", "a.b.c", "....", "ä.ö.ü", "\ud800.b.c", "A" * 100_000, "W1tb" * 480 + ".e30.AA"],
    ids=["empty", "x", "letters", "dots", "umlauts", "surrogate", "long", "nested"],
)
def test_garbage_is_refused(token: str) -> None:
    refuse(token)


def test_a_secret_is_needed() -> None:
    with pytest.raises(ValueError, match="secret"):
        Tokens("")
