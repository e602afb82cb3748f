"""A database that may crash without harm to the tests beside it."""

from collections.abc import AsyncIterator

import pytest

from tests.support.crashing import Crashing, crashing_server


@pytest.fixture
async def crashing() -> AsyncIterator[Crashing]:
    async with crashing_server() as crashing:
        yield crashing
