"""RFC 6455 on the side of the server: frames out as bytes, frames in as a pure function. Pure."""

from typing import NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
OPCODES = frozenset((CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))
PROTOCOL_ERROR, BAD_TEXT, TOO_BIG = 1002, 1007, 1009
NO_CODE = 1005
CLOSE_CODES = frozenset((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014))
MAX_CONTROL = 125
MAX_REASON = MAX_CONTROL - 2


class BadFrame(Exception):
    """The peer broke RFC 6455; `code` is what the connection is closed with."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Frame(NamedTuple):
    """One frame of a client, unmasked; `end` is where the next one begins."""

    fin: bool
    opcode: int
    payload: bytes
    end: int


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """A whole, unmasked frame."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 65536:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big") + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """`NO_CODE` says nothing; a reason is cut to what a control frame can hold."""
    if code == NO_CODE:
        return frame(b"", CLOSE)
    text = reason.encode()[:MAX_REASON].decode(errors="ignore").encode()
    return frame(code.to_bytes(2, "big") + text, CLOSE)


def parse(buffer: bytes | bytearray, start: int, limit: int) -> Frame | None:
    """The frame at `start`, None when it is not whole; BadFrame as early as it shows.

    `limit` is the most bytes that the payload of a data frame may have.
    """
    if len(buffer) - start < 2:
        return None
    first, second = buffer[start], buffer[start + 1]
    opcode, size, at = first & 0x0F, second & 0x7F, start + 2
    _check_head(first, second, opcode, size)
    if size == 126:
        if len(buffer) < at + 2:
            return None
        size, at = int.from_bytes(buffer[at : at + 2], "big"), at + 2
        if size < 126:
            raise BadFrame(PROTOCOL_ERROR, "length not minimal")
    elif size == 127:
        if len(buffer) < at + 8:
            return None
        size, at = int.from_bytes(buffer[at : at + 8], "big"), at + 8
        if size < 65536 or size >> 63:
            raise BadFrame(PROTOCOL_ERROR, "length not minimal")
    if size > limit and opcode < CLOSE:
        raise BadFrame(TOO_BIG, "message too big")
    end = at + 4 + size
    if len(buffer) < end:
        return None
    payload = _unmask(buffer[at : at + 4], buffer[at + 4 : end])
    return Frame(first >= 0x80, opcode, payload, end)


def _check_head(first: int, second: int, opcode: int, size: int) -> None:
    if first & 0x70:
        raise BadFrame(PROTOCOL_ERROR, "reserved bits")
    if opcode not in OPCODES:
        raise BadFrame(PROTOCOL_ERROR, "reserved opcode")
    if not second & 0x80:
        raise BadFrame(PROTOCOL_ERROR, "frame not masked")
    if opcode >= CLOSE and (size > MAX_CONTROL or first < 0x80):
        raise BadFrame(PROTOCOL_ERROR, "control frame too long or fragmented")


def _unmask(mask: bytes | bytearray, payload: bytes | bytearray) -> bytes:
    size = len(payload)
    key = int.from_bytes((bytes(mask) * (size // 4 + 1))[:size], "little")
    return (int.from_bytes(payload, "little") ^ key).to_bytes(size, "little")


def parse_close(payload: bytes) -> tuple[int, str]:
    """Code and reason of a close frame; `NO_CODE` when it has none."""
    if not payload:
        return NO_CODE, ""
    code = int.from_bytes(payload[:2], "big")
    if len(payload) < 2 or not (code in CLOSE_CODES or 3000 <= code < 5000):
        raise BadFrame(PROTOCOL_ERROR, "bad close code")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError:
        raise BadFrame(BAD_TEXT, "reason is not UTF-8") from None
