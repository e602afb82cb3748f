"""F10: notifiers may be killed at any point of their work."""

import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from realtime.change_log import ChangeLog
from realtime.errors import Refused
from realtime.receipts import Receipts
from realtime.relay import Relay
from realtime.sender_fcm import FcmSender
from tests.support.accounting import Evidence, account, check_claims, watch_claims
from tests.support.dying_notifier import POINTS, SETTINGS
from tests.support.fcm import REPOSITORY, FcmDouble
from tests.support.followers import add_person, at_rest, epoch_of, make, running
from tests.support.legs import add_legs, key_of, set_gate
from tests.support.process import Child
from tests.support.tasks import at_work
from tests.support.wait import until

Pool = asyncpg.Pool
KILLS, LEGS, PAUSE = 10, 20, 0.03
REPEATS = ("after the send", "in the record")
"""Points at which a notice is under way that nobody has written down."""


class Traffic:
    """Gate changes of some legs, and now and then somebody who looks at the new one."""

    def __init__(self, pool: "Pool[asyncpg.Record]", people: dict[int, str]) -> None:
        self.pool = pool
        self.people = people  # by leg
        self.evidence = Evidence()
        self.commits = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Together with a relay."""
        relay = Relay(self.pool, ChangeLog(self.pool))
        async with at_work(relay.run(), self._run()):
            yield

    async def _run(self) -> None:
        dice, epoch = random.Random(10), await epoch_of(self.pool)
        receipts = Receipts(self.pool)
        keys = {leg_id: await key_of(self.pool, leg_id) for leg_id in self.people}
        while True:
            leg_id = dice.choice(list(self.people))
            self.commits += 1
            await set_gate(self.pool, leg_id, f"G{self.commits}")
            if dice.random() < 0.3:
                await asyncio.sleep(dice.random() * 0.2)
                version = await self.pool.fetchval(
                    "SELECT version FROM flight_leg WHERE leg_id = $1", leg_id
                )
                account_id = self.people[leg_id]
                self.evidence.displayed[account_id, leg_id].append((version, True))
                await tell(receipts, account_id, epoch, {keys[leg_id]: version})
            await asyncio.sleep(PAUSE)


async def tell(receipts: Receipts, account_id: str, epoch: str, legs: Mapping[str, int]) -> None:
    """Come again when an enqueue has held the lock for too long, as clients do."""
    while True:
        try:
            await receipts.settle(account_id, epoch, True, legs)
            return
        except Refused as refused:
            if not refused.error.temporary:
                raise


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("point", POINTS)
async def test_notifiers_killed_at_one_point_all_the_time_leave_a_true_ledger(
    pool: "Pool[asyncpg.Record]",
    dsn: str,
    tmp_path: Path,
    times: int,
    point: str,
) -> None:
    """A8, I1-I3: one notifier after the other is SIGKILLed there. In the end every pair has one
    true end, and no phone got a notice more often than once for each that was killed with it."""
    legs = await add_legs(pool, LEGS, departs_in="18 minutes")  # gates may flap so close to it
    people = {
        leg_id: await add_person(
            pool, leg_id, *(f"ok-phone-{leg_id}-{n}" for n in range(1 + leg_id % 2))
        )
        for leg_id in legs
    }
    traffic, kills = Traffic(pool, people), KILLS * times
    account_file = tmp_path / "account.json"
    async with FcmDouble() as fcm:
        account_file.write_text(json.dumps(fcm.service_account), "utf-8")
        sender = await FcmSender.open(fcm.service_account, fcm.base_url)
        survivor = await make(pool, sender, SETTINGS)
        start: int = await pool.fetchval("SELECT last_seq FROM relay_state")
        await watch_claims(pool)
        command = [sys.executable, "-m", "tests.support.dying_notifier", dsn, str(account_file)]
        command += [fcm.base_url, point, str(kills)]
        async with traffic.running(), Child(command, folder=REPOSITORY) as child:
            assert await child.wait(60 + 10 * kills) == 0, child.output()
            lines = child.output().splitlines()
        await ChangeLog(pool).sequence()
        async with running(survivor):
            await until(lambda: at_rest(pool), within=60, what="every delivery has ended")
        traffic.evidence.note_pushes(await fcm.accepted())
        await sender.close()
    ledger = await account(pool, traffic.evidence, start)
    claims = await check_claims(pool)
    in_hand = Counter(tuple(line.split()) for line in lines if line != "killed")
    pushed = traffic.evidence.pushed
    doubled = {notice: count for notice, count in pushed.items() if count > 1}
    print(
        f"\nF10, killed {point}: {lines.count('killed')} kills, {traffic.commits} commits, {claims}"
        f" claims, {pushed.total()} pushes, {len(doubled)} notices more than once\n{ledger.line}"
    )
    assert lines.count("killed") == kills
    assert ledger.wrong == []
    allowed = in_hand if point in REPEATS else Counter()
    assert {n: count for n, count in doubled.items() if count > 1 + allowed[n]} == {}
    assert bool(doubled) == (point in REPEATS)
