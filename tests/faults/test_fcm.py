"""F11: a provider that answers late, badly or not at all; two notifiers, the real SDK, a double."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from time import monotonic
from typing import Any, NamedTuple

import asyncpg
import pytest
import pytest_asyncio

from realtime.change_log import ChangeLog
from realtime.claims import RETRY_BASE, RETRY_CAP
from realtime.sender import SEND_SHARE, Notice, Sent, Target
from realtime.sender_fcm import HTTP_TIMEOUT, FcmSender
from realtime.sender_gate import PAUSE_CAP
from realtime.settings import Settings
from tests.support.fcm import FcmDouble, Json
from tests.support.fcm_devices import reached
from tests.support.fcm_server import Step
from tests.support.followers import add_crowd, add_person, finish, make, running
from tests.support.legs import add_legs, set_gate
from tests.support.wait import until

Pool = asyncpg.Pool


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def double() -> AsyncIterator[FcmDouble]:
    async with FcmDouble(delay=0.03) as running_double:
        yield running_double


@pytest.fixture
async def fcm(double: FcmDouble, monkeypatch: pytest.MonkeyPatch) -> FcmDouble:
    """The double, clean, and trusted by the sender."""
    monkeypatch.setattr("realtime.sender_gate.MOST", AT_ONCE)
    for name, seconds in WAITS.items():
        monkeypatch.setattr(f"realtime.{name}", seconds / QUICKER)
    await double.force("")
    await double.reset()
    return double


class Overlaps:
    """Passes sends on; how often a device was being sent to by two callers at the same time."""

    def __init__(self, sender: FcmSender, under_way: set[tuple[str, str]]) -> None:
        self.sender = sender
        self.under_way = under_way
        self.found = self.calls = 0

    async def send(self, sends: Sequence[tuple[Target, Notice]]) -> list[Sent]:
        mine = {(target.target, notice.id) for target, notice in sends}
        self.found += len(mine & self.under_way)
        self.calls += 1
        self.under_way |= mine
        try:
            return await self.sender.send(sends)
        finally:
            self.under_way -= mine

    async def close(self) -> None:
        await self.sender.close()


async def test_no_answers_at_all_do_not_outlast_the_lease(
    pool: "Pool[asyncpg.Record]", fcm: FcmDouble
) -> None:
    """A claim whose lease has ended is another's: whoever still sent for it would send twice."""
    settings = Settings(grace=0, grace_urgent=0, lease=2.0)
    under_way: set[tuple[str, str]] = set()
    senders = [
        Overlaps(
            await FcmSender.open(fcm.service_account, fcm.base_url, settings.lease * SEND_SHARE),
            under_way,
        )
        for _ in range(2)
    ]
    (leg_id,) = await add_legs(pool)
    for number in range(60):
        await add_person(pool, leg_id, *(f"hang-{number}-{each}" for each in range(3)))
    notifiers = [await make(pool, sender, settings) for sender in senders]
    await set_gate(pool, leg_id, "22")
    await ChangeLog(pool).sequence()
    async with running(*notifiers):
        await until(
            lambda: (
                any(sender.found for sender in senders)
                or min(sender.calls for sender in senders) >= 2
            ),
            within=20,
            what="both have sent twice",
        )
    assert [sender.found for sender in senders] == [0, 0]
    assert await pool.fetchval("SELECT count(*) FROM delivery WHERE reason LIKE '%lease%'") == 0
    await asyncio.gather(*(sender.close() for sender in senders))


PEOPLE = 900
AT_ONCE = 40  # sends; with 90 the share of waste needs twice the people
WASTE = 0.05
QUICKER = 3.0  # all waiting times, and so the recovery that is allowed
RECOVERY = 60.0 / QUICKER
WAITS = {
    "sender_fcm.HTTP_TIMEOUT": HTTP_TIMEOUT,
    "sender_gate.PAUSE_CAP": PAUSE_CAP,
    "claims.RETRY_BASE": RETRY_BASE,
    "claims.RETRY_CAP": RETRY_CAP,
}
UNDER_WAY = 0.4  # seconds in which sends that had left before an answer may still arrive


class Trouble(NamedTuple):
    """What the provider does for a while, in which answers name this Retry-After."""

    word: str
    seconds: float
    how: dict[str, Any] = {}  # noqa: RUF012
    asked: float = 0.0


TROUBLES = {
    "503 that names no time": Trouble("unavail", 3, {"retry_after": 0}),
    "503 that names a date": Trouble("unavail", 3, {"retry_after": 3, "as_date": True}, 2),
    "429": Trouble("quota", 3, {"retry_after": 2}, 2),
    "no answer": Trouble("hang", 4),
    "streams reset": Trouble("reset", 3),
}


def wasted(requests: Sequence[Json]) -> int:
    return sum(request["status"] != 200 for request in requests)


def too_early(requests: Sequence[Json], asked: float) -> list[float]:
    """Sends in a time in which an answer had asked for none, after that answer."""
    refused = [each["answered_at"] for each in requests if each["status"] in (429, 503)]
    return [
        request["at"] - at
        for at in refused
        for request in requests
        if at + UNDER_WAY < request["at"] < at + asked
    ]


async def accepted_share(fcm: FcmDouble, share: float) -> bool:
    return len(await fcm.accepted()) >= share * PEOPLE


@asynccontextmanager
async def told(pool: "Pool[asyncpg.Record]", fcm: FcmDouble) -> AsyncIterator[None]:
    """A gate change is on its way to many people."""
    (leg_id,) = await add_legs(pool)
    await add_crowd(pool, leg_id, PEOPLE)
    sender = await FcmSender.open(fcm.service_account, fcm.base_url)
    notifier = await make(pool, sender)
    await set_gate(pool, leg_id, "22")
    await ChangeLog(pool).sequence()
    async with running(notifier):
        yield
    await sender.close()


async def recovered(pool: "Pool[asyncpg.Record]") -> float:
    """Seconds until everybody has been told."""
    begun = monotonic()
    states = Counter(state for _, state, _ in await finish(pool, within=2 * RECOVERY))
    assert states == {"sent": PEOPLE}
    return monotonic() - begun


@pytest.mark.parametrize("name", TROUBLES)
async def test_a_provider_in_trouble_is_spared_and_nothing_is_lost(
    pool: "Pool[asyncpg.Record]", fcm: FcmDouble, name: str
) -> None:
    trouble = TROUBLES[name]
    async with told(pool, fcm):
        await until(partial(accepted_share, fcm, 0.3), within=90, what="it goes well", every=0.1)
        await fcm.force(trouble.word, **trouble.how)
        await asyncio.sleep(trouble.seconds)
        await fcm.force("")
        seconds = await recovered(pool)
    requests = await fcm.requests()
    lost = wasted(requests)
    print(f"F11 {name}: sends={len(requests)} wasted={lost} recovery={seconds:.1f} s")
    assert 0 < lost <= WASTE * len(requests)
    assert seconds <= RECOVERY
    assert too_early(requests, trouble.asked) == []
    assert_alerted_once(await fcm.accepted(), repeats=0 if trouble.word != "hang" else lost)


def assert_alerted_once(accepted: Sequence[Json], repeats: int) -> None:
    """Every device, whatever order FCM delivers in and however often."""
    assert PEOPLE <= len(accepted) <= PEOPLE + repeats
    devices = reached(accepted, random.Random(5))
    assert len(devices) == PEOPLE
    assert {tuple(device.alerts.values()) for device in devices.values()} == {(1,)}


@pytest.mark.parametrize("end", ["cut", "goaway"])
async def test_a_connection_that_ends_costs_what_was_under_way(
    pool: "Pool[asyncpg.Record]", fcm: FcmDouble, end: str
) -> None:
    """The SDK's client gives up all that is under way, also what a GOAWAY says was processed."""
    async with told(pool, fcm):
        await until(partial(accepted_share, fcm, 0.3), within=90, what="it goes well", every=0.1)
        await fcm.script([Step(end)])
        seconds = await recovered(pool)
    requests = await fcm.requests()
    repeats = len(requests) - PEOPLE
    print(f"F11 {end}: sends={len(requests)} repeated={repeats} recovery={seconds:.1f} s")
    assert (0 if end == "goaway" else 1) <= repeats <= WASTE * len(requests)
    assert len({request["connection"] for request in requests}) >= 2
    assert seconds <= RECOVERY
    assert_alerted_once(await fcm.accepted(), repeats=repeats)
