"""The statements of the push path take the same steps as the model of the hand-over."""

import random
import time
from collections import Counter

import asyncpg
import pytest

from realtime.database import SESSION
from tests.support.handover_model import Rules, State
from tests.support.handover_replay import PlainConnection, Replay, walk

TRACES = 2_000
RULES = [
    Rules(faults=2),
    Rules(faults=2, expiry=True),
    Rules(faults=2, urgent=(True, False)),
    Rules(faults=2, urgent=(False, True)),
]


@pytest.mark.timeout(600)
async def test_every_step_leaves_the_database_in_the_state_of_the_model(dsn: str) -> None:
    dice, begun = random.Random(34), time.monotonic()
    states: set[State] = set()
    steps: Counter[str] = Counter()
    async with asyncpg.create_pool(
        dsn, min_size=4, max_size=4, server_settings=SESSION, connection_class=PlainConnection
    ) as pool:
        replay = Replay(pool)
        await replay.prepare()
        for number in range(TRACES):
            rules = RULES[number % len(RULES)]
            before = State(socket=dice.choice(("up", "up", "down")))
            trace = walk(rules, dice, before.socket)
            await replay.begin(rules)
            for place, (step, state) in enumerate(trace, 1):
                await replay.take_step(step, before, state)
                taken = [taken for taken, _ in trace[:place]]
                assert await replay.shown(state) == state, (rules, taken)
                before = state
                states.add(state)
                steps[step[0]] += 1
            await replay.end()
    took = time.monotonic() - begun
    print(f"{TRACES} traces, {steps.total()} steps, {len(states)} states in {took:.0f} s: {steps}")
