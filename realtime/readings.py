"""What each part of a process counts, read from the objects that count it."""

from collections import Counter
from collections.abc import Mapping

import asyncpg

from realtime.bus_log import LogBus
from realtime.bus_rabbitmq import RabbitBus
from realtime.client import BUILD
from realtime.loop_lag import LoopLag
from realtime.metrics import Reading
from realtime.node import Node
from realtime.notifier import Notifier
from realtime.relay import Relay
from realtime.sender_gate import Breaker, Bucket, Pause, Window
from realtime.transport_websocket import Sockets

LINK_STATES = ("up", "down", "blocked")


def process_readings(kind: str, lag: LoopLag) -> list[Reading]:
    """What every process tells."""
    build = {(kind, BUILD): 1.0}
    return [
        Reading(
            "build", "1 for the kind and build of this process.", lambda: build, ("kind", "build")
        ),
        Reading(
            "loop_lag_seconds", "How late the event loop was in the last 15 s.", lambda: lag.worst
        ),
    ]


def pool_readings(pool: "asyncpg.Pool[asyncpg.Record]") -> list[Reading]:
    """Sessions of the push path with the database."""
    return [
        Reading("pool_sessions", "Open database sessions.", pool.get_size),
        Reading("pool_idle_sessions", "Those that are not in use.", pool.get_idle_size),
    ]


# A node -----------------------------------------------------------------------------------------


def node_readings(node: Node, sockets: Sockets) -> list[Reading]:
    """What a node serves."""
    hub, traffic = node.hub, sockets.shared.traffic
    return [
        Reading("clients", "Connected clients.", lambda: len(sockets.clients)),
        Reading("connections", "Connected clients.", lambda: connections(sockets), ("transport",)),
        Reading("clients_behind", "Clients for whom frames wait.", lambda: behind(sockets)),
        Reading("channels", "Channels with a subscriber.", lambda: len(hub.sinks)),
        Reading("subscriptions", "Subscriptions.", lambda: subscriptions(node), ("kind",)),
        Reading(
            "publications_total", "Publications encoded for subscribers.", lambda: hub.published
        ),
        Reading("frames_sent_total", "Frames given to sockets.", lambda: traffic.frames),
        Reading("bytes_sent_total", "Their bytes.", lambda: traffic.bytes),
        Reading(
            "frames_conflated_total",
            "Frames that gave way to a newer state of their leg.",
            lambda: traffic.conflated,
        ),
        Reading(
            "joins_total",
            "Subscriptions by what they were given: snapshot, recovered, unrecovered.",
            lambda: hub.joins,
            ("kind", "outcome"),
        ),
        Reading("closes_total", "Ended connections by code.", lambda: traffic.closes, ("code",)),
        Reading(
            "commands_refused_total", "Error replies by code.", lambda: traffic.refused, ("code",)
        ),
        Reading("log_seq", "Position in the change log.", lambda: position(node)),
        Reading("node_ready", "1 while it takes clients.", lambda: float(node.not_ready() is None)),
    ]


def connections(sockets: Sockets) -> Mapping[str, float]:
    """By transport."""
    found: dict[str, float] = {"websocket": 0, "sse": 0}
    for session in sockets.clients:
        found[session.transport] += 1
    return found


def behind(sockets: Sockets) -> int:
    """Clients that have not taken all that was for them."""
    return sum(len(outbox) > 0 for outbox in sockets.clients.values())


def subscriptions(node: Node) -> Mapping[str, float]:
    """By kind of channel."""
    found: Counter[str] = Counter()
    for channel, sinks in node.hub.sinks.items():
        found[channel.partition(":")[0]] += len(sinks)
    return found


def position(node: Node) -> int:
    """The seq that the node has applied; 0 while it has no state."""
    return node.hub.state.seq if node.hub.state is not None else 0


# The bus ----------------------------------------------------------------------------------------


def bus_readings(bus: LogBus | RabbitBus) -> list[Reading]:
    """How changes travel."""
    sentence = "1 for where changes come from: rabbitmq, polling while it is silent, or log."
    found = [Reading("bus_carrier", sentence, lambda: {bus.carrier: 1.0}, ("carrier",))]
    return [*found, *broker_readings(bus)] if isinstance(bus, RabbitBus) else found


def broker_readings(bus: RabbitBus) -> list[Reading]:
    """What the broker does, and what it lost."""
    counts, confirms = bus.counts, bus.confirms
    return [
        Reading(
            "broker_link", "1 for the state of each link.", lambda: links(bus), ("link", "state")
        ),
        Reading("bus_gaps_total", "Gaps in what the broker delivered.", lambda: counts.gaps),
        Reading(
            "bus_duplicates_total", "Deliveries that were had already.", lambda: counts.duplicates
        ),
        Reading("bus_filled_total", "Rows read from the log instead.", lambda: counts.filled),
        Reading(
            "bus_unreadable_total",
            "Deliveries that no relay has published, by reason.",
            lambda: counts.strangers,
            ("reason",),
        ),
        Reading("confirms_pending", "Published and not yet confirmed.", lambda: bus.unconfirmed),
        Reading(
            "confirms_total",
            "Publishes by answer: taken, nacked, slow (past the limit), lost (with the link).",
            lambda: {each: getattr(confirms, each) for each in confirms.__struct_fields__},
            ("answer",),
        ),
    ]


def links(bus: RabbitBus) -> Mapping[tuple[str, ...], float]:
    """1 for the state that each needed link is in."""
    return {
        (name, state): float(state == found)
        for name, found in bus.links.items()
        for state in LINK_STATES
    }


# Relay and notifier -----------------------------------------------------------------------------


def relay_readings(relay: Relay) -> list[Reading]:
    """What this relay has done; others may run beside it."""
    return [
        Reading("sequenced_total", "Changes that it gave a seq.", lambda: relay.sequenced),
        Reading("published_total", "Changes that it published.", lambda: relay.published),
        Reading(
            "elections_total",
            "Turns that it won, or lost to another relay.",
            lambda: relay.turns,
            ("work", "outcome"),
        ),
        Reading(
            "relay_waits",
            "1 while it waits for the database or the broker.",
            lambda: {each: float(each in relay.away) for each in relay.WORK},
            ("work",),
        ),
    ]


def notifier_readings(notifier: Notifier) -> list[Reading]:
    """What this notifier has decided and sent."""
    return [
        Reading("enqueued_total", "Deliveries that it enqueued.", lambda: notifier.enqueued),
        Reading(
            "deliveries_ended_total",
            "Deliveries by the state in which they ended, and why.",
            lambda: notifier.ends,
            ("state", "reason"),
        ),
        Reading(
            "sends_total",
            "Sends of notices to devices by what the provider said.",
            lambda: notifier.sends,
            ("outcome",),
        ),
        Reading(
            "cancellations_doubted_total",
            "Deliveries held because too many legs of an airport were cancelled at once.",
            lambda: notifier.doubts.held,
        ),
    ]


def sender_readings(
    pause: Pause, window: Window, breaker: Breaker, bucket: Bucket
) -> list[Reading]:
    """How a provider is treated."""
    return [
        Reading(
            "sender_pauses_total",
            "Pauses of all sends: asked for by the provider, or after faults in a row.",
            lambda: window.stops,
            ("cause",),
        ),
        Reading("sender_pause_seconds", "What is left of a pause.", pause.left),
        Reading("sender_window", "Sends that may be under way at once.", lambda: window.size),
        Reading(
            "sender_breaker_open",
            "1 while too many targets are called dead for any to be given up.",
            lambda: float(breaker.is_open()),
        ),
        Reading("sender_taken_total", "Sends that used the quota.", lambda: bucket.taken),
        Reading(
            "sender_quota_per_minute",
            "How many of them may go in a minute.",
            lambda: bucket.allowed,
        ),
    ]
