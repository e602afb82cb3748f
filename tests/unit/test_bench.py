"""The benchmark counts what it says it counts."""

import asyncio
import random
from itertools import pairwise
from time import monotonic

from bench.arrivals import offer, poisson
from bench.samples import figures_of


def test_percentiles_are_samples_by_nearest_rank() -> None:
    figures = figures_of([each / 1000 for each in range(100, 0, -1)])
    assert (figures.samples, figures.p50, figures.p90) == (100, 50, 90)
    assert (figures.p99, figures.max) == (99, 100)
    assert figures_of([0.007]).p50 == figures_of([0.007]).p99 == 7
    assert figures_of([]).samples == 0


def test_arrivals_are_drawn_ahead_and_alike_for_one_seed() -> None:
    drawn = poisson(random.Random(1), 200, 20)
    assert drawn == poisson(random.Random(1), 200, 20)
    assert drawn == sorted(drawn)
    assert 3_700 < len(drawn) < 4_300


async def test_a_slow_answer_and_a_busy_loop_delay_no_arrival() -> None:
    """No coordinated omission: all are begun while the first is still unanswered, and what the
    generator itself lost is told apart from their own moment."""
    intended: list[float] = []
    answered = asyncio.Event()
    arrivals = [0.01 * n for n in range(1, 11)]
    began = monotonic()

    async def begin(number: int, moment: float) -> None:
        intended.append(moment - began)
        if number == 9:
            answered.set()
        await answered.wait()

    late = await offer(arrivals, begin, give_up=5)
    gaps = [after - before for before, after in pairwise(intended)]
    assert len(late) == len(intended) == 10
    assert all(abs(gap - 0.01) < 1e-6 for gap in gaps)
