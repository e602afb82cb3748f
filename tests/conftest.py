"""One PostgreSQL server for a worker of the run, one database for a test."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from api.database import create_schema
from realtime.database import open_pool
from tests.support.postgres import PostgresServer


def pytest_addoption(parser: pytest.Parser) -> None:
    """`make faults` gives 10."""
    parser.addoption(
        "--samples",
        type=Path,
        help="a folder with messages of real airports: tests/unit/test_samples.py reads them",
    )
    parser.addoption(
        "--times", type=int, default=1, help="how many times more faults the tests of faults inject"
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Nothing is skipped: without a folder of samples there is no test of them, and `make faults`
    alone has a cluster of brokers, which takes minutes."""
    name = collection_path.name
    left_out = (name == "test_samples.py" and config.getoption("--samples") is None) or (
        name == "test_cluster.py" and config.getoption("--times") == 1
    )
    return True if left_out else None


@pytest.fixture
def times(request: pytest.FixtureRequest) -> int:
    """How many times more faults than in `make test` are injected."""
    found: int = request.config.getoption("--times")
    return found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres_server() -> AsyncIterator[PostgresServer]:
    """The server, with the schema in its template."""
    async with PostgresServer(create_schema) as server:
        yield server


@pytest.fixture
async def dsn(
    postgres_server: PostgresServer, request: pytest.FixtureRequest
) -> AsyncIterator[str]:
    """The address of a fresh database with our schema."""
    async with postgres_server.database(request.node.name) as address:
        yield address


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
    """A pool on the fresh database."""
    opened = await open_pool(dsn, size=8)
    yield opened
    opened.terminate()
