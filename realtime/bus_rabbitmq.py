"""The bus with a broker: RabbitMQ carries changes, the change log fills whatever it lost.

What travels is CloudEvents 1.0 in AMQP binary mode; the epoch is part of `cloudEvents:source`.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from msgspec import Struct

from realtime.amqp import NACKED, AmqpFault, Confirm, KeptLink, Link, State
from realtime.bus import Position
from realtime.bus_intake import Arrival, Counts, Follower, Intake, LogReach
from realtime.change_log import ChangeLog
from realtime.errors import Unconfirmed
from realtime.flight import Change, FlightLeg
from realtime.notice_change import significance
from realtime.notice_kinds import KINDS

CHANGES, DEAD_LETTERS = "gc.changes", "gc.dlx"
WORK, DEAD_WORK = "notify.work", "notify.dead"
WORK_QUEUE = {
    "x-queue-type": "quorum",
    "x-delivery-limit": 20,
    "x-dead-letter-exchange": DEAD_LETTERS,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}
WORK_PREFETCH = 20
UNCONFIRMED = 500
CONFIRM_WITHIN = 5.0
LINK_WITHIN = 1.0  # the relay holds a row lock while it publishes
LEG, CLOCK, TICK = "io.gatecast.leg.changed.v1", "io.gatecast.clock.v1", "io.gatecast.tick.v1"
SOURCE = "/gatecast/"
PERSISTENT, TRANSIENT = 2, 1
WORST_FIRST: tuple[State, ...] = ("blocked", "down", "up")


# What travels ------------------------------------------------------------------------------------


class Confirms(Struct):
    """What became of publishes; `slow`: no answer within the limit, `lost`: with their link."""

    taken: int = 0
    nacked: int = 0
    slow: int = 0
    lost: int = 0


class Tick(Struct):
    """Where the log ends."""

    epoch: str
    last_seq: int


STATE = msgspec.json.Decoder(FlightLeg)
CHANGED = msgspec.json.Decoder(dict[str, list[object]])
CHANGE = msgspec.json.Decoder(Change)
TICKED = msgspec.json.Decoder(Tick)
Parcel = tuple[str, bytes, Mapping[str, Any]]
"""Routing key, body and properties."""


def pack_change(epoch: str, change: Change, notable: Sequence[str]) -> Parcel:
    """A row of the log as it travels."""
    body = {name: getattr(change, name) for name in ("seq", "kind", "at", "wall_at", "state")}
    if change.kind == "clock":
        key, headers = "clk", headers_of(CLOCK, epoch, str(change.seq), change.wall_at)
    else:
        leg = STATE.decode(change.state)
        found = significance(CHANGED.decode(change.changed), leg, change.at)
        kind = next((kind for kind in found.kinds if kind in notable), "-") if found else "-"
        key = f"chg.{leg.dep_airport}.{leg.arr_airport}.{kind}"
        headers = headers_of(LEG, epoch, str(change.seq), change.wall_at)
        headers["cloudEvents:subject"] = leg.key
        for name in ("leg_id", "version", "feed", "changed"):
            body[name] = getattr(change, name)
    return key, msgspec.json.encode(body), properties_of(headers, PERSISTENT)


def pack_tick(end: Position) -> Parcel:
    """The end of the log as it travels."""
    headers = headers_of(TICK, end.epoch, f"tick-{time.time_ns()}", datetime.now(UTC))
    body = msgspec.json.encode(Tick(end.epoch, end.seq))
    return "tick", body, properties_of(headers, TRANSIENT)


def unpack(headers: Mapping[str, object], body: bytes) -> Arrival | None:
    """What has arrived; None for what a later version may send."""
    kind = headers.get("cloudEvents:type")
    if kind == TICK:
        tick = TICKED.decode(body)
        return tick.epoch, Position(tick.epoch, tick.last_seq)
    if kind in (LEG, CLOCK):
        return str(headers.get("cloudEvents:source")).removeprefix(SOURCE), CHANGE.decode(body)
    return None


def headers_of(kind: str, epoch: str, ident: str, at: datetime) -> dict[str, str]:
    """The context attributes of CloudEvents."""
    return {
        "cloudEvents:specversion": "1.0",
        "cloudEvents:type": kind,
        "cloudEvents:source": f"{SOURCE}{epoch}",
        "cloudEvents:id": ident,
        "cloudEvents:time": at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
    }


def properties_of(headers: Mapping[str, str], delivery_mode: int) -> Mapping[str, Any]:
    """The AMQP properties."""
    return {
        "content_type": "application/json",
        "message_id": headers["cloudEvents:id"],
        "delivery_mode": delivery_mode,
        "headers": dict(headers),
    }


# The bus -----------------------------------------------------------------------------------------


class RabbitBus:
    """Bus and publisher; only those links are opened that the process turns out to need.

    For readiness: `link` is the broker; `away` and `down_since` are the change log.
    """

    def __init__(
        self,
        url: str,
        log: ChangeLog,
        *,
        notable: Sequence[str] = KINDS,
        node_prefetch: int = 500,
        node_backlog: int = 20_000,
        confirm_within: float = CONFIRM_WITHIN,
    ) -> None:
        self.log = log
        self.notable = notable
        self.counts = Counts()
        self.confirms = Confirms()
        self._node_prefetch = node_prefetch
        self._node_backlog = node_backlog
        self._confirm_within = confirm_within
        self._intake = Intake()
        self._reach = LogReach()
        self._work = asyncio.Event()
        self._work_tag = self._work_seen = self._work_acknowledged = 0
        self._publishing = KeptLink(url, "relay", self._prepare_publishing)
        self._following = KeptLink(url, "node", self._prepare_following)
        self._waking = KeptLink(url, "notifier", self._prepare_waking)

    @property
    def link(self) -> State:
        """The worst of the links that are needed."""
        states = set(self.links.values())
        return next((state for state in WORST_FIRST if state in states), "down")

    @property
    def links(self) -> Mapping[str, State]:
        """Of each link that is needed, by its name."""
        links = (self._publishing, self._following, self._waking)
        return {kept.name: kept.state for kept in links if kept.needed.is_set()}

    @property
    def unconfirmed(self) -> int:
        """Changes that are published and not yet confirmed."""
        link = self._publishing.link
        return 0 if link is None else link.unconfirmed

    @property
    def carrier(self) -> str:
        """Where followers have their changes from now."""
        return "polling" if self._intake.silent else "rabbitmq"

    @property
    def away(self) -> str | None:
        """Why the change log is out of reach."""
        return self._reach.away

    @property
    def down_since(self) -> datetime | None:
        """Since when the change log is out of reach."""
        return self._reach.down_since

    async def run(self) -> None:
        """Own the links until cancelled."""
        async with asyncio.TaskGroup() as group:
            for kept in (self._publishing, self._following, self._waking):
                group.create_task(kept.run(), name=f"amqp {kept.name}")

    async def follow(self, after: Position) -> AsyncIterator[list[Change]]:
        """Batches of changes after a position, whatever broker and database do meanwhile."""
        self._following.needed.set()
        follower = Follower(self.log, self._intake, after, self.counts, self._reach)
        try:
            async for batch in follower.batches():
                yield batch
        finally:
            self._intake.close_inbox(follower.inbox)

    async def wait_work(self, within: float) -> None:
        """Until something notable was published or the time is over; what the call before returned
        for is acknowledged now, when it has been seen to."""
        self._waking.needed.set()
        if self._work_seen > self._work_acknowledged and self._waking.link is not None:
            self._waking.link.acknowledge(self._work_seen)
            self._work_acknowledged = self._work_seen
        wait = within if self._waking.link is not None else min(within, LINK_WITHIN)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._work.wait()
        self._work.clear()
        self._work_seen = self._work_tag

    async def publish(self, epoch: str, changes: Sequence[Change]) -> None:
        """All confirmed, in order; after Unconfirmed the next attempt is made on another link."""
        link = await self._publishing_link()
        waiting: deque[tuple[Confirm, float]] = deque()
        try:
            for change in changes:
                if len(waiting) >= UNCONFIRMED:
                    await self._confirmed(*waiting.popleft())
                waiting.append(self._send(link, pack_change(epoch, change, self.notable)))
            while waiting:
                await self._confirmed(*waiting.popleft())
        except AmqpFault as fault:
            link.end(str(fault))
            raise Unconfirmed(str(fault)) from fault

    async def tick(self, position: Position) -> None:
        """Say where the log ends; raises Unconfirmed."""
        link = await self._publishing_link()
        try:
            await self._confirmed(*self._send(link, pack_tick(position)))
        except AmqpFault as fault:
            link.end(str(fault))
            raise Unconfirmed(str(fault)) from fault

    async def _publishing_link(self) -> Link:
        self._publishing.needed.set()
        if self._publishing.link is None and self._publishing.state != "blocked":
            with suppress(TimeoutError):
                async with asyncio.timeout(LINK_WITHIN):
                    await self._publishing.up.wait()
        link = self._publishing.link
        if link is None:
            away = self._publishing.away
            raise Unconfirmed(f"broker {self._publishing.state}" + (f": {away}" if away else ""))
        return link

    def _send(self, link: Link, parcel: Parcel) -> tuple[Confirm, float]:
        routing_key, body, properties = parcel
        confirm = link.publish(CHANGES, routing_key, body, properties)
        return confirm, asyncio.get_running_loop().time() + self._confirm_within

    async def _confirmed(self, confirm: Confirm, by: float) -> None:
        if not confirm.done():
            try:
                async with asyncio.timeout_at(by):
                    await asyncio.shield(confirm)
            except TimeoutError:
                self.confirms.slow += 1
                raise AmqpFault(f"not confirmed within {self._confirm_within:g} s") from None
        refused = confirm.result()
        if refused is not None:
            if refused == NACKED:
                self.confirms.nacked += 1
            else:
                self.confirms.lost += 1
            raise AmqpFault(refused)
        self.confirms.taken += 1

    # Topology, declared again on each connection

    async def _prepare_publishing(self, link: Link) -> None:
        await link.declare_exchange(CHANGES, "topic")
        await self._declare_work(link)
        for kind in self.notable:
            await link.bind(WORK, CHANGES, f"chg.*.*.{kind}")
        await link.select_confirms()

    async def _prepare_following(self, link: Link) -> None:
        await link.declare_exchange(CHANGES, "topic")
        limits = {"x-max-length": self._node_backlog, "x-overflow": "drop-head"}
        queue = await link.declare_queue("", {"x-queue-type": "classic", **limits})
        for routing_key in ("chg.#", "clk", "tick"):
            await link.bind(queue, CHANGES, routing_key)
        self._intake.begin(link.acknowledge)
        await link.consume(queue, self._node_prefetch, self._on_delivery)
        self._intake.distrust()

    async def _prepare_waking(self, link: Link) -> None:
        await self._declare_work(link)
        self._work_tag = self._work_seen = self._work_acknowledged = 0
        await link.consume(WORK, WORK_PREFETCH, self._on_work)

    async def _declare_work(self, link: Link) -> None:
        await link.declare_exchange(DEAD_LETTERS, "fanout")
        await link.declare_queue(DEAD_WORK, {"x-queue-type": "quorum"})
        await link.bind(DEAD_WORK, DEAD_LETTERS, "")
        await link.declare_queue(WORK, WORK_QUEUE)

    # Deliveries

    def _on_delivery(self, tag: int, headers: Mapping[str, object], body: bytes) -> None:
        try:
            arrival = unpack(headers, body)
        except msgspec.MsgspecError as error:
            self.counts.unreadable += 1
            structlog.get_logger().error("unreadable delivery", error=str(error))
            arrival = None
        self._intake.deliver(tag, arrival)

    def _on_work(self, tag: int, _headers: Mapping[str, object], _body: bytes) -> None:
        self._work_tag = tag
        self._work.set()
