"""The fault proxy does what it says, to a real echo server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from time import monotonic

import pytest

from tests.support.fault_proxy import HOST, FaultProxy
from tests.support.ports import free_port
from tests.support.wait import until

pytestmark = pytest.mark.timeout(20)
SOON = 2.0


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(65_536):
            writer.write(chunk)
            await writer.drain()
    writer.close()


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    """In front of an echo server."""
    port = free_port()
    server = await asyncio.start_server(echo, HOST, port)
    async with server, FaultProxy((HOST, port)) as proxy:
        yield proxy


class Caller:
    """One client connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, text: bytes) -> float:
        """Seconds until it came back."""
        asked_at = monotonic()
        self.writer.write(text)
        async with asyncio.timeout(SOON):
            assert await self.reader.readexactly(len(text)) == text
        return monotonic() - asked_at

    async def silent(self, seconds: float = 0.2) -> bool:
        """Nothing comes, not even an end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.reader.read(1)
                return False
        return True


@asynccontextmanager
async def calling(proxy: FaultProxy) -> AsyncIterator[Caller]:
    reader, writer = await asyncio.open_connection(HOST, proxy.port)
    try:
        yield Caller(reader, writer)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def test_it_carries_bytes_and_ends_both_ways(proxy: FaultProxy) -> None:
    async with calling(proxy) as caller:
        await caller.ask(b"x" * 300_000)
        caller.writer.write_eof()
        assert await asyncio.wait_for(caller.reader.read(), SOON) == b""
    await until(lambda: proxy.connections == 0, within=SOON, what="the connection is gone")
    assert proxy.carried == 600_000


async def test_latency_is_added_each_way_and_taken_off_again(proxy: FaultProxy) -> None:
    async with calling(proxy) as caller:
        await caller.ask(b"warm")
        proxy.latency = 0.1
        assert await caller.ask(b"slow") >= 0.2
        proxy.mend()
        assert await caller.ask(b"fast") < 0.2


async def test_a_narrow_way_takes_as_long_as_it_must(proxy: FaultProxy) -> None:
    proxy.bandwidth = 40_000
    async with calling(proxy) as caller:
        assert 0.2 <= await caller.ask(b"x" * 10_000) < 1.5


async def test_a_frozen_way_keeps_what_was_sent(proxy: FaultProxy) -> None:
    async with calling(proxy) as caller:
        await caller.ask(b"before")
        proxy.freeze()
        caller.writer.write(b"held")
        assert await caller.silent()
        async with calling(proxy) as late:
            late.writer.write(b"new")
            assert await late.silent()
            proxy.thaw()
            assert await asyncio.wait_for(late.reader.readexactly(3), SOON) == b"new"
        assert await asyncio.wait_for(caller.reader.readexactly(4), SOON) == b"held"


async def test_a_reset_is_one_for_the_caller(proxy: FaultProxy) -> None:
    async with calling(proxy) as caller:
        await caller.ask(b"before")
        assert proxy.reset() == 1
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(caller.reader.read(), SOON)
    async with calling(proxy) as next_caller:
        await next_caller.ask(b"after")


async def test_half_closed_towards_the_client_the_server_still_hears(proxy: FaultProxy) -> None:
    async with calling(proxy) as caller:
        await caller.ask(b"before")
        proxy.half_close("down")
        assert await asyncio.wait_for(caller.reader.read(), SOON) == b""
        carried = proxy.carried
        caller.writer.write(b"more")
        await until(lambda: proxy.carried == carried + 4, within=SOON, what="it arrived")


async def test_half_closed_towards_the_server_its_answers_still_come(proxy: FaultProxy) -> None:
    async with calling(proxy) as caller:
        await caller.ask(b"before")
        proxy.half_close("up")
        assert await asyncio.wait_for(caller.reader.read(), SOON) == b""  # the echo server left


async def test_a_black_hole_swallows_and_lets_new_connections_hang(proxy: FaultProxy) -> None:
    async with calling(proxy) as caller:
        await caller.ask(b"before")
        proxy.drop()
        caller.writer.write(b"lost")
        assert await caller.silent()
        async with calling(proxy) as late:
            late.writer.write(b"lost too")
            assert await late.silent()
            proxy.mend()
            with pytest.raises(ConnectionResetError):
                await asyncio.wait_for(late.reader.read(), SOON)
        with pytest.raises(ConnectionResetError):  # a stream with a hole is of no use
            await asyncio.wait_for(caller.reader.read(), SOON)
    async with calling(proxy) as next_caller:
        await next_caller.ask(b"after")


async def test_refused_connections_leave_open_ones_alone(proxy: FaultProxy) -> None:
    async with calling(proxy) as caller:
        await caller.ask(b"before")
        proxy.refuse()
        await caller.ask(b"meanwhile")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(HOST, proxy.port)
        proxy.mend()
        async with calling(proxy) as next_caller:
            await next_caller.ask(b"after")


async def test_a_dead_target_is_a_reset(proxy: FaultProxy) -> None:
    proxy.target = (HOST, free_port())
    async with calling(proxy) as caller:
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(caller.reader.read(), SOON)


def test_addresses_lead_through_it() -> None:
    amqp = FaultProxy((HOST, 5672))
    assert amqp.leads("amqp://a:b@127.0.0.1:5672/%2F") == f"amqp://a:b@{HOST}:{amqp.port}/%2F"
