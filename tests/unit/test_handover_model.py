"""The rule "seen live or pushed, never lost": every interleaving of its model, and of wrong rules.

Whoever simplifies the rule has to simplify it here first, and sees what breaks.
"""

import pytest

from tests.support.handover_model import (
    NO_CLAIM,
    NO_MARK,
    PRESENCE,
    RECORD_FIRST,
    Rules,
    explore,
)

URGENT_FIRST, URGENT_LAST = (True, False), (False, True)
RIGHT = [
    ("receipts within the grace, on screen", Rules(quick=True), "up", 31),
    ("receipts within the grace, away", Rules(quick=True, resume=False), "down", 44),
    ("receipts of any age", Rules(), "up", 448),
    ("away, then back", Rules(faults=1), "down", 6_459),
    ("one fault, notices expire", Rules(faults=1, expiry=True), "up", 15_265),
    ("one fault, the first change urgent", Rules(faults=1, urgent=URGENT_FIRST), "up", 16_061),
    ("one fault, the last change urgent", Rules(faults=1, urgent=URGENT_LAST), "up", 19_032),
    ("two faults", Rules(faults=2), "up", 39_656),
    ("two faults, notices expire", Rules(faults=2, expiry=True), "up", 101_401),
]
WRONG = [
    (Rules(faults=1, resume=False, rule=PRESENCE), "up", "lost"),
    (Rules(quick=True, rule=NO_MARK), "up", "claimed after its receipt"),
    (Rules(rule=NO_CLAIM), "down", "pushed 2 times with 0 faults"),
    (Rules(faults=1, rule=RECORD_FIRST), "up", "recorded as sent, but no push was accepted"),
]


@pytest.mark.parametrize(("what", "rules", "socket", "states"), RIGHT)
def test_the_rule_loses_nothing_and_repeats_only_for_a_fault(
    what: str, rules: Rules, socket: str, states: int
) -> None:
    found = explore(rules, socket)
    print(f"{what}: {found.states} states")
    assert not found.broken, found
    assert found.states == states


@pytest.mark.parametrize(("rules", "socket", "broken"), WRONG)
def test_a_simpler_rule_is_caught(rules: Rules, socket: str, broken: str) -> None:
    found = explore(rules, socket)
    print(f"{rules.rule}: {found.broken} after {len(found.trace)} steps of {found.states} states")
    assert broken in found.broken
    assert not explore(rules._replace(rule="right"), socket).broken
