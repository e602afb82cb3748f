"""Exchanges, queues and bindings of the broker, declared again on each connection."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from realtime.amqp import ANSWER_WITHIN, AmqpFault, Link
from realtime.broker_advice import Advice, address_of
from realtime.broker_link import advised
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
NODE_BACKLOG = 20_000
TRIAL = "trial"  # a routing key that nobody binds


async def prepare_publishing(link: Link, notable: Sequence[str]) -> None:
    """For a relay: all that it publishes to, and the right to."""
    await link.declare_exchange(CHANGES, "topic")
    await prepare_work(link)
    for kind in notable:
        await link.bind(WORK, CHANGES, f"chg.*.*.{kind}")
    await link.select_confirms()
    answers: set[asyncio.Future[Any]] = {link.publish(CHANGES, TRIAL, b"", {}), link.ended}
    await asyncio.wait(answers, timeout=ANSWER_WITHIN, return_when=asyncio.FIRST_COMPLETED)
    if link.ended.done():
        raise AmqpFault(link.ended.result())
    if not any(answer.done() for answer in answers):
        raise AmqpFault("the broker gives no answer")


async def prepare_following(link: Link, backlog: int) -> str:
    """For a node: the name of a queue of its own."""
    await link.declare_exchange(CHANGES, "topic")
    limits = {"x-max-length": backlog, "x-overflow": "drop-head"}
    queue = await link.declare_queue("", {"x-queue-type": "classic", **limits})
    for routing_key in ("chg.#", "clk", "tick"):
        await link.bind(queue, CHANGES, routing_key)
    return queue


async def prepare_work(link: Link) -> None:
    """For a notifier: the queue that wakes it, and where it puts what is not ours."""
    await link.declare_exchange(DEAD_LETTERS, "fanout")
    await link.declare_queue(DEAD_WORK, {"x-queue-type": "quorum"})
    await link.bind(DEAD_WORK, DEAD_LETTERS, "")
    await link.declare_queue(WORK, WORK_QUEUE)


async def trial(url: str) -> tuple[str, dict[str, Advice | None]]:
    """Version of the broker, and for each kind of process what keeps this user from being one.

    Declares what the processes declare, but consumes nothing. AmqpFault, whose text is for a
    person: the broker cannot be reached; BrokerRefused: the address is none.
    """
    kinds: dict[str, Callable[[Link], Awaitable[object]]] = {
        "realtime": lambda link: prepare_following(link, NODE_BACKLOG),
        "relay": lambda link: prepare_publishing(link, KINDS),
        "notifier": prepare_work,
    }
    at = address_of(url)
    version, found = "", dict[str, Advice | None]()
    for kind, prepare in kinds.items():
        try:
            link = await Link.open(url, "check")
        except AmqpFault as fault:
            raise AmqpFault((await advised(at, str(fault))).sentence) from None
        try:
            version = link.version
            await prepare(link)
            found[kind] = None
        except AmqpFault as fault:
            found[kind] = await advised(at, str(fault))
        finally:
            await link.close()
    return version, found
