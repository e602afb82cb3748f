"""The REST API over a database of its own."""

from collections.abc import AsyncIterator

import pytest

from tests.support.rest import World


@pytest.fixture
async def world(dsn: str) -> AsyncIterator[World]:
    """Asked as a client would."""
    world = World(dsn)
    yield world
    await world.close()
