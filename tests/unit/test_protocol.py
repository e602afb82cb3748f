"""Frames of the client protocol, and what happens to everything that is none."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from realtime.channels import parse_channel
from realtime.errors import BAD_COMMAND, TOO_MANY_REQUESTS, Disconnected, Refused
from realtime.protocol import (
    Publication,
    decode_ack,
    decode_commands,
    error_reply,
    join,
    publication_push,
    reply,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "frames.json").read_text("utf-8"))


@pytest.mark.parametrize("exchange", VECTORS["exchanges"], ids=lambda each: str(each["name"]))
def test_every_command_of_the_examples_is_understood(exchange: dict[str, Any]) -> None:
    (command,) = decode_commands(json.dumps(exchange["in"]))
    methods = [name for name in exchange["in"] if name != "id"]
    assert command.methods() == methods
    assert command.id == exchange["in"].get("id", 0)


def test_several_commands_share_a_frame() -> None:
    frame = b'{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"status:JFK"}}\n'
    assert [command.id for command in decode_commands(frame)] == [1, 2]


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"nonsense",
        b"[]",
        b"null",
        b'{"id":-1,"connect":{}}',
        b'{"id":4294967296,"connect":{}}',
        b'{"connect":{}}',
        b'{"id":1}',
        b'{"id":1,"connect":{},"rpc":{}}',
        b'{"id":1,"send":{}}',
        b'{"id":1,"subscribe":{"channel":7}}',
        b'{"id":1,"connect":{}}\n\n{"id":2,"ping":{}}',
        b'{"id":1,"subscribe":{"offset":1e308}}',
        b"[" * 100_000,
        b'{"id":1,"connect":' + b'{"a":' * 50_000,
        b'{"id":1,"connect":{"name":"\xff"}}',
    ],
)
def test_what_is_not_a_command_ends_the_connection(frame: bytes) -> None:
    with pytest.raises(Disconnected) as caught:
        decode_commands(frame)
    assert caught.value.disconnect == BAD_COMMAND


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(frame: bytes) -> None:
    with contextlib.suppress(Disconnected):
        decode_commands(frame)


def test_a_temporary_error_says_so() -> None:
    assert json.loads(error_reply(3, TOO_MANY_REQUESTS)) == {
        "id": 3,
        "error": {"code": 111, "message": "too many requests", "temporary": True},
    }


def test_unset_members_are_left_out_and_removals_carry_null() -> None:
    row = Publication(data=Raw(b'{"a":1}'), offset=7, key="k")
    gone = Publication(data=Raw(b"null"), offset=8, key="k", removed=True)
    assert json.loads(publication_push("c", row)) == {
        "push": {"channel": "c", "pub": {"data": {"a": 1}, "offset": 7, "key": "k"}}
    }
    assert b'"data":null' in publication_push("c", gone)
    assert b"offset" not in publication_push("c", Publication(data=Raw(b"1")))


def test_frames_are_joined_by_newlines_and_hold_none() -> None:
    joined = join([reply(1, "unsubscribe", {}), reply(2, "rpc", {"data": {"text": "a\nb"}})])
    assert [json.loads(line)["id"] for line in joined.split(b"\n")] == [1, 2]


def test_a_receipt_is_read_or_refused() -> None:
    good = b'{"epoch":"e","attentive":true,"legs":{"B69-2013-03-08-JFK-MCO":12}}'
    ack = decode_ack(Raw(good))
    assert ack is not None
    assert (ack.epoch, ack.attentive, ack.legs) == ("e", True, {"B69-2013-03-08-JFK-MCO": 12})
    for bad in (b"null", b"{}", b'{"epoch":"e","legs":[]}', b'{"epoch":"e","legs":{"k":"12"}}'):
        assert decode_ack(Raw(bad)) is None


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("flight:B69-2013-03-08-JFK", 102),
        ("flight:B69-2013-13-08-JFK-MCO", 102),
        ("flight:B60-2013-03-08-JFK-MCO", 102),
        ("board:jfk:departures", 102),
        ("board:JFK:both", 102),
        ("board:*:departures", 102),
        ("user:1", 102),
        ("status:JFK:x", 102),
        ("x" * 256, 107),
    ],
)
def test_channels_that_do_not_exist(name: str, code: int) -> None:
    with pytest.raises(Refused) as caught:
        parse_channel(name)
    assert caught.value.error.code == code


def test_channels_that_exist() -> None:
    assert parse_channel("flight:VS808P-2018-06-03-LHR-LGW").subject == "VS808P-2018-06-03-LHR-LGW"
    assert parse_channel("flight:ABC12-2018-06-03-LHR-LGW").kind == "flight"
    board = parse_channel("board:JFK:arrivals")
    assert (board.kind, board.subject, board.movement) == ("board", "JFK", "arrivals")
    assert parse_channel("status:JFK").subject == "JFK"
