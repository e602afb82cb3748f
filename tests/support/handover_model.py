"""A model of the hand-over between screen and phone, small enough to visit all of its states.

One account, one phone, one leg with two changes of one kind. A socket that may go half-open, two
push workers, receipts that get lost, a reader that reads again, crashes, leases that run out,
answers that do not come. The names are those of the statements in queries.sql: the same steps are
replayed against them.
"""

from collections.abc import Iterator
from typing import NamedTuple

Step = tuple[str, *tuple[int | str, ...]]
LAST = 2  # changes
OPEN = ("pending", "claimed")
DEAD = 9  # holds the claims of workers that crashed
RIGHT, PRESENCE, NO_MARK, NO_CLAIM, RECORD_FIRST = (
    "right",
    "a socket exists: no push",
    "receipts are not kept",
    "no claim before the send",
    "recorded before the send",
)


class Rules(NamedTuple):
    """What may happen; `quick`: receipts arrive within the grace."""

    faults: int = 0
    quick: bool = False
    resume: bool = True
    expiry: bool = False
    urgent: tuple[bool, bool] = (False, False)
    rule: str = RIGHT


class Row(NamedTuple):
    """One delivery; `worker` holds the claim."""

    state: str
    worker: int = -1


class Hands(NamedTuple):
    """What one worker is at: nothing, about to send (`ready`) or about to record an outcome."""

    rows: tuple[int, ...] = ()
    says: int = 0  # version of the leg when it was loaded
    outcome: str = ""


IDLE = Hands()


class State(NamedTuple):
    """Everything; the last four lines are what the outside world knows."""

    committed: int = 0
    read: int = 0  # position of the notifier's reader
    rows: tuple[Row, ...] = ()
    receipt: int = 0
    attentive: int = 0
    told: int = 0
    expired: bool = False
    hands: tuple[Hands, Hands] = (IDLE, IDLE)
    socket: str = "up"  # up, half (the server has not noticed), down
    displayed: int = 0
    attended: int = 0  # displayed while somebody was there
    under_way: int = 0  # receipts, one bit for each version and attention
    pushed: tuple[int, ...] = (0,) * LAST  # accepted by the provider, by id
    phone: int = 0
    faults: int = 0


class Broken(Exception):
    """A promise that a step breaks."""


def moves(s: State, rules: Rules) -> Iterator[tuple[Step, State]]:
    """Every step that may be taken, faults too while there are any left."""
    if s.committed < LAST:
        yield ("commit",), s._replace(committed=s.committed + 1)
    if s.read < s.committed:
        yield ("enqueue",), enqueue(s, rules)
    if rules.expiry and not s.expired and s.committed == LAST:
        yield ("expire",), s._replace(expired=True)
    yield from _socket(s, rules)
    for bit in range(2 * LAST):
        if s.under_way >> bit & 1:
            version, attentive = bit // 2 + 1, bit % 2
            rest = s._replace(under_way=s.under_way & ~(1 << bit))
            yield ("receipt", version, attentive), receive(rest, version, bool(attentive), rules)
            if s.faults < rules.faults:
                yield ("lose", version, attentive), rest._replace(faults=s.faults + 1)
    for worker in range(len(s.hands)):
        yield from _worker(s, worker, rules)
    if any(row == ("claimed", DEAD) for row in s.rows):
        yield ("release", DEAD), release(s, DEAD)
    if s.faults < rules.faults and s.read:
        yield ("reread",), s._replace(read=0, faults=s.faults + 1)


def _socket(s: State, rules: Rules) -> Iterator[tuple[Step, State]]:
    if s.socket == "up" and s.displayed < s.committed:
        for attentive in range(1 + any(rules.urgent)):
            yield ("display", attentive), display(s, attentive)
    if s.socket == "up" and s.faults < rules.faults:
        yield ("drop",), s._replace(socket="half", faults=s.faults + 1)
    if s.socket == "half":
        yield ("detect",), s._replace(socket="down")
    if s.socket == "down" and rules.resume:
        yield ("resume",), s._replace(socket="up", under_way=s.under_way | _bit(s.displayed, 0))


def _bit(version: int, attentive: int) -> int:
    return 1 << 2 * (version - 1) + attentive if version else 0


def display(s: State, attentive: int) -> State:
    """The screen shows the newest state and says so."""
    return s._replace(
        displayed=s.committed,
        attended=s.committed if attentive else s.attended,
        under_way=s.under_way | _bit(s.committed, attentive),
    )


def covers(s: State, version: int, rules: Rules) -> bool:
    """A stored receipt settles this delivery."""
    return version <= (s.attentive if rules.urgent[version - 1] else s.receipt)


def enqueue(s: State, rules: Rules) -> State:
    """The next change of the log: its delivery, unless it is there."""
    version = s.read + 1
    s = s._replace(read=version)
    if version <= len(s.rows):
        return s
    seen = covers(s, version, rules) and rules.rule != NO_MARK
    s = s._replace(rows=(*s.rows, Row("seen" if seen else "pending")))
    return _learn(s, {version} if seen else set(), rules)


def receive(s: State, version: int, attentive: bool, rules: Rules) -> State:
    """A receipt is recorded and settles what it covers."""
    s = s._replace(
        receipt=max(s.receipt, version),
        attentive=max(s.attentive, version * attentive),
    )
    settled = {
        number
        for number, row in enumerate(s.rows, 1)
        if row.state in OPEN and covers(s, number, rules)
    }
    rows = tuple(Row("seen") if n in settled else row for n, row in enumerate(s.rows, 1))
    return _learn(s._replace(rows=rows, told=max(s.told, s.attentive)), settled, rules)


def _learn(s: State, settled: set[int], rules: Rules) -> State:
    """What was seen is told, but nothing beyond an urgent delivery that is still to be made."""
    urgent = [n for n, row in enumerate(s.rows, 1) if row.state in OPEN and rules.urgent[n - 1]]
    known = [n for n in settled if n < min(urgent, default=LAST + 1)]
    return s._replace(told=max(s.told, *known, 0) if known else s.told)


def release(s: State, holder: int) -> State:
    """A lease ran out."""
    return s._replace(
        rows=tuple(Row("pending") if row == ("claimed", holder) else row for row in s.rows)
    )


def _worker(s: State, worker: int, rules: Rules) -> Iterator[tuple[Step, State]]:
    hands = s.hands[worker]
    fault = s.faults < rules.faults
    if hands == IDLE:
        if takes(s, rules):
            yield ("take", worker), take(s, worker, rules)
        return
    if not hands.outcome:
        yield from _sends(s, worker, fault)
    else:
        yield ("record", worker), record(s, worker, rules)
    if fault:
        spent = s._replace(faults=s.faults + 1)
        if any(row == ("claimed", worker) for row in s.rows):
            yield ("release", worker), release(spent, worker)
        yield ("crash", worker), crash(spent, worker)


def takes(s: State, rules: Rules) -> bool:
    """Something is due and no worker is at it."""
    states = [row.state for row in s.rows]
    waits = s.under_way or (s.socket == "up" and s.displayed < s.committed)
    return "pending" in states and "claimed" not in states and not (rules.quick and waits)


def take(s: State, worker: int, rules: Rules) -> State:
    """Claim and load: all open deliveries at once; what to say depends on what is told."""
    taken = tuple(n for n, row in enumerate(s.rows, 1) if row.state == "pending")
    if any(covers(s, version, rules) for version in taken):
        raise Broken("claimed after its receipt")
    if rules.rule == PRESENCE and s.socket != "down":
        return _with_rows(s, taken, Row("seen"))
    if rules.rule == RECORD_FIRST:
        s = _with_rows(s, taken, Row("sent"))
    elif rules.rule != NO_CLAIM:
        s = _with_rows(s, taken, Row("claimed", worker))
    outcome = "expired" if s.expired else "known" if s.told >= s.committed else ""
    return _with_hands(s, worker, Hands(taken, s.committed, outcome))


def _sends(s: State, worker: int, fault: bool) -> Iterator[tuple[Step, State]]:
    hands = s.hands[worker]
    newest = hands.rows[-1]
    pushed = tuple(count + (n == newest) for n, count in enumerate(s.pushed, 1))
    accepted = s._replace(pushed=pushed, phone=max(s.phone, hands.says))
    yield (
        ("send", worker, "sent"),
        _with_hands(accepted, worker, hands._replace(outcome="sent")),
    )
    if fault:
        for outcome, after in (("retry", s), ("no answer", accepted), ("refused", s)):
            spent = after._replace(faults=s.faults + 1)
            yield (
                ("send", worker, outcome),
                _with_hands(spent, worker, hands._replace(outcome=outcome)),
            )


def record(s: State, worker: int, rules: Rules) -> State:
    """Write down what became of the deliveries that are still this worker's."""
    hands = s.hands[worker]
    s = _with_hands(s, worker, IDLE)
    mine = [n for n in hands.rows if s.rows[n - 1] == ("claimed", worker)]
    if rules.rule == NO_CLAIM:
        mine = [n for n in hands.rows if s.rows[n - 1].state == "pending"]
    if not mine:
        return s
    if hands.outcome == "sent":
        s = s._replace(told=max(s.told, hands.says))
    ends = {"known": "superseded", "refused": "undeliverable", "expired": "expired"}
    end = ends.get(hands.outcome, "sent" if hands.outcome == "sent" else "pending")
    for version in mine:
        older = end in ("sent", "undeliverable") and version < hands.rows[-1]
        s = _with_rows(s, (version,), Row("superseded" if older else end))
    return s


def crash(s: State, worker: int) -> State:
    """The worker is gone; another one takes its place, its claims wait for the lease."""
    rows = tuple(Row("claimed", DEAD) if row == ("claimed", worker) else row for row in s.rows)
    return _with_hands(s._replace(rows=rows), worker, IDLE)


def _with_rows(s: State, versions: tuple[int, ...], value: Row) -> State:
    return s._replace(
        rows=tuple(value if n in versions else row for n, row in enumerate(s.rows, 1))
    )


def _with_hands(s: State, worker: int, value: Hands) -> State:
    return s._replace(hands=(value, s.hands[1]) if worker == 0 else (s.hands[0], value))


def check(s: State) -> None:
    """What holds in every state."""
    if max(s.pushed) > 1 + s.faults:
        raise Broken(f"pushed {max(s.pushed)} times with {s.faults} faults")
    if s.told > max(s.displayed, s.phone):
        raise Broken("held for told, but neither displayed nor pushed")


def check_end(s: State, rules: Rules) -> None:
    """What holds when nothing more can happen but faults."""
    states = [row.state for row in s.rows]
    if any(state in OPEN for state in states):
        raise Broken("left open")
    excused = {"expired", "undeliverable"} & set(states)
    shown = s.attended if rules.urgent[-1] else s.displayed
    if not excused and max(shown, s.phone) < LAST:
        raise Broken("lost")
    if states[-1] == "sent" and not any(s.pushed):
        raise Broken("lost: recorded as sent, but no push was accepted")
    if rules.quick and not s.faults:
        channels = (s.displayed == LAST) + (s.phone == LAST)
        if channels != 1 or (s.displayed == LAST and any(s.pushed)):
            raise Broken("two channels without a fault")


class Found(NamedTuple):
    """How many states there are, and the first promise that was broken in one of them."""

    states: int
    broken: str = ""
    trace: tuple[Step, ...] = ()


def explore(rules: Rules, socket: str = "up") -> Found:
    """Visit every state, breadth first, so that the trace of a broken promise is a shortest one."""
    start = State(socket=socket)
    seen: dict[State, tuple[State, Step] | None] = {start: None}
    queue = [start]
    for state in queue:  # grows while it is read
        try:
            check(state)
            after = list(moves(state, rules))
            if all(new.faults > state.faults for _, new in after):
                check_end(state, rules)
        except Broken as broken:
            return Found(len(seen), str(broken), trace_to(state, seen))
        for step, new in after:
            if new not in seen:
                seen[new] = (state, step)
                queue.append(new)
    return Found(len(seen))


def trace_to(state: State, seen: dict[State, tuple[State, Step] | None]) -> tuple[Step, ...]:
    """The steps that lead to a state."""
    steps: list[Step] = []
    while (origin := seen[state]) is not None:
        state, step = origin
        steps.append(step)
    return tuple(reversed(steps))
