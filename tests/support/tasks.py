"""Work that goes on beside a test."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

Tasks = list["asyncio.Task[object]"]


@asynccontextmanager
async def at_work(*work: Coroutine[Any, Any, object]) -> AsyncIterator[Tasks]:
    """Until the end of the block; what fails, or ends by itself, fails the test then."""
    tasks: Tasks = [asyncio.create_task(each) for each in work]
    try:
        yield tasks
    finally:
        early = [task for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended
    assert not early, early
