"""What this machine gives at the moment, without Gatecast: one commit, one trip over a socket."""

import asyncio
import random
import sys
from time import monotonic

import asyncpg
import websockets
from msgspec import Struct

from bench.arrivals import offer, poisson
from bench.samples import Figures, figures_of
from tests.support.ports import free_port
from tests.support.process import Child
from tests.support.wait import until

RATE, SECONDS = 200.0, 4.0
PAYLOAD_BYTES = 400


class Baseline(Struct, frozen=True):
    """`commit`: a one-row UPDATE of a table without triggers; `echo`: there and back over a
    loopback WebSocket; `timer`: how late a timer of this process fires."""

    commit: Figures
    echo: Figures
    timer: Figures

    @property
    def floor(self) -> float:
        """The least that a change can cost here: the sequencer's commit and one socket trip, ms."""
        return self.commit.p50 + self.echo.p50


async def measure_baseline(dsn: str, dice: random.Random) -> Baseline:
    """A few seconds each, with the arrivals of the busy load."""
    commit, late = await _commits(dsn, dice)
    return Baseline(figures_of(commit), figures_of(await _echoes(dice)), figures_of(late))


async def _commits(dsn: str, dice: random.Random) -> tuple[list[float], list[float]]:
    took: list[float] = []
    async with asyncpg.create_pool(dsn, min_size=8, max_size=8) as pool:
        await pool.execute("CREATE TABLE bench_row (id int PRIMARY KEY, n bigint NOT NULL)")
        await pool.execute("INSERT INTO bench_row SELECT g, 0 FROM generate_series(0, 99) g")

        async def commit(number: int, _: float) -> None:
            async with pool.acquire() as session:
                began = monotonic()
                await session.execute("UPDATE bench_row SET n = n + 1 WHERE id = $1", number % 100)
                took.append(monotonic() - began)

        late = await offer(poisson(dice, RATE, SECONDS), commit)
    return took, late


async def _echoes(dice: random.Random) -> list[float]:
    port = free_port()
    took: list[float] = []
    sent: dict[int, float] = {}
    padding = "x" * PAYLOAD_BYTES
    async with Child([sys.executable, "-m", "bench.echo", str(port)]) as child:
        await until(lambda: _listens(port), within=20, what="the echo answers")
        async with websockets.connect(f"ws://127.0.0.1:{port}/", compression=None) as socket:

            async def send(number: int, _: float) -> None:
                sent[number] = monotonic()
                await socket.send(f"{number} {padding}")

            async def receive() -> None:
                async for frame in socket:
                    came = monotonic()
                    took.append(came - sent[int(str(frame).partition(" ")[0])])

            receiving = asyncio.create_task(receive(), name="echo receive")
            await offer(poisson(dice, RATE, SECONDS), send)
            await until(lambda: len(took) == len(sent), within=5, what="all echoes")
        await receiving
        child.kill()
    return took


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
