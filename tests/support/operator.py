"""A database and a shell beside it: commands are run as an operator runs them."""

import asyncio
import os
import subprocess
import sys

from tests.support.rest import World


class Operator(World):
    """The world of REST with `gatecast …` in a process of its own."""

    def __init__(self, dsn: str) -> None:
        super().__init__(dsn)
        self.dsn = dsn

    async def run(self, *words: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "GATECAST_DATABASE_URL": self.dsn, **settings}
        command = [sys.executable, "-m", "api", *words]
        return await asyncio.to_thread(
            subprocess.run, command, env=environment, capture_output=True, text=True, timeout=60
        )
