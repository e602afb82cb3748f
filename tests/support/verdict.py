"""How every row of the faults ends: the log is whole, screens are right, the ledger is clean."""

from collections.abc import Sequence
from typing import Any

from tests.support.accounting import percentile
from tests.support.ledger import check_log, log_caught_up
from tests.support.legs import key_of
from tests.support.load import Watcher, Writers
from tests.support.pace import allowed, overloaded
from tests.support.socket_ledger import SocketLedger, account_sockets, committed_versions


async def verdict(
    pool: Any,
    writers: Writers,
    watchers: Sequence[Watcher],
    *,
    slow: bool = False,
    within: float = 10,
) -> SocketLedger:
    """Printed and judged: every commit is in the log and at every subscriber, nothing went wrong.

    `within` seconds of an idle machine everybody holds what the database has. `slow`: may be
    conflated, as may everybody on a machine that is overloaded.
    """
    within = allowed(within)
    await log_caught_up(pool, within)
    rows = await check_log(pool, writers.acknowledged)
    for watcher in watchers:
        await watcher.wait_for(pool, writers.leg_ids, within)
    assert [watcher.wrong for watcher in watchers] == [[]] * len(watchers)
    slow = slow or overloaded()
    committed = await committed_versions(pool, watchers[0].keys)
    ledger = account_sockets(committed, watchers, slow=slow)
    connects = sum(watcher.connects for watcher in watchers)
    print(
        f"\n{writers.commits} commits, {writers.failures} failed sessions of writers, {rows} rows,"
        f" seq gaps 0; {connects} connects of {len(watchers)} clients\n{ledger.line}"
    )
    assert ledger.wrong == []
    return ledger


async def lags(
    pool: Any, writers: Writers, watcher: Watcher, since: float, until: float
) -> list[float]:
    """Seconds from commit to screen, in order, of what was committed between two readings of the
    loop's clock; what a later version overtook before it was displayed counts until then."""
    found = []
    keys = {leg_id: await key_of(pool, leg_id) for leg_id in writers.leg_ids}
    for (leg_id, version), committed_at in writers.committed_at.items():
        if since <= committed_at < until:
            last = watcher.shown.last[f"flight:{keys[leg_id]}", keys[leg_id]]
            later = (
                watcher.shown.at.get((keys[leg_id], each)) for each in range(version, last + 1)
            )
            found.append(next(at for at in later if at is not None) - committed_at)
    return sorted(max(0.0, each) for each in found)


def lag_line(found: Sequence[float]) -> str:
    """p50, p99 and the longest."""
    if not found:
        return "no commits"
    return (
        f"p50 {percentile(found, 0.5) * 1000:.0f} ms, p99 {percentile(found, 0.99) * 1000:.0f} ms,"
        f" max {found[-1] * 1000:.0f} ms of {len(found)}"
    )
