"""Followers, their devices, and notifiers that serve them."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import asyncpg

from realtime.bus import Position
from realtime.change_log import ChangeLog
from realtime.flight import Change
from realtime.notifier import Notifier
from realtime.sender import Notice, Outcome, Sender, Sent, Target
from realtime.settings import Settings
from tests.support.tasks import at_work
from tests.support.wait import until

Pool = asyncpg.Pool
AT_ONCE = Settings(grace=0, grace_urgent=0, lease=30)
READ_ALL = (
    "SELECT (SELECT seq FROM log_reader WHERE name = 'notifier')"
    " = (SELECT last_seq FROM relay_state)"
)
ACCEPTED = Sent(Outcome.ACCEPTED)


class IdleBus:
    """A bus that nothing is asked of here."""

    async def run(self) -> None:
        raise NotImplementedError

    def follow(self, after: Position) -> AsyncIterator[list[Change]]:
        raise NotImplementedError

    async def wait_work(self, within: float) -> None:
        await asyncio.sleep(min(within, 0.02))


async def add_follower(pool: "Pool[asyncpg.Record]", *leg_ids: int) -> str:
    """An account that follows these legs."""
    account_id: uuid.UUID = await pool.fetchval(
        "INSERT INTO account (credential_hash) VALUES ('\\x00') RETURNING account_id"
    )
    for leg_id in leg_ids:
        await pool.execute(
            "INSERT INTO follow (account_id, leg_id) VALUES ($1, $2)", account_id, leg_id
        )
    return str(account_id)


async def epoch_of(pool: "Pool[asyncpg.Record]") -> str:
    return (await ChangeLog(pool).position()).epoch


class RecordingSender:
    """Remembers what it was given and answers as `answer` says."""

    def __init__(self, answer: Callable[[Target, Notice], Sent] = lambda *_: ACCEPTED) -> None:
        self.sent: list[tuple[Target, Notice]] = []
        self.accepted: Counter[tuple[str, str]] = Counter()
        self.answer = answer

    async def send(self, sends: Sequence[tuple[Target, Notice]]) -> list[Sent]:
        await asyncio.sleep(0)
        answers = [self.answer(target, notice) for target, notice in sends]
        self.sent += sends
        for (target, notice), answer in zip(sends, answers, strict=True):
            if answer.outcome is Outcome.ACCEPTED:
                self.accepted[target.target, notice.id] += 1
        return answers

    async def close(self) -> None:
        """Nothing is open."""


async def add_device(pool: "Pool[asyncpg.Record]", account_id: str, target: str) -> None:
    await pool.execute(
        "INSERT INTO device (account_id, platform, kind, target)"
        " VALUES ($1::text::uuid, 'web', 'fid', $2)",
        account_id,
        target,
    )


async def add_person(pool: "Pool[asyncpg.Record]", leg_id: int, *targets: str) -> str:
    """A follower of the leg with these devices."""
    account_id = await add_follower(pool, leg_id)
    for target in targets:
        await add_device(pool, account_id, target)
    return account_id


async def make(
    pool: "Pool[asyncpg.Record]", sender: Sender, settings: Settings = AT_ONCE, name: str = "n"
) -> Notifier:
    """A notifier whose reader stands at the end of the log."""
    notifier = Notifier(pool, IdleBus(), sender, settings, name)
    await ChangeLog(pool).sequence()
    while await notifier.enqueue_batch():
        pass
    return notifier


@asynccontextmanager
async def running(*notifiers: Notifier) -> AsyncIterator[None]:
    """The notifiers at work; a fault of one fails the test."""
    async with at_work(*(notifier.run() for notifier in notifiers)):
        yield


async def at_rest(pool: "Pool[asyncpg.Record]") -> bool:
    """The notifier has read the whole log and every delivery has ended."""
    done: bool = await pool.fetchval(
        f"{READ_ALL} AND NOT EXISTS (SELECT FROM delivery WHERE done_at IS NULL)"
    )
    return done


async def end_holds(pool: "Pool[asyncpg.Record]") -> int:
    """Sequence, wait for the deliveries of it and let what is held be due; how many were held."""
    await ChangeLog(pool).sequence()
    await until(lambda: pool.fetchval(READ_ALL), within=10, what="the log was read")
    ended = "UPDATE delivery SET held_until = board_now() WHERE held_until > board_now()"
    return int((await pool.execute(ended)).split()[-1])


async def finish(pool: "Pool[asyncpg.Record]", within: float = 10) -> list[tuple[int, str, str]]:
    """Sequence, wait until everything has ended; version, state and reason of all deliveries."""
    await ChangeLog(pool).sequence()
    await until(lambda: at_rest(pool), within=within, what="all deliveries ended")
    return await ends(pool)


async def ends(pool: "Pool[asyncpg.Record]") -> list[tuple[int, str, str]]:
    rows = await pool.fetch("SELECT version, state, reason FROM delivery ORDER BY leg_id, version")
    return [(row["version"], row["state"], row["reason"] or "") for row in rows]


async def cancel(pool: "Pool[asyncpg.Record]", leg_id: int) -> None:
    await pool.execute("UPDATE flight_leg SET irregularity = 'cancelled' WHERE leg_id = $1", leg_id)


async def reinstate(pool: "Pool[asyncpg.Record]", leg_id: int) -> None:
    await pool.execute("UPDATE flight_leg SET irregularity = 'none' WHERE leg_id = $1", leg_id)


async def finish_held(pool: "Pool[asyncpg.Record]", within: float = 15) -> None:
    """On a server whose relay and notifier run: let holds end, and wait until all has ended."""

    async def ended() -> bool:
        await pool.execute(
            "UPDATE delivery SET held_until = board_now() WHERE held_until > board_now()"
        )
        told = "SELECT NOT EXISTS (SELECT FROM unsequenced())"
        return bool(await pool.fetchval(told)) and await at_rest(pool)

    await until(ended, within=within, what="every delivery has ended")


async def add_crowd(
    pool: "Pool[asyncpg.Record]", leg_id: int, count: int, word: str = "ok", first: int = 0
) -> None:
    """So many followers of the leg, each with one device of target `<word>-<number>-device`."""
    await pool.execute(
        """WITH people AS (
             INSERT INTO account (credential_hash) SELECT '\\x00' FROM generate_series(1, $2::int)
             RETURNING account_id),
           numbered AS (SELECT account_id, row_number() OVER () + $4 AS n FROM people),
           following AS (INSERT INTO follow (account_id, leg_id) SELECT account_id, $1 FROM people)
           INSERT INTO device (account_id, platform, kind, target)
           SELECT account_id, 'web', 'fid', $3::text || '-' || n || '-device' FROM numbered""",
        leg_id,
        count,
        word,
        first,
    )
