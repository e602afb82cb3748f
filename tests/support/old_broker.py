"""A broker of before 3.10, as far as a connection gets: no such RabbitMQ can be installed here."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from pika import frame, spec

HEADER = 8


@asynccontextmanager
async def old_broker(version: str) -> AsyncIterator[int]:
    """Its port on loopback."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readexactly(HEADER)
            say(writer, start(version))
            await hear(reader)  # start-ok
            say(writer, spec.Connection.Tune(channel_max=100, frame_max=131072, heartbeat=10))
            await hear(reader)  # tune-ok
            await hear(reader)  # open
            say(writer, spec.Connection.OpenOk())
            await hear(reader)  # close, as the version is known now
            say(writer, spec.Connection.CloseOk())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def start(version: str) -> spec.Connection.Start:
    properties = {"product": "RabbitMQ", "version": version, "capabilities": {}}
    return spec.Connection.Start(
        server_properties=properties, mechanisms="PLAIN AMQPLAIN", locales="en_US"
    )


def say(writer: asyncio.StreamWriter, method: object) -> None:
    writer.write(frame.Method(0, method).marshal())


async def hear(reader: asyncio.StreamReader) -> None:
    """One frame: type, channel and size, the payload, the end mark."""
    head = await reader.readexactly(7)
    await reader.readexactly(int.from_bytes(head[3:7], "big") + 1)
