"""The bus with a broker: RabbitMQ carries changes, the change log fills whatever it lost.

What no relay of ours can have published is rejected to `notify.dead`, or dropped by a node.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial

from msgspec import Struct

from realtime.amqp import NACKED, AmqpFault, Confirm, Link, State
from realtime.broker_link import KeptLink
from realtime.broker_topology import (
    CHANGES,
    NODE_BACKLOG,
    WORK,
    prepare_following,
    prepare_publishing,
    prepare_work,
)
from realtime.bus import Position
from realtime.bus_intake import Counts, Follower, Intake, LogReach
from realtime.bus_parcels import Parcel, Stranger, pack_change, pack_tick, unpack
from realtime.change_log import ChangeLog
from realtime.errors import Unconfirmed
from realtime.flight import Change
from realtime.notice_kinds import KINDS

WORK_PREFETCH = 20
UNCONFIRMED = 500
CONFIRM_WITHIN = 5.0
LINK_WITHIN = 1.0  # the relay holds a row lock while it publishes
WORST_FIRST: tuple[State, ...] = ("blocked", "down", "up")


class Confirms(Struct):
    """What became of publishes; `slow`: no answer within the limit, `lost`: with their link."""

    taken: int = 0
    nacked: int = 0
    slow: int = 0
    lost: int = 0


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
        node_backlog: int = NODE_BACKLOG,
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
    def broker_away(self) -> str | None:
        """In a word, and for anybody; why, is in the log and in `gatecast check`."""
        return None if self.link == "up" else self.link

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
        await prepare_publishing(link, self.notable)

    async def _prepare_following(self, link: Link) -> None:
        queue = await prepare_following(link, self._node_backlog)
        self._intake.begin(link.acknowledge)
        await link.consume(queue, self._node_prefetch, self._on_delivery)
        self._intake.distrust()

    async def _prepare_waking(self, link: Link) -> None:
        await prepare_work(link)
        self._work_tag = self._work_seen = self._work_acknowledged = 0
        await link.consume(WORK, WORK_PREFETCH, partial(self._on_work, link))

    # Deliveries

    def _on_delivery(self, tag: int, headers: Mapping[str, object], body: bytes) -> None:
        arrival = None
        try:
            arrival = unpack(headers, body)
        except Stranger as stranger:
            self.counts.count_stranger("a node's queue", stranger)
        self._intake.deliver(tag, arrival)

    def _on_work(self, link: Link, tag: int, headers: Mapping[str, object], body: bytes) -> None:
        try:
            unpack(headers, body)
        except Stranger as stranger:
            self.counts.count_stranger(WORK, stranger)
            link.reject(tag)
            return
        self._work_tag = tag
        self._work.set()
