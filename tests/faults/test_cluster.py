"""F7 on a cluster: the leader of the quorum queue dies, a node is cut off from the others."""

import asyncio

import asyncpg
import pytest

from deploy.rabbitmq import HOST
from tests.support.fault_proxy import proxied_url
from tests.support.pace import allowed
from tests.support.rabbitmq import RabbitNode, rabbit_cluster
from tests.support.scene import scene
from tests.support.verdict import lag_line, lags, verdict
from tests.support.wait import until

Pool = asyncpg.Pool
NOTICED, LASTS, LONGEST, LAG = 3.0, 6.0, 60.0, 1.0  # seconds


async def leader_of(nodes: list[RabbitNode], queue: str) -> RabbitNode:
    """Where the leader of a quorum queue is."""
    lines = await nodes[0].ctl("list_queues", "--no-table-headers", "name", "leader")
    leaders = dict(line.split("\t") for line in lines.splitlines() if line.count("\t") == 1)
    return next(node for node in nodes if node.name == leaders[queue])


@pytest.mark.timeout(600)
async def test_a_cluster_that_loses_a_node_confirms_and_loses_nothing(
    pool: "Pool[asyncpg.Record]", dsn: str, times: int
) -> None:
    """A3: of three brokers the leader of `notify.work`, to which relay and node are connected, is
    SIGKILLed; then the next one is cut off and pauses, for 6 s (60 s). Both go to another broker:
    from 3 s on boards lag by 1 s at most, everything is confirmed, no client sees a repeat."""
    clock = asyncio.get_running_loop().time
    async with (
        rabbit_cluster() as nodes,
        proxied_url(nodes[0].url) as way,
        scene(pool, dsn, way.leads(nodes[0].url)) as stage,
    ):

        def go_to(node: RabbitNode) -> None:
            way.target = HOST, node.port

        async with stage.writers.running(2):
            await stage.go_on()
            await stage.published(60)
            leader = await leader_of(nodes, "notify.work")
            second, third = (node for node in nodes if node is not leader)
            go_to(leader)
            way.reset()
            await stage.published(60)
            killed = clock()
            leader.kill()
            go_to(second)
            await asyncio.sleep(NOTICED + min(LASTS * times, LONGEST))
            moved = await stage.published(60)
            over = clock()
            await leader.start()
            cut = clock()
            lasts = NOTICED + min(LASTS * times, LONGEST)
            await second.cut_off(lasts)
            go_to(third)
            way.reset()
            await asyncio.sleep(lasts)
            healed = clock()
            again = await stage.published(60)
            await stage.go_on()
        await until(second.answers, within=allowed(60), what="the node that was cut off is back")
        await verdict(pool, stage.writers, [stage.watcher])
        assert [part.exit_code for part in (*stage.relays, stage.node)] == [None, None]
        dead = await lags(pool, stage.writers, stage.watcher, killed + NOTICED, over)
        parted = await lags(pool, stage.writers, stage.watcher, cut + NOTICED, healed)
    assert stage.watcher.connects == 1
    print(
        f"F7 leader killed: {lag_line(dead)}, all confirmed after {moved:.1f} s;"
        f" cut off: {lag_line(parted)}, all confirmed after {again:.1f} s"
    )
    assert max(dead[-1], parted[-1]) <= allowed(LAG)
