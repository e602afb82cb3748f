"""Waiting for a condition with a deadline, never for time to pass."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")
POLL = 0.02


@overload
async def until(
    condition: Callable[[], Awaitable[T]], *, within: float, what: str, every: float = POLL
) -> T: ...
@overload
async def until(
    condition: Callable[[], T], *, within: float, what: str, every: float = POLL
) -> T: ...
async def until(
    condition: Callable[[], object], *, within: float, what: str, every: float = POLL
) -> object:
    """Ask until the answer is truthy and return it; after `within` seconds fail, naming `what`."""
    clock = asyncio.get_running_loop().time
    give_up = clock() + within
    while True:
        answer = condition()
        value = await answer if inspect.isawaitable(answer) else answer
        if value:
            return value
        if clock() >= give_up:
            raise AssertionError(f"not within {within:g} s: {what}; last value {value!r}")
        await asyncio.sleep(every)
