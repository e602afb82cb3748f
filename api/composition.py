"""The composition root: which parts make up each kind of process. Only here api meets the bus."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import asyncpg
import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.routing import BaseRoute

from api.app import node_application, rest_application
from api.cli_feeds import URL_FILE
from api.database import create_schema, open_sessions
from api.endpoint import Api
from api.held import announced, database_of, engine_of, pool_of
from api.ingest import Ingest
from api.intake import Intake
from api.links import Links, data_folder, local_url
from api.pages import served_build
from api.readings import engine_readings, ingest_readings, upkeep_readings
from api.replay import Plan, Replay, ReplayEnd
from api.replay_progress import ReplayProgress
from api.retention import Retention
from api.reweighing import Reweighing
from api.serving import Process
from api.uncertainty import Uncertainty
from api.upkeep import Upkeep
from api.workers import Briefing, Tether, Workers
from realtime.account_watch import AccountWatch
from realtime.app import Check, Readiness, answering, node_routes, operations_routes
from realtime.bus_log import LogBus
from realtime.bus_rabbitmq import RabbitBus
from realtime.change_log import ChangeLog
from realtime.client import Shared
from realtime.database_readings import (
    DELIVERIES,
    LOG,
    READERS,
    UPKEEP,
    DatabaseReadings,
    Measure,
)
from realtime.loop_lag import LoopLag
from realtime.metrics import Readings
from realtime.node import Node
from realtime.notifier import Notifier
from realtime.peers import AskedWhole, Line
from realtime.readings import (
    bus_readings,
    node_readings,
    notifier_readings,
    pool_readings,
    process_readings,
    relay_readings,
    sender_readings,
)
from realtime.receipts import Receipts
from realtime.relay import Relay
from realtime.sender import SEND_SHARE, Sender
from realtime.sender_log import LogSender
from realtime.settings import Settings
from realtime.tokens import Tokens
from realtime.transport_websocket import Sockets
from realtime.worker import Part

POLL_WITH_BELL = 0.25  # a worker is told when the log has grown


def bus_of(settings: Settings, log: ChangeLog, *, belled: bool = False) -> LogBus | RabbitBus:
    """RabbitMQ where there is one, else the change log itself; `belled`: it says when it grows."""
    if settings.amqp_url:
        return RabbitBus(settings.amqp_url, log)
    return LogBus(log, awake=POLL_WITH_BELL, idle=POLL_WITH_BELL) if belled else LogBus(log)


def relay_of(
    pool: "asyncpg.Pool[asyncpg.Record]", log: ChangeLog, bus: LogBus | RabbitBus
) -> Relay:
    """With a broker the relay publishes; without one it wakes the followers in its process."""
    if isinstance(bus, RabbitBus):
        return Relay(pool, log, bus)
    return Relay(pool, log, None, bus.wake)


def concerns_of(bus: LogBus | RabbitBus) -> dict[str, Check]:
    """What a node serves on without."""
    return {"log": partial(out_of_reach, bus), "broker": lambda: bus.broker_away}


def out_of_reach(bus: LogBus | RabbitBus) -> str | None:
    """Clients see the last state meanwhile."""
    since = bus.down_since
    return None if since is None else f"out of reach since {since.isoformat(timespec='seconds')}"


@contextlib.asynccontextmanager
async def sender_of(settings: Settings, readings: Readings) -> AsyncIterator[Sender]:
    """FCM where credentials are set, else notices are printed."""
    sender: Sender
    if settings.fcm_credentials:
        # The SDK costs 0.7 s and 44 MB: only a process that sends pays for it.
        from realtime.sender_fcm import FcmSender

        sender = fcm = await FcmSender.open(
            Path(settings.fcm_credentials),
            settings.fcm_url,
            settings.lease * SEND_SHARE,
            settings.fcm_per_minute,
        )
        readings.add(sender_readings(fcm.pause, fcm.window, fcm.breaker, fcm.bucket))
    else:
        sender = LogSender()
    try:
        yield sender
    finally:
        await sender.close()


def sockets_of(settings: Settings, node: Node, receipts: Receipts) -> Sockets:
    """The clients of a node."""
    loop = asyncio.get_running_loop()
    tokens = Tokens(settings.secret)
    shared = Shared(
        node.hub, tokens, receipts.settle, settings, loop.time, node.load_leg, node.wall
    )
    return Sockets(shared)


# Processes ---------------------------------------------------------------------------------------


def upkeep_of(
    pool: "asyncpg.Pool[asyncpg.Record]",
    engine: AsyncEngine,
    settings: Settings,
    readings: Readings,
    wake: Callable[[], None] = lambda: None,
) -> Upkeep:
    """The periodic work on legs, and on what is kept of people."""
    retention = Retention(pool, settings)
    turns = Reweighing(engine, wake).turn, Uncertainty(engine, wake).turn, retention.turn
    upkeep = Upkeep(pool, *turns)
    readings.add([*upkeep_readings(upkeep, retention), *engine_readings(engine)])
    return upkeep


def ingest_of(engine: AsyncEngine, readings: Readings, wake: Callable[[], None]) -> Ingest:
    """The one ingest of a process."""
    ingest = Ingest(engine, wake)
    readings.add(ingest_readings(ingest))
    return ingest


def readings_of(
    kind: str,
    lag: LoopLag,
    pool: "asyncpg.Pool[asyncpg.Record]",
    *measures: Measure,
) -> Readings:
    """What every process tells, and what this kind asks the database for."""
    readings, asked = Readings(), DatabaseReadings(pool, measures)
    readings.add([*process_readings(kind, lag), *pool_readings(pool), *asked.readings()])
    readings.ask(asked)
    return readings


def public_of(settings: Settings, operations: list[BaseRoute]) -> list[BaseRoute]:
    """What of it the main port answers: nothing when it has a port of its own."""
    return [] if settings.operations_port else operations


async def serve_all(settings: Settings, plan: Plan | None, bound: Sequence[socket.socket]) -> bool:
    """Everything, on the embedded PostgreSQL unless a database is named.

    In one process; or, given several sockets, with a worker for each that takes clients and REST.
    True: the replay came to its end and wants to start over, on a database of its own again.
    """
    again = plan is not None and not plan.once and not settings.database_url
    end: ReplayEnd | None = None
    async with contextlib.AsyncExitStack() as stack:
        dsn, parts, discard = await stack.enter_async_context(database_of(settings, len(bound)))
        await create_schema(dsn)
        pool = await stack.enter_async_context(pool_of(dsn, 12))
        engine = await stack.enter_async_context(engine_of(dsn))
        lag = LoopLag()
        readings = readings_of("serve", lag, pool, LOG, READERS, DELIVERIES, UPKEEP)
        sender = await stack.enter_async_context(sender_of(settings, readings))
        log = ChangeLog(pool)
        bus = bus_of(settings, log)
        relay, notifier = relay_of(pool, log, bus), Notifier(pool, bus, sender, settings)
        ingest = ingest_of(engine, readings, relay.wake)
        readings.add([*relay_readings(relay), *notifier_readings(notifier), *bus_readings(bus)])
        parts += [("loop lag", lag), ("relay", relay), ("notifier", notifier)]
        parts.append(("upkeep", upkeep_of(pool, engine, settings, readings, relay.wake)))
        if plan is not None:
            replay = Replay(pool, ingest, plan, again=again)
            parts += [("replay", replay), ("links", Links(settings, replay, engine))]
            parts.append(("progress", ReplayProgress(replay)))
            if again or plan.once:
                end = ReplayEnd(replay, lambda: process.stopping.set(), settings.replay_linger)
                parts.append(("replay end", end))
        if len(bound) > 1:
            parts.append(("bus", bus))
            settings_of_workers = msgspec.structs.replace(settings, database_url=dsn)
            process = first_process(settings_of_workers, parts, bound, relay, readings)
        else:
            process = front(settings, parts, pool, engine, bus, ingest, readings)
        with announced(data_folder(settings) / URL_FILE, local_url(settings)):
            await process.run(None if process.workers is not None else bound[0])
        if again := again and end is not None and end.reached:
            discard()
    return again


def front(
    settings: Settings,
    parts: list[tuple[str, Part]],
    pool: "asyncpg.Pool[asyncpg.Record]",
    engine: AsyncEngine,
    bus: LogBus | RabbitBus,
    ingest: Ingest,
    readings: Readings,
    line: Line | None = None,
) -> Process:
    """A node and REST on one port; `line`: other processes share it, and the first operates it."""
    node, receipts = Node(pool, bus, settings, served_build()), Receipts(pool)
    sockets = sockets_of(settings, node, receipts)
    parts += [("node", node), ("accounts", AccountWatch(pool, sockets))]
    readiness = Readiness({"node": node.not_ready}, concerns=concerns_of(bus))
    readings.add(node_readings(node, sockets))
    whole = None
    if line is not None:
        line.answering, whole = answering(readiness, readings), AskedWhole(line)
    tokens = Tokens(settings.secret)
    api = Api(open_sessions(engine), tokens, settings, ingest, receipts.settle)
    operations = operations_routes(readiness, readings, whole)
    routes = [*node_routes(sockets), *public_of(settings, operations)]
    app = rest_application(api, routes, readings)
    return Process(settings, readiness, parts, app, sockets, () if line else operations)


def first_process(
    settings: Settings,
    parts: list[tuple[str, Part]],
    bound: Sequence[socket.socket],
    relay: Relay,
    readings: Readings,
) -> Process:
    """Keeps the workers, and does what has to be done once."""
    readiness = Readiness({})
    workers = Workers(settings, bound, readiness, readings)
    workers.committed = relay.wake
    relay.wakes.append(workers.ring)
    parts.append(("workers", workers))
    operations = operations_routes(readiness, readings, workers)
    return Process(settings, readiness, parts, operations=operations, workers=workers)


async def serve_worker(briefing: Briefing) -> None:
    """A node and REST, on the port and at the end of the line that it was given."""
    settings = briefing.settings
    bound = socket.socket(fileno=briefing.listener)
    async with pool_of(settings.database_url) as pool, engine_of(settings.database_url) as engine:
        bus = bus_of(settings, ChangeLog(pool), belled=True)
        lag = LoopLag()
        readings = readings_of("worker", lag, pool)
        readings.add([*bus_readings(bus), *engine_readings(engine)])
        woken = bus.wake if isinstance(bus, LogBus) else lambda: None
        line = Line(socket.socket(fileno=briefing.line), woken)
        parts: list[tuple[str, Part]] = [("loop lag", lag), ("line", Tether(line))]
        ingest = ingest_of(engine, readings, line.ring)
        process = front(settings, parts, pool, engine, bus, ingest, readings, line)
        await process.run(bound)


async def serve_api(settings: Settings, bound: socket.socket) -> None:
    """REST, the pages and the upkeep."""
    dsn = settings.database_url
    async with pool_of(dsn) as pool, engine_of(dsn) as engine:
        lag, readiness = LoopLag(), Readiness({})
        readings = readings_of("api", lag, pool, LOG, READERS, UPKEEP)
        api = Api(
            open_sessions(engine),
            Tokens(settings.secret),
            settings,
            ingest_of(engine, readings, lambda: None),
            Receipts(pool).settle,
        )
        operations = operations_routes(readiness, readings)
        app = rest_application(api, public_of(settings, operations), readings)
        upkeep = upkeep_of(pool, engine, settings, readings)
        parts: list[tuple[str, Part]] = [("loop lag", lag), ("upkeep", upkeep)]
        await Process(settings, readiness, parts, app, operations=operations).run(bound)


async def serve_realtime(settings: Settings, bound: socket.socket) -> None:
    """One node."""
    async with pool_of(settings.database_url) as pool:
        bus = bus_of(settings, ChangeLog(pool))
        node = Node(pool, bus, settings, served_build())
        sockets = sockets_of(settings, node, Receipts(pool))
        lag = LoopLag()
        readiness = Readiness({"node": node.not_ready}, concerns=concerns_of(bus))
        readings = readings_of("realtime", lag, pool, LOG)
        readings.add([*node_readings(node, sockets), *bus_readings(bus)])
        operations = operations_routes(readiness, readings)
        app = node_application([*node_routes(sockets), *public_of(settings, operations)])
        parts: list[tuple[str, Part]] = [
            ("loop lag", lag),
            ("node", node),
            ("accounts", AccountWatch(pool, sockets)),
        ]
        await Process(settings, readiness, parts, app, sockets, operations).run(bound)


async def run_relay(settings: Settings) -> None:
    """Sequence and publish."""
    async with pool_of(settings.database_url) as pool:
        log, lag = ChangeLog(pool), LoopLag()
        bus = bus_of(settings, log)
        relay = relay_of(pool, log, bus)
        readings = readings_of("relay", lag, pool, LOG, READERS)
        readings.add([*relay_readings(relay), *bus_readings(bus)])
        parts: list[tuple[str, Part]] = [("loop lag", lag), ("bus", bus), ("relay", relay)]
        readiness = Readiness({"relay": partial(waits, relay.away)})
        operations = operations_routes(readiness, readings)
        await Process(settings, readiness, parts, operations=operations).run()


async def run_notifier(settings: Settings) -> None:
    """Decide and send notices."""
    async with contextlib.AsyncExitStack() as stack:
        pool, lag = await stack.enter_async_context(pool_of(settings.database_url)), LoopLag()
        readings = readings_of("notifier", lag, pool, LOG, DELIVERIES)
        sender = await stack.enter_async_context(sender_of(settings, readings))
        bus = bus_of(settings, ChangeLog(pool))
        notifier = Notifier(pool, bus, sender, settings)
        readings.add([*notifier_readings(notifier), *bus_readings(bus)])
        parts: list[tuple[str, Part]] = [("loop lag", lag), ("bus", bus), ("notifier", notifier)]
        readiness = Readiness({"notifier": partial(waits, notifier.away)})
        operations = operations_routes(readiness, readings)
        await Process(settings, readiness, parts, operations=operations).run()


def waits(away: Mapping[str, str]) -> str | None:
    """What a relay or a notifier waits for, of all its work."""
    return "; ".join(f"{work}: {reason}" for work, reason in away.items()) or None


async def run_source(
    settings: Settings, dsn: str, feed: str, source: Callable[[Intake], Part]
) -> None:
    """Take in what one feed says; UnknownFeed when it may not speak."""
    async with pool_of(dsn, 2) as pool, engine_of(dsn) as engine:
        lag, readiness = LoopLag(), Readiness({})
        readings = readings_of("source", lag, pool, LOG)
        intake = Intake(open_sessions(engine), ingest_of(engine, readings, lambda: None))
        await intake.feed_id(feed)
        parts: list[tuple[str, Part]] = [("loop lag", lag), ("source", source(intake))]
        operations = operations_routes(readiness, readings)
        await Process(settings, readiness, parts, operations=operations).run()


async def run_kafka(settings: Settings, dsn: str, topic: str) -> None:
    """Publish the change log to a topic."""
    # Optional extra: only who has Kafka needs its client.
    from realtime.sink_kafka import KafkaSink

    async with pool_of(dsn) as pool:
        lag, readiness = LoopLag(), Readiness({})
        readings = readings_of("kafka", lag, pool, LOG)
        bus = LogBus(ChangeLog(pool))
        sink = KafkaSink(pool, bus, settings.kafka, topic)
        parts: list[tuple[str, Part]] = [("loop lag", lag), ("bus", bus), ("sink", sink)]
        operations = operations_routes(readiness, readings)
        await Process(settings, readiness, parts, operations=operations).run()


async def run_replay(settings: Settings, plan: Plan) -> None:
    """Play days, once, into a database that other processes serve."""
    dsn = settings.database_url
    async with pool_of(dsn) as pool, engine_of(dsn) as engine:
        lag, readiness = LoopLag(), Readiness({})
        readings = readings_of("replay", lag, pool, LOG)
        replay = Replay(pool, ingest_of(engine, readings, lambda: None), plan)
        parts: list[tuple[str, Part]] = [
            ("loop lag", lag),
            ("replay", replay),
            ("progress", ReplayProgress(replay)),
            ("replay end", ReplayEnd(replay, lambda: process.stopping.set(), 0)),
        ]
        operations = operations_routes(readiness, readings)
        process = Process(settings, readiness, parts, operations=operations)
        await process.run()
