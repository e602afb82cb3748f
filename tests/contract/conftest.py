"""Both buses over a database of their own; one broker for the run."""

from collections.abc import AsyncIterator, Mapping, Sequence

import asyncpg
import pytest
import pytest_asyncio

from realtime.bus_log import LogBus
from realtime.bus_rabbitmq import RabbitBus
from realtime.change_log import ChangeLog
from tests.support.bus import Bus, running
from tests.support.certificate import issue
from tests.support.fcm import FcmDouble
from tests.support.gatecast import Gatecast
from tests.support.legs import add_legs
from tests.support.operated import operated
from tests.support.postgres import PostgresServer
from tests.support.rabbitmq import RabbitNode

Pool = asyncpg.Pool


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def rabbit(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RabbitNode]:
    """One RabbitMQ node, with a TLS port as well; a test that harms it mends it."""
    files = issue(tmp_path_factory.mktemp("broker"), "localhost", "127.0.0.1")
    async with RabbitNode(tls=files) as node:
        yield node


@pytest.fixture
def log(pool: "Pool[asyncpg.Record]") -> ChangeLog:
    return ChangeLog(pool)


@pytest.fixture
async def legs(pool: "Pool[asyncpg.Record]") -> Sequence[int]:
    return await add_legs(pool, 20)


@pytest.fixture(params=["log", "rabbitmq"])
def amqp_url(request: pytest.FixtureRequest) -> str:
    """Empty: there is no broker."""
    return "" if request.param == "log" else request.getfixturevalue("rabbit").url


@pytest.fixture
async def bus(amqp_url: str, log: ChangeLog) -> AsyncIterator[Bus]:
    """Each of the two, running."""
    made: Bus = RabbitBus(amqp_url, log) if amqp_url else LogBus(log)
    async with running(made):
        yield made


@pytest.fixture
async def rabbit_bus(rabbit: RabbitNode, log: ChangeLog) -> AsyncIterator[RabbitBus]:
    made = RabbitBus(rabbit.url, log)
    async with running(made):
        yield made


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def parts(
    postgres_server: PostgresServer, rabbit: RabbitNode, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Mapping[str, Gatecast]]:
    """One process of each kind, by kind, over a database of their own with twenty legs."""
    folder = tmp_path_factory.mktemp("operated")
    async with postgres_server.database("operated") as dsn, FcmDouble() as fcm:
        pool = await asyncpg.create_pool(dsn, min_size=1, max_size=1)
        await add_legs(pool, 20)
        pool.terminate()
        async with operated(dsn, rabbit, fcm, folder) as started:
            yield started
