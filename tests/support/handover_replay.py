"""Steps of the hand-over's model, taken by the real notifier, receipts and statements."""

import asyncio
import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
from msgspec import Raw

from realtime.database import QUERIES
from realtime.flight import Change
from realtime.notice_change import Significance
from realtime.notifier import Notifier
from realtime.receipts import Receipts
from realtime.sender import Notice, Outcome, Sent, Target
from realtime.settings import Settings
from tests.support.followers import ACCEPTED, IdleBus, add_person, epoch_of
from tests.support.handover_model import DEAD, LAST, Row, Rules, State, Step, moves
from tests.support.legs import add_legs, key_of

Pool = asyncpg.Pool
SETTINGS = Settings(grace=0, grace_urgent=0, lease=600)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
ANSWERS = {
    "sent": ACCEPTED,
    "retry": Sent(Outcome.RETRY, "503", retry_after=0.0),
    "no answer": Sent(Outcome.RETRY, "no answer", retry_after=0.0),
    "refused": Sent(Outcome.REFUSED, "bad payload"),
}
SHOWN = """SELECT
  (SELECT coalesce(json_agg(json_build_array(version - $2, state, coalesce(worker, ''))
     ORDER BY version), '[]') FROM delivery) AS rows,
  coalesce((SELECT version - $2 FROM receipt), 0) AS receipt,
  coalesce((SELECT nullif(attentive_version, 0) - $2 FROM receipt), 0) AS attentive,
  (SELECT substr(told ->> 'dep_gate', 2)::bigint - $2 FROM follow WHERE leg_id = $1) AS told"""


class PlainConnection(asyncpg.Connection):
    """A pool gives it back as it is: one round trip less for each statement."""

    def get_reset_query(self) -> str:
        return ""


class SteppedNotifier(Notifier):
    """Takes one batch at a time and stops before its send and before its record."""

    def __init__(self, pool: "Pool[asyncpg.Record]", name: str) -> None:
        super().__init__(pool, IdleBus(), self, SETTINGS, name)
        self.sending: Notice | None = None
        self.stopped = asyncio.Event()
        self.may_send: asyncio.Future[Sent] = asyncio.get_running_loop().create_future()
        self.may_record = asyncio.Event()
        self.task: asyncio.Task[bool] | None = None

    async def send(self, sends: Sequence[tuple[Target, Notice]]) -> list[Sent]:
        ((_, self.sending),) = sends
        self.stopped.set()
        return [await self.may_send]

    async def close(self) -> None:
        """Nothing is open."""

    async def _record(self) -> None:
        if self._results:
            self.stopped.set()
            await self.may_record.wait()
        await super()._record()

    async def take(self) -> None:
        """Claim and judge."""
        self.task = asyncio.create_task(self.deliver_batch())
        stop = asyncio.create_task(self.stopped.wait())
        await asyncio.wait([self.task, stop], return_when=asyncio.FIRST_COMPLETED)
        if not stop.done():
            stop.cancel()
            raise AssertionError(f"claimed nothing: {self.task.result()}")

    async def record(self) -> None:
        """Write down what became of it."""
        self.may_record.set()
        assert self.task is not None
        await self.task

    async def crash(self) -> None:
        """Be gone at once."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)


class Replay:
    """One follower of one leg in a database of its own, used for one trace after the other."""

    def __init__(self, pool: "Pool[asyncpg.Record]") -> None:
        self.pool = pool
        self.receipts = Receipts(pool)
        self.idle = SteppedNotifier(pool, "idle")

    async def prepare(self) -> None:
        """The leg, its follower and the phone."""
        (self.leg_id,) = await add_legs(self.pool, departs_in="2 hours")
        self.account_id = await add_person(self.pool, self.leg_id, "ok-phone")
        self.key, self.epoch = await key_of(self.pool, self.leg_id), await epoch_of(self.pool)

    async def begin(self, rules: Rules) -> None:
        """Forget the trace before; the follower knows the gate as it is."""
        self.rules = rules
        await self.pool.execute("DELETE FROM delivery")
        await self.pool.execute("DELETE FROM receipt")
        self.states: list[Any] = []
        self.expired = False
        self.workers = [SteppedNotifier(self.pool, name) for name in ("a", "b")]
        self.base: int = await self._set_gate()
        await self.pool.execute(
            "UPDATE follow SET told = jsonb_build_object('version', $1::bigint,"
            " 'dep_gate', 'G' || $1::bigint)",
            self.base,
        )

    async def end(self) -> None:
        """Whoever is still at work is gone."""
        for worker in self.workers:
            await worker.crash()

    async def _set_gate(self) -> int:
        row = await self.pool.fetchrow(
            "UPDATE flight_leg l SET dep_gate = 'G' || version + 1 WHERE leg_id = $1"
            " RETURNING version, public_state(l) AS state, board_now() AS at",
            self.leg_id,
        )
        assert row is not None
        self.states.append(row)
        version: int = row["version"]
        return version

    async def take_step(self, step: Step, before: State, after: State) -> None:
        """Do what the model did; outside of the server the model's word is enough."""
        name, *arguments = step
        if name == "commit":
            await self._set_gate()
        elif name == "enqueue":
            await self._enqueue(before.read + 1)
        elif name == "receipt":
            legs = {self.key: self.base + int(arguments[0])}
            await self.receipts.settle(self.account_id, self.epoch, bool(arguments[1]), legs)
        elif name == "expire":
            self.expired = True
            await self.pool.execute("UPDATE delivery SET expires_at = '2000-01-01Z'")
        elif name == "release":
            await self._release(int(arguments[0]))
        elif name in ("take", "send", "record", "crash"):
            await self._work(name, arguments, after)
        if any(row.state == "claimed" for row in after.rows):
            await self.pool.execute(QUERIES["release_leases"])
            assert not await self.pool.fetch(QUERIES["claim"], "c", 60, 9), "claimed beside a claim"

    async def _enqueue(self, version: int) -> None:
        row = self.states[version]
        urgent = self.rules.urgent[version - 1]
        expires_at = LONG_AGO if self.expired else row["at"] + timedelta(hours=2)
        change = Change(
            seq=version,
            kind="leg",
            at=row["at"],
            wall_at=row["at"],
            leg_id=self.leg_id,
            version=row["version"],
            state=Raw(row["state"].encode()),
        )
        found = Significance(("gate_changed",), urgent, None, expires_at)
        async with self.pool.acquire() as session, session.transaction():
            await self.idle._enqueue_change(session, self.epoch, change, found)

    async def _release(self, holder: int) -> None:
        """The lease of one holder is over, of nobody else."""
        alive = [worker.worker for worker in self.workers]
        names = [alive[holder]] if holder != DEAD else alive
        await self.pool.execute(
            "UPDATE delivery SET lease_until = '2000-01-01Z'"
            " WHERE state = 'claimed' AND (worker = ANY ($1)) = $2",
            names,
            holder != DEAD,
        )
        await self.pool.execute(QUERIES["release_leases"])

    async def _work(self, name: str, arguments: Sequence[int | str], after: State) -> None:
        number = int(arguments[0])
        worker, hands = self.workers[number], after.hands[number]
        if name == "take":
            await worker.take()
            assert (worker.sending is None) == bool(hands.outcome)
            if worker.sending is not None:
                assert worker.sending.version == self.base + hands.says
                assert worker.sending.id == f"{self.epoch}:{hands.rows[-1]}"
        elif name == "send":
            worker.stopped.clear()
            worker.may_send.set_result(ANSWERS[str(arguments[1])])
            await worker.stopped.wait()
        else:
            await (worker.record() if name == "record" else worker.crash())
            self.workers[number] = SteppedNotifier(self.pool, "ab"[number])
            if name == "record":  # what waits between two attempts is over
                await self.pool.execute(
                    "UPDATE delivery SET due_at = '2000-01-01Z', answers = answers - 'waits'"
                    " WHERE state = 'pending'"
                )
                self.workers[number].worker = worker.worker

    async def shown(self, state: State) -> State:
        """The model's state with what the database says in its place."""
        row = await self.pool.fetchrow(SHOWN, self.leg_id, self.base)
        assert row is not None
        names = {worker.worker: number for number, worker in enumerate(self.workers)}
        rows = tuple(
            Row(kind, names.get(worker, DEAD) if kind == "claimed" else -1)
            for _, kind, worker in json.loads(row["rows"])
        )
        return state._replace(
            rows=rows, receipt=row["receipt"], attentive=row["attentive"], told=row["told"]
        )


def walk(rules: Rules, dice: random.Random, socket: str) -> list[tuple[Step, State]]:
    """One way through the model until nothing more can happen."""
    state = State(socket=socket)
    trace: list[tuple[Step, State]] = []
    while True:
        after = list(moves(state, rules))
        at_rest = len(state.rows) == LAST and all(new.faults > state.faults for _, new in after)
        if not after or at_rest:
            return trace
        step, state = dice.choice(after)
        trace.append((step, state))
