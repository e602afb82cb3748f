"""An open loop: when things begin is drawn ahead, and nobody's lateness moves it."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any

Begin = Callable[[int, float], Coroutine[Any, Any, None]]
"""Gets the number of an arrival and its moment."""


def poisson(dice: random.Random, rate: float, seconds: float) -> list[float]:
    """Offsets in seconds, `rate` a second on average."""
    arrivals: list[float] = []
    at = dice.expovariate(rate)
    while at < seconds:
        arrivals.append(at)
        at += dice.expovariate(rate)
    return arrivals


async def offer(arrivals: list[float], begin: Begin, give_up: float = 30.0) -> list[float]:
    """Begin each at its moment, whatever became of those before; how late each was begun."""
    late: list[float] = []
    if not arrivals:
        return late
    started = monotonic()
    async with asyncio.timeout(arrivals[-1] + give_up), asyncio.TaskGroup() as group:
        for number, offset in enumerate(arrivals):
            intended = started + offset
            await asyncio.sleep(max(0.0, intended - monotonic()))
            late.append(monotonic() - intended)
            group.create_task(begin(number, intended), name=f"arrival {number}")
    return late
