"""A detached socket against everything that a peer can send, or withhold."""

import asyncio
import socket

import pytest
from msgspec import Raw
from websockets.frames import Opcode

from realtime.errors import SHUTDOWN
from realtime.frames import BINARY, PONG, TEXT
from realtime.protocol import Publication, publication_push
from tests.support.peers import lines
from tests.support.wait import until

CONT, TEXT_, PING_ = Opcode.CONT, Opcode.TEXT, Opcode.PING
PART = b"\x01\x81\x00\x00\x00\x00a"


async def test_messages_come_whole_in_whatever_pieces_they_were_sent() -> None:
    async with lines() as opened:
        line = await opened.open()
        await line.send(TEXT_, "grüße".encode())
        assert await line.next() == (TEXT, "grüße".encode())
        await line.send(Opcode.BINARY, b"\xff")
        assert await line.next() == (BINARY, b"\xff")
        await line.send(TEXT_, b"")
        assert await line.next() == (TEXT, b"")
        split = "ü".encode()
        await line.send(TEXT_, split[:1], fin=False)
        await line.send(PING_, b"between")
        await line.send(CONT, b"", fin=False)
        await line.send(CONT, split[1:])
        assert [await line.next(), await line.next()] == [(PONG, b"between"), (TEXT, split)]
        big = b"x" * 65536
        await line.send(TEXT_, big)
        assert await line.next() == (TEXT, big)


async def test_a_message_of_a_byte_a_packet() -> None:
    async with lines() as opened:
        line = await opened.open()
        line.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for each in b"\x81\x85\x01\x02\x03\x04idolk":
            line.writer.write(bytes((each,)))
            await asyncio.sleep(0)
        assert await line.next() == (TEXT, b"hflhj")


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([b"\xc1\x80"], 1002),
        ([b"\x80\x80\x00\x00\x00\x00"], 1002),  # a continuation of nothing
        ([PART, PART], 1002),  # a message within a message
        ([b"\x81\x81\x00\x00\x00\x00\xff"], 1007),
        ([b"\x88\x81\x00\x00\x00\x00x"], 1002),
        ([b"\x88\x82\x00\x00\x00\x00\x03\xed"], 1002),
        ([b"\x82\xff" + (1 << 30).to_bytes(8, "big")], 1009),
        ([PART, *[b"\x00\xfe\x7f\xff" + bytes(4 + 0x7FFF)] * 3], 1009),  # endless fragments
        ([PART, b"\x88\x80\x00\x00\x00\x00"], 1005),  # closed within a message
        ([b"\x88\x82\x00\x00\x00\x00\x0b\xb9", b"\xff" * 9], 3001),  # then more is not read
    ],
)
async def test_what_breaks_the_protocol_ends_its_own_connection(
    frames: list[bytes], code: int
) -> None:
    async with lines() as opened:
        bad, good = await opened.open(), await opened.open()
        for each in frames:
            bad.writer.write(each)
        assert await bad.code() == code
        assert await bad.ended()
        await until(lambda: len(opened.sockets.clients) == 1, within=5, what="it was forgotten")
        await good.send(TEXT_, b"alive")
        assert await good.next() == (TEXT, b"alive")


async def test_who_is_told_to_leave_closes_or_is_cut() -> None:
    async with lines() as opened:
        polite, deaf = await opened.open(), await opened.open()
        for connection in opened.connections:
            connection.disconnect(SHUTDOWN)
            connection.disconnect(SHUTDOWN)
        assert await polite.code() == 3001
        await polite.send(Opcode.CLOSE, b"\x0b\xb9")
        assert await polite.ended()
        assert not opened.sockets.clients
        await opened.sockets.gone(0.1)
        assert await deaf.code() == 3001
        assert await deaf.ended()


@pytest.mark.parametrize(
    "flood",
    [
        b"\x89\x80\x00\x00\x00\x00" * 50_000,  # pings
        b"\x8a\x80\x00\x00\x00\x00" * 50_000,  # pongs that nobody asked for
        b"\x01\x80\x00\x00\x00\x00" + b"\x00\x80\x00\x00\x00\x00" * 50_000,  # empty fragments
        b"\x01\x80\x00\x00\x00\x00" + b"\x00\x81\x00\x00\x00\x00a" * 50_000,
        b"\x81\x80\x00\x00\x00\x00" * 50_000,  # empty messages, answered each
    ],
)
async def test_a_flood_is_read_at_a_bounded_rate_beside_others(flood: bytes) -> None:
    async with lines() as opened:
        bad, good = await opened.open(), await opened.open()
        bad.writer.write(flood)
        connection = opened.connections[0]
        await until(lambda: not connection.transport.is_reading(), within=5, what="it is held back")
        for _ in range(50):
            await good.send(TEXT_, b"here")
            assert await good.next() == (TEXT, b"here")
        assert not connection.transport.is_closing()
        bad.writer.transport.abort()


async def test_a_reader_that_stops_keeps_the_newest_state_and_its_bound() -> None:
    async with lines(stall_timeout=60) as opened:
        stalled = await opened.open(limit=1024)
        connection = opened.connections[0]
        sock = connection.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        stalled.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for number in range(20_000):
            for row in range(3):
                frame = publication_push("board", _publication(number, row))
                connection.publish([(("board", str(row)), frame)])
            if number % 100 == 0:
                await asyncio.sleep(0)
        assert connection.slow
        assert len(connection) == 3
        assert connection.transport.get_write_buffer_size() < 65536
        stalled.writer.transport.resume_reading()  # type: ignore[attr-defined]
        last = b""
        while b'"offset":19999' not in last:
            last = (await stalled.next())[1]
        assert last.count(b"\n") == 2
        await until(lambda: not connection.slow, within=5, what="it is fast again")


def _publication(number: int, row: int) -> Publication:
    return Publication(data=Raw(b'"' + b"x" * 400 + b'"'), offset=number, key=str(row))


async def test_who_reads_on_after_the_stall_limit_finds_3008() -> None:
    async with lines(stall_timeout=0.3, ping_interval=0.4) as opened:
        stalled = await opened.open(limit=1024)
        connection = opened.connections[0]
        stalled.writer.transport.pause_reading()  # type: ignore[attr-defined]
        while not connection.slow:
            connection.publish([(("board", ""), b"x" * 50_000)])
        await until(lambda: not opened.sockets.clients, within=5, what="it was left")
        assert len(connection) == 0
        stalled.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert await stalled.code() == 3008
        await stalled.send(Opcode.CLOSE, b"\x0b\xc0")
        assert await stalled.ended()


async def test_a_churn_of_subscriptions_is_held_back_and_leaves_nothing_behind() -> None:
    async with lines(clients=True) as opened:
        bad, good = await opened.open(), await opened.open()
        for line in (bad, good):
            await line.send(TEXT_, b'{"id":1,"connect":{}}')
            assert b'"connect"' in (await line.next())[1]
        churn = [b'{"id":2,"subscribe":{"channel":"status:JFK"}}',
                 b'{"id":3,"unsubscribe":{"channel":"status:JFK"}}']  # fmt: skip
        masked = [bytes((0x81, 0x80 | len(each))) + bytes(4) + each for each in churn]
        bad.writer.write(b"".join(masked) * 5_000)
        connection = opened.connections[0]
        await until(lambda: not connection.transport.is_reading(), within=5, what="it is held back")
        for number in range(4, 54):
            await good.send(TEXT_, f'{{"id":{number},"ping":{{}}}}'.encode())
            assert (await good.next())[1] == f'{{"id":{number},"ping":{{}}}}'.encode()
        bad.writer.transport.abort()
        sockets = opened.sockets
        await until(lambda: len(sockets.clients) == 1, within=10, what="it was forgotten")
        assert not sockets.shared.hub.sinks
