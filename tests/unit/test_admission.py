"""How many may come in, and who is cut before that."""

import asyncio

import pytest
import websockets

from realtime.admission import Admission
from tests.support.peers import guarded

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def test_a_storm_is_let_in_at_its_rate_and_nobody_else_waits() -> None:
    admission = Admission()
    assert sum(admission.take(100.0, 50) for _ in range(500)) == 100
    assert [admission.take(100.01, 50), admission.take(100.03, 50)] == [False, True]
    assert sum(admission.take(101.03, 50) for _ in range(500)) == 50
    assert sum(admission.take(200.0, 50) for _ in range(500)) == 100


@pytest.mark.parametrize("beginning", [b"", GET[:-2] + b"A: ", GET + GET[:-2]])
async def test_a_request_that_does_not_come_ends_its_connection(beginning: bytes) -> None:
    async with guarded(0.3) as (port, guard):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(beginning)
        async with asyncio.timeout(10):
            try:
                answered = await reader.read()
            except ConnectionError:
                answered = b""
        assert answered.count(b"200 OK") == beginning.count(b"\r\n\r\n")
        assert not guard.owing
        writer.transport.abort()


async def test_who_was_answered_owes_nothing() -> None:
    async with guarded(0.3) as (port, guard):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(GET)
            async with asyncio.timeout(10):
                assert await reader.readuntil(b"ok") != b""
            assert not guard.owing
        writer.transport.abort()


async def test_a_socket_owes_nothing_after_its_handshake() -> None:
    async with guarded(0.3) as (port, guard):
        socket = await websockets.connect(f"ws://127.0.0.1:{port}/socket")
        assert await socket.recv() == "ok"
        assert not guard.owing
        await socket.close()
