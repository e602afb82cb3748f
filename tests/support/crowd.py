"""Followers as they are: at a screen, away from it, on the move, asleep; each writes down what its
screens displayed."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, time
from typing import Any

import asyncpg
import msgspec
from msgspec import Struct

from api.preferences import wanted_kinds
from realtime.follower import TOLD_FIELDS, Preferences, Quiet
from realtime.tokens import Tokens
from tests.support.accounting import Evidence
from tests.support.client import RawClient
from tests.support.followers import add_device
from tests.support.load import COME_BACK, LINK_LOST
from tests.support.tasks import at_work
from tests.support.wait import until

Pool = asyncpg.Pool
ACK_AFTER = 0.05
STAYS, LEAVES = (0.8, 2.5), (0.3, 1.5)
NIGHT = Quiet(time(21), time(7))


class Habit(Struct, frozen=True):
    """One kind of follower; a `phones` word tells the double how to answer."""

    name: str
    phones: tuple[str, ...] = ("ok",)
    screen: bool = False
    visible: bool = True
    there: bool = False  # with input: receipts settle urgent notices too
    moves: bool = False  # comes and goes
    loses: float = 0.0  # share of the receipts that never arrive
    role: str = "passenger"
    preferences: Preferences = Preferences()


HABITS = (
    Habit("watching", screen=True, there=True),
    Habit("glancing", screen=True),
    Habit("hidden tab", screen=True, visible=False),
    Habit("on the move", screen=True, there=True, moves=True),
    Habit("lossy", screen=True, there=True, loses=0.3),
    Habit("screen and two phones", ("ok", "ok"), screen=True, there=True),
    Habit("offline"),
    Habit("two phones", ("ok", "ok")),
    Habit("asleep", preferences=Preferences(quiet=NIGHT, zone="America/New_York")),
    Habit("cancellations only", preferences=Preferences(kinds=("cancelled",))),
    Habit("picks up", role="pick_up"),
    Habit("no phone", ()),
    Habit("poor network", ("flaky",)),
    Habit("uninstalled", ("unreg",)),
)


class Person:
    """One account that follows some legs; `lost` are the receipts of its screen that never arrived,
    by leg key and version."""

    def __init__(self, habit: Habit, name: str, account_id: str, keys: Sequence[str]) -> None:
        self.habit = habit
        self.account_id = account_id
        self.legs = list(keys)
        self.targets = [f"{word}-{name}-{n}-device" for n, word in enumerate(habit.phones)]
        self.lost: list[tuple[str, int]] = []
        self.connected = asyncio.Event()


class Crowd:
    """Everybody, over one node; `evidence` is what their screens displayed."""

    def __init__(self, pool: "Pool[asyncpg.Record]", url: str, secret: str, seed: int = 7) -> None:
        self.pool = pool
        self.url = url
        self.tokens = Tokens(secret)
        self.people: list[Person] = []
        self.evidence = Evidence()
        self.dice = random.Random(seed)
        self.leg_ids: dict[str, int] = {}

    async def add(self, habit: Habit, keys: Sequence[str]) -> Person:
        """Somebody who knows these legs as they are."""
        account_id: str = await self.pool.fetchval(
            "INSERT INTO account (credential_hash, preferences) VALUES ('\\x00', $1)"
            " RETURNING account_id::text",
            msgspec.json.encode(habit.preferences).decode(),
        )
        rows = await self.pool.fetch(FOLLOW, account_id, keys, habit.role,
            wanted_kinds(habit.role, habit.preferences), list(TOLD_FIELDS))  # fmt: skip
        self.leg_ids |= {row["key"]: row["leg_id"] for row in rows}
        person = Person(habit, f"{len(self.people)}", account_id, keys)
        for target in person.targets:
            await add_device(self.pool, account_id, target)
        self.people.append(person)
        return person

    def add_screen(self, habit: Habit, person: Person) -> None:
        """Another screen of the same account, without phones."""
        self.people.append(Person(habit, "", person.account_id, person.legs))

    @asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        """Their screens are on."""
        screens = [each for each in self.people if each.habit.screen]
        async with at_work(*map(self._live, screens)):
            for each in screens:
                await until(each.connected.is_set, within=30, what="a screen is connected")
            yield

    async def _live(self, person: Person) -> None:
        while True:
            stays = self.dice.uniform(*STAYS) if person.habit.moves else None
            try:
                async with RawClient(self.url, open_timeout=5, close_timeout=0.2) as client:
                    async with asyncio.timeout(stays):
                        await self._look(person, client)
            except LINK_LOST:
                away = LEAVES if person.habit.moves else COME_BACK
                await asyncio.sleep(self.dice.uniform(*away))

    async def _look(self, person: Person, client: RawClient) -> None:
        await client.connect(self.tokens.mint(person.account_id, datetime.now(UTC)))
        shown: dict[str, int] = {}
        for key in person.legs:
            result = await client.subscribe(f"flight:{key}")
            epoch = result["epoch"]
            for publication in result["publications"]:
                shown[key] = publication["offset"]
        person.connected.set()
        while True:
            await self._acknowledge(person, client, epoch, shown)
            shown = {}
            push = await self._next(client)
            while push is not None:
                if "pub" in push:
                    shown[push["channel"].removeprefix("flight:")] = push["pub"]["offset"]
                try:
                    async with asyncio.timeout(ACK_AFTER):
                        push = await self._next(client)
                except TimeoutError:
                    push = None

    async def _next(self, client: RawClient) -> dict[str, Any] | None:
        """The next push, None for anything else."""
        if client.pushes:
            return client.pushes.popleft()
        line = await client.line()
        await client.pong()
        found: dict[str, Any] | None = line.get("push")
        return found

    async def _acknowledge(
        self, person: Person, client: RawClient, epoch: str, shown: dict[str, int]
    ) -> None:
        habit = person.habit
        if not habit.visible or not shown:
            return
        for key, version in shown.items():
            about = person.account_id, self.leg_ids[key]
            self.evidence.displayed[about].append((version, habit.there))
        if self.dice.random() < habit.loses:
            person.lost += shown.items()
            return
        data = {"epoch": epoch, "attentive": habit.there, "legs": shown}
        reply: dict[str, Any] = {"error": {"temporary": True}}
        while reply.get("error", {}).get("temporary"):  # an enqueue held the lock for too long
            reply = await client.command("rpc", {"method": "ack", "data": data})
        assert "rpc" in reply, json.dumps(reply)


FOLLOW = """
WITH added AS (
  INSERT INTO follow (account_id, leg_id, role, kinds, told)
  SELECT $1::text::uuid, l.leg_id, $3, $4, (SELECT coalesce(jsonb_object_agg(name, s -> name), '{}')
      || jsonb_build_object('version', l.version) FROM unnest($5::text[]) name WHERE s ? name)
  FROM flight_leg l, public_state(l) s WHERE l.key = ANY ($2::text[]) RETURNING leg_id)
SELECT key, leg_id FROM flight_leg WHERE key = ANY ($2::text[])
"""
