"""The REST API over the database of a test."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.support.rest import World


@pytest.fixture
async def world(dsn: str, pool: "asyncpg.Pool[asyncpg.Record]") -> AsyncIterator[World]:
    made = World(dsn, pool)
    yield made
    await made.close()
