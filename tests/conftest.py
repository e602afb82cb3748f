"""One PostgreSQL server for a worker of the run, one database for a test."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from xdist.scheduler import LoadScopeScheduling

from api.database import create_schema
from realtime.database import open_pool
from tests.support.postgres import PostgresServer

TIMED = (
    "faults/test_ledger", "faults/test_fcm", "e2e/test_freshness", "e2e/test_latency",
    "e2e/test_replay", "faults/test_broker", "faults/test_client_links", "faults/test_frozen_relay",
    "faults/test_long_transactions", "faults/test_cluster", "faults/test_bulk",
)  # fmt: skip
"""They judge how long something took: one worker runs them, never two at the same time; likewise
the other tests of faults."""
SLOW = (
    "faults/", "integration/test_handover_replay", "e2e/test_renewal", "e2e/test_settings",
    "e2e/test_screens", "e2e/",
)  # fmt: skip
"""What takes long, begun first: at the end no worker waits for another."""


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


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """A worker takes whole files, and one worker all that judge time.

    Not by xdist's own groups, whose marks it does not find again under pytest 9.2.
    """
    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = files_of
    return scheduler


def files_of(nodeid: str) -> str:
    """What is run by the same worker as this test."""
    if is_any(nodeid, TIMED):
        return "timed"
    return "faults" if is_any(nodeid, ["faults/"]) else nodeid.partition("::")[0]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In the order in which workers shall begin them, when there are workers."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: turn(item.nodeid))


def turn(nodeid: str) -> int:
    """The place of the first that it belongs to."""
    order = (*TIMED, *SLOW)
    return next((n for n, each in enumerate(order) if is_any(nodeid, [each])), len(order))


def is_any(nodeid: str, prefixes: Sequence[str]) -> bool:
    return nodeid.startswith(tuple(f"tests/{prefix}" for prefix in prefixes))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Without a folder of samples there is no test of them, so that none is skipped."""
    absent = config.getoption("--samples") is None
    return True if absent and collection_path.name == "test_samples.py" else None


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
