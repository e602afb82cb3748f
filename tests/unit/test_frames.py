"""RFC 6455 frames, held against those of another implementation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets import frames as theirs
from websockets.exceptions import WebSocketException
from websockets.streams import StreamReader

from realtime.frames import (
    CLOSE,
    MAX_CONTROL,
    NO_CODE,
    BadFrame,
    Frame,
    close_frame,
    frame,
    parse,
    parse_close,
)

LIMIT = 70_000
KINDS = st.sampled_from([theirs.Opcode.TEXT, theirs.Opcode.BINARY, theirs.Opcode.CONT])
CONTROLS = st.sampled_from([theirs.Opcode.PING, theirs.Opcode.PONG, theirs.Opcode.CLOSE])
SIZES = st.sampled_from([0, 1, 125, 126, 127, 65535, 65536])


def read_theirs(data: bytes) -> theirs.Frame:
    """Their parser, on what a server sends."""
    reader = StreamReader()
    reader.feed_data(data)
    parsing = theirs.Frame.parse(reader.read_exact, mask=False)
    try:
        next(parsing)
    except StopIteration as stop:
        found: theirs.Frame = stop.value
        return found
    raise AssertionError("the frame is not whole")


def write_theirs(opcode: theirs.Opcode, payload: bytes, fin: bool = True) -> bytes:
    """Their masked frame, as a client sends it."""
    return theirs.Frame(opcode, payload, fin).serialize(mask=True)


@given(SIZES, KINDS)
def test_what_we_write_they_read(size: int, opcode: theirs.Opcode) -> None:
    payload = bytes(each % 251 for each in range(size))
    found = read_theirs(frame(payload, int(opcode)))
    assert (found.fin, found.opcode, bytes(found.data)) == (True, opcode, payload)


@given(st.one_of(SIZES.map(bytes), st.binary(max_size=300)), KINDS, st.booleans(), st.data())
def test_what_they_write_we_read_however_it_is_cut(
    payload: bytes, opcode: theirs.Opcode, fin: bool, data: st.DataObject
) -> None:
    sent = write_theirs(opcode, payload, fin)
    cut = data.draw(st.integers(0, len(sent) - 1))
    assert parse(sent[:cut], 0, LIMIT) is None
    behind = b"x" * 7
    assert parse(behind + sent, 7, LIMIT) == Frame(fin, opcode, payload, 7 + len(sent))


@given(CONTROLS, st.binary(max_size=MAX_CONTROL))
def test_control_frames(opcode: theirs.Opcode, payload: bytes) -> None:
    found = parse(write_theirs(opcode, payload), 0, 10)
    assert found is not None
    assert (found.fin, found.opcode, found.payload) == (True, opcode, payload)


@given(st.binary(max_size=40))
def test_whatever_comes_is_a_frame_is_not_whole_or_is_refused(data: bytes) -> None:
    """Where they refuse, we do; where we read a frame, they read the same one."""
    reader = StreamReader()
    reader.feed_data(data)
    parsing = theirs.Frame.parse(reader.read_exact, mask=True, max_size=1000)
    refused, whole = False, None
    try:
        next(parsing)
    except StopIteration as stop:
        whole = stop.value
    except (WebSocketException, EOFError):
        refused = True
    found, code = None, 0
    try:
        found = parse(data, 0, 1000)
    except BadFrame as bad:
        code = bad.code
    assert code in ((1002, 1009) if refused else (0, 1002))
    if not code:
        assert (found is None) == (whole is None)
        if found is not None and whole is not None:
            assert (found.opcode, found.payload) == (whole.opcode, bytes(whole.data))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xc1\x80", 1002),  # reserved bits
        (b"\x83\x80", 1002),  # a reserved opcode
        (b"\x8b\x80", 1002),
        (b"\x81\x01x", 1002),  # not masked
        (b"\x09\x80", 1002),  # a control frame in fragments
        (b"\x89\xfe\x00\x80", 1002),  # a long control frame
        (b"\x81\xfe\x00\x05", 1002),  # a length with too many bytes
        (b"\x81\xff" + bytes(7) + b"\x05", 1002),
        (b"\x81\xff\xff" + bytes(7), 1002),
        (b"\x81\xff\x00\x00\x00\x00\x40\x00\x00\x00", 1009),  # a lie of a gigabyte
    ],
)
def test_a_bad_head_is_refused_before_its_payload_comes(data: bytes, code: int) -> None:
    with pytest.raises(BadFrame) as caught:
        parse(data, 0, LIMIT)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"x", 1002),
        *((each.to_bytes(2, "big"), 1002) for each in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000)),
        (b"\x03\xe8\xff", 1007),
    ],
)
def test_bad_closes(payload: bytes, code: int) -> None:
    with pytest.raises(BadFrame) as caught:
        parse_close(payload)
    assert caught.value.code == code


def test_closes_say_why_and_fit_a_control_frame() -> None:
    assert parse_close(b"") == (NO_CODE, "")
    assert parse_close(b"\x0b\xb9shutdown") == (3001, "shutdown")
    assert close_frame(NO_CODE) == b"\x88\x00"
    long = read_theirs(close_frame(3001, "é" * 100))
    assert long.opcode == CLOSE
    assert parse_close(bytes(long.data)) == (3001, "é" * 61)
