"""Supervised background parts of a process: relay and notifier, as the process is told."""

import asyncio
from collections.abc import Sequence
from typing import Protocol


class Part(Protocol):
    """Something that runs until it is cancelled; its first fault ends the process."""

    async def run(self) -> None: ...


async def run_parts(parts: Sequence[tuple[str, Part]]) -> None:
    """Run all; the first that fails stops the others and is raised."""
    async with asyncio.TaskGroup() as group:
        for name, part in parts:
            group.create_task(part.run(), name=name)
