"""Each kind of process tells how it is, on a port of its own, and names no person and no leg."""

import re
from collections.abc import Mapping

import httpx2
import pytest

from tests.support.client import RawClient
from tests.support.gatecast import Gatecast
from tests.support.operated import KINDS, families_of, metrics_of, samples_of
from tests.support.wait import until

PRIVATE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-|-\d{4}-\d\d-\d\d-[A-Z]{3}")
MOST_SERIES = 400
EVERYWHERE = {
    "gatecast_build",
    "gatecast_loop_lag_seconds",
    "gatecast_pool_sessions",
    "gatecast_database_up",
    "gatecast_log_end_seq",
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_cpu_seconds_total",
}
OWN = {
    "realtime": {
        "gatecast_connections",
        "gatecast_subscriptions",
        "gatecast_frames_sent_total",
        "gatecast_bytes_sent_total",
        "gatecast_frames_conflated_total",
        "gatecast_clients_behind",
        "gatecast_joins_total",
        "gatecast_closes_total",
        "gatecast_commands_refused_total",
        "gatecast_bus_carrier",
        "gatecast_bus_filled_total",
        "gatecast_log_seq",
    },
    "relay": {
        "gatecast_sequenced_total",
        "gatecast_published_total",
        "gatecast_confirms_pending",
        "gatecast_confirms_total",
        "gatecast_reader_lag_rows",
        "gatecast_outbox_rows",
        "gatecast_broker_link",
        "gatecast_elections_total",
    },
    "notifier": {
        "gatecast_deliveries_ended_total",
        "gatecast_deliveries_due",
        "gatecast_delivery_due_age_seconds",
        "gatecast_sends_total",
        "gatecast_sender_pauses_total",
        "gatecast_sender_breaker_open",
        "gatecast_sender_taken_total",
        "gatecast_sender_quota_per_minute",
    },
    "api": {
        "gatecast_requests_total",
        "gatecast_request_seconds_bucket",
        "gatecast_ingest_legs_total",
        "gatecast_ingest_refused_total",
        "gatecast_clock_row_age_seconds",
        "gatecast_log_partitions",
        "gatecast_retention_rows_total",
        "gatecast_feed_state",
        "gatecast_upkeep_elected",
        "gatecast_engine_busy_sessions",
    },
}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_process_tells_of_itself_and_of_the_database(
    parts: Mapping[str, Gatecast], kind: str
) -> None:
    """With the rights of its own login only."""
    async with httpx2.AsyncClient(trust_env=False, base_url=parts["api"].http) as http:
        await http.get("/api/airports")
    text = await metrics_of(parts[kind])
    assert families_of(text) >= EVERYWHERE | OWN[kind]
    samples = samples_of(text)
    assert samples["gatecast_database_up"] == 1
    assert samples["gatecast_log_end_seq"] >= 20
    assert len(samples) < MOST_SERIES
    assert PRIVATE.search(text) is None


@pytest.mark.parametrize("kind", KINDS)
async def test_operations_have_a_port_of_their_own(
    parts: Mapping[str, Gatecast], kind: str
) -> None:
    part = parts[kind]
    async with httpx2.AsyncClient(trust_env=False) as http:
        for path in ("/healthz", "/readyz"):
            assert (await http.get(part.operations + path)).status_code == 200
        if kind in ("api", "realtime"):
            for path in ("/healthz", "/readyz", "/metrics"):
                assert (await http.get(part.http + path)).status_code == 404


async def test_clients_and_requests_are_counted(parts: Mapping[str, Gatecast]) -> None:
    node, api = parts["realtime"], parts["api"]
    before = samples_of(await metrics_of(node))
    async with RawClient(node.url) as client:
        await client.connect()
        await client.subscribe("board:JFK:departures")
        assert "error" in await client.command("subscribe", {"channel": "nonsense"})
        during = samples_of(await metrics_of(node))
    assert during['gatecast_connections{transport="websocket"}'] == 1
    assert during['gatecast_subscriptions{kind="board"}'] == 1
    joined = 'gatecast_joins_total{kind="board",outcome="snapshot"}'
    assert during[joined] == before.get(joined, 0) + 1
    assert during['gatecast_commands_refused_total{code="102"}'] >= 1
    assert during["gatecast_bytes_sent_total"] > before["gatecast_bytes_sent_total"] + 1000
    left = 'gatecast_closes_total{code="left"}'

    async def counted() -> bool:
        after = samples_of(await metrics_of(node))
        return after.get(left, 0) == before.get(left, 0) + 1

    await until(counted, within=10, what="the client has left")
    async with httpx2.AsyncClient(trust_env=False, base_url=api.http) as http:
        key = "XX9-2013-03-08-JFK-MCO"
        assert (await http.get(f"/api/flights/{key}")).status_code == 404
        assert (await http.get("/no/such/page")).status_code == 404
    text = await metrics_of(api)
    route = 'route="/api/flights/{leg_key}"'
    assert samples_of(text)[f'gatecast_requests_total{{method="GET",{route},status="4xx"}}'] >= 1
    assert 'route="none"' in text


async def test_a_node_has_passed_the_whole_log(parts: Mapping[str, Gatecast]) -> None:
    async def equal() -> bool:
        samples = samples_of(await metrics_of(parts["realtime"]))
        return samples["gatecast_log_seq"] >= samples["gatecast_log_end_seq"]

    await until(equal, within=20, what="the node is where the log ends")
    samples = samples_of(await metrics_of(parts["realtime"]))
    assert samples['gatecast_bus_carrier{carrier="rabbitmq"}'] == 1
