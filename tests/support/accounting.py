"""The ledger of notices: each (significant change, follower) has one end, and that end is true.

Ends are not believed: what a screen displayed is what its client wrote down, what a phone got is
what the provider's double accepted, and claims are judged by a trigger that only tests have.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import msgspec
from msgspec import Struct, field

from realtime.change_log import ChangeLog
from realtime.notifier import worth
from tests.support.wait import until

Pool = asyncpg.Pool
LONGEST_LOG = 100_000
SAID_WITH = re.compile(r"said with version (\d+)")
ANSWERED = ("sent", "seen", "undeliverable")
"""How a delivery may have ended of which others say that it spoke for them."""

WATCH_CLAIMS = """
CREATE TABLE claim_seen (account_id uuid, leg_id bigint, version bigint, was text, covered boolean,
  at timestamptz DEFAULT clock_timestamp());
CREATE FUNCTION watch_claims() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO claim_seen (account_id, leg_id, version, was, covered)
  SELECT NEW.account_id, NEW.leg_id, NEW.version, OLD.state, EXISTS (SELECT FROM receipt r
    WHERE r.account_id = NEW.account_id AND r.leg_id = NEW.leg_id AND NEW.version
      <= CASE WHEN NEW.urgent THEN r.attentive_version ELSE r.version END);
  RETURN NULL;
END $$;
CREATE TRIGGER watch_claims AFTER UPDATE ON delivery FOR EACH ROW
  WHEN (NEW.state <> OLD.state AND (NEW.state = 'claimed' OR OLD.done_at IS NOT NULL))
  EXECUTE FUNCTION watch_claims();
"""
ROWS = """SELECT account_id::text, leg_id, version, seq, urgent, state, reason, done_at, attempts,
  held_until, expires_at, held_until > board_now() AS waits FROM delivery"""
FOLLOWS = "SELECT account_id::text, leg_id, kinds FROM follow"
TARGETS = "SELECT account_id::text, target FROM device"


class Evidence(Struct):
    """What was outside of the database: on screens (by account and leg: version, whether somebody
    was there) and at the provider (by target and notice)."""

    displayed: dict[tuple[str, int], list[tuple[int, bool]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    pushed: Counter[tuple[str, str]] = field(default_factory=Counter)
    told: dict[tuple[str, str], int] = field(default_factory=dict)  # newest version by target, leg

    def note_pushes(self, accepted: Sequence[Mapping[str, Any]]) -> None:
        """Everything that the double accepted."""
        for push in accepted:
            target, notice = push["fid"], push["data"]
            self.pushed[target, notice["id"]] += 1
            about = target, notice["leg"]
            self.told[about] = max(int(notice["v"]), self.told.get(about, 0))


class Ledger(Struct):
    """`ends`: how many pairs came to which end; `wrong`: those that did not come to a true one."""

    ends: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @property
    def line(self) -> str:
        counts = " ".join(f"{name}={count}" for name, count in sorted(self.ends.items()))
        return f"pairs={self.ends.total()} {counts} unaccounted={len(self.wrong)}"


async def watch_claims(pool: "Pool[asyncpg.Record]") -> None:
    """From now on remember each claim, and whether its receipt was there already."""
    await pool.execute(WATCH_CLAIMS)


async def check_claims(pool: "Pool[asyncpg.Record]") -> int:
    """I3: nothing was claimed after its receipt, nothing that had ended was touched; claims."""
    wrong = await pool.fetch(
        "SELECT * FROM claim_seen WHERE covered OR was NOT IN ('held','pending')"
    )
    assert wrong == [], [dict(row) for row in wrong[:5]]
    count: int = await pool.fetchval("SELECT count(*) FROM claim_seen")
    return count


async def account(pool: "Pool[asyncpg.Record]", evidence: Evidence, after_seq: int = 0) -> Ledger:
    """Every pair since `after_seq`, judged; follows must not have changed since."""
    position = await ChangeLog(pool).position()
    epoch = position.epoch
    changes = await ChangeLog(pool).read(
        msgspec.structs.replace(position, seq=after_seq), LONGEST_LOG
    )
    follows = defaultdict(list)
    for row in await pool.fetch(FOLLOWS):
        follows[row["leg_id"]].append((row["account_id"], frozenset(row["kinds"])))
    rows = {
        (row["account_id"], row["leg_id"], row["version"]): row
        for row in await pool.fetch(f"{ROWS} WHERE seq > $1", after_seq)
    }
    targets = defaultdict(list)
    for row in await pool.fetch(TARGETS):
        targets[row["account_id"]].append(row["target"])
    judge, ledger = Judge(epoch, rows, targets, evidence), Ledger()
    for change in changes:
        found = worth(change)
        if found is None or change.leg_id is None or change.version is None:
            continue
        for account_id, kinds in follows[change.leg_id]:
            pair = account_id, change.leg_id, change.version
            wanted = not kinds.isdisjoint(found.kinds)
            end, fault = judge.end_of(pair, wanted)
            ledger.ends[end] += 1
            ledger.wrong += [f"{pair} {end}: {fault}"] if fault else []
    ledger.wrong += [f"{pair}: no such change" for pair in rows.keys() - judge.judged]
    return ledger


class Judge:
    """One delivery against the evidence."""

    def __init__(
        self,
        epoch: str,
        rows: Mapping[tuple[str, int, int], Any],
        targets: Mapping[str, Sequence[str]],
        evidence: Evidence,
    ) -> None:
        self.epoch = epoch
        self.rows = rows
        self.targets = targets
        self.evidence = evidence
        self.judged: set[tuple[str, int, int]] = set()

    def end_of(self, pair: tuple[str, int, int], wanted: bool) -> tuple[str, str]:
        """The end, and what is wrong with it."""
        row = self.rows.get(pair)
        self.judged.add(pair)
        if row is None:
            return ("missing", "no delivery") if wanted else ("muted", "")
        if not wanted:
            return row["state"], "nobody wanted it"
        match row["state"]:
            case "seen":
                return self._seen(row)
            case "sent":
                pushed = any(self._got(target, row) for target in self.targets[pair[0]])
                return "pushed", "" if pushed else "no phone got it"
            case "superseded":
                return "superseded", self._unspoken(row)
            case "held":
                return "held", "" if row["waits"] else "its hold is over"
            case "expired" | "suppressed" | "undeliverable":
                return row["state"], "" if row["reason"] else "no reason"
        return row["state"], "still open"

    def _got(self, target: str, row: Any) -> bool:
        return self.evidence.pushed[target, f"{self.epoch}:{row['seq']}"] > 0

    def _seen(self, row: Any) -> tuple[str, str]:
        shown = self.evidence.displayed.get((row["account_id"], row["leg_id"]), [])
        versions = [version for version, there in shown if there or not row["urgent"]]
        if row["version"] in versions:
            return "live", ""
        return "conflated", "" if max(versions, default=0) > row["version"] else "on no screen"

    def _unspoken(self, row: Any) -> str:
        if not row["reason"]:
            return "no reason"
        said = SAID_WITH.fullmatch(row["reason"])
        other = said and self.rows.get((row["account_id"], row["leg_id"], int(said[1])))
        if said and (other is None or other["state"] not in ANSWERED):
            return f"{row['reason']}, which was not said"
        return ""


async def uninformed(
    pool: "Pool[asyncpg.Record]", evidence: Evidence, after_seq: int
) -> Sequence[str]:
    """Whose last word on a gate or a cancellation was left out although they do not know it."""
    owners = {row["target"]: row["account_id"] for row in await pool.fetch(TARGETS)}
    found = await pool.fetch("SELECT key, leg_id FROM flight_leg")
    legs = {row["key"]: row["leg_id"] for row in found}
    heard: dict[tuple[str, int], int] = defaultdict(int)
    for (target, key), version in evidence.told.items():
        who = owners[target], legs[key]
        heard[who] = max(heard[who], version)
    for who, shown in evidence.displayed.items():
        heard[who] = max(heard[who], *(version for version, _ in shown))
    return [
        f"{dict(row)}, knows {heard[row['account_id'], row['leg_id']]}"
        for row in await pool.fetch(LAST_WORDS, after_seq)
        if heard[row["account_id"], row["leg_id"]] < row["version"]
    ]


LAST_WORDS = """
WITH last AS (
  SELECT DISTINCT ON (leg_id) leg_id, version FROM change_log
  WHERE seq > $1 AND kind = 'leg' AND (changed ? 'dep_gate' OR changed ? 'irregularity')
  ORDER BY leg_id, version DESC)
SELECT d.account_id::text, d.leg_id, d.version, d.reason FROM delivery d
JOIN last USING (leg_id, version)
WHERE d.state = 'superseded' AND d.reason NOT LIKE 'back at %' AND d.reason NOT IN
    ('departed', 'cancelled', 'never told of a cancellation', 'not shown any more')
  AND NOT EXISTS (SELECT FROM delivery o WHERE (o.account_id, o.leg_id) = (d.account_id, d.leg_id)
    AND (o.state = 'undeliverable'
      OR o.version >= d.version AND o.state IN ('expired','suppressed','held')))
"""


def percentile(sorted_values: Sequence[float], share: float) -> float:
    """Of values in order."""
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]


async def settled_down(pool: "Pool[asyncpg.Record]", within: float) -> None:
    """Until the whole log is read and nothing is open but what waits for a board time."""
    done = f"""SELECT (SELECT seq FROM log_reader WHERE name = 'notifier')
      = (SELECT last_seq FROM relay_state) AND NOT EXISTS (SELECT FROM unsequenced())
      AND NOT EXISTS (SELECT FROM delivery WHERE {OPEN})"""
    try:
        await until(lambda: pool.fetchval(done), within=within, what="only held ones are left")
    except AssertionError as error:
        left = await pool.fetch(f"SELECT *, wall_now() FROM delivery WHERE {OPEN} LIMIT 3")
        error.add_note("\n".join(str(dict(row)) for row in left))
        raise


OPEN = """(state IN ('pending','claimed') OR state = 'held'
  AND (held_until IS NULL OR held_until <= board_now()))"""
