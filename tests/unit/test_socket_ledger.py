"""The ledger of sockets finds what it has to find."""

import pytest

from tests.support.socket_ledger import How, Shown, account_sockets

SURFACE = ("flight:B61-2013-03-08-JFK-MCO", "B61-2013-03-08-JFK-MCO")


class Subscriber:
    """Of one flight."""

    def __init__(self) -> None:
        self.shown = Shown()
        self.surfaces = [SURFACE]


async def shown(*versions: tuple[int, How]) -> Subscriber:
    subscriber = Subscriber()
    for version, how in versions:
        subscriber.shown.show(SURFACE, version, how)
    return subscriber


async def test_every_version_since_the_first_is_accounted_for() -> None:
    steps: list[tuple[int, How]] = [(2, "resynchronised"), (3, "conflated"), (6, "conflated")]
    subscriber = await shown(*steps, (9, "resynchronised"), (9, "resynchronised"))
    ledger = account_sockets({SURFACE[1]: 9}, [subscriber], slow=True)
    assert ledger.wrong == []
    assert ledger.line == (
        "pairs=8 conflated=2 displayed=4 resynchronised=2 unaccounted=0 duplicates_dropped=1"
    )
    assert len(account_sockets({SURFACE[1]: 9}, [subscriber]).wrong) == 2  # a steady client


@pytest.mark.parametrize(
    ("steps", "wrong"),
    [
        ([(1, "resynchronised"), (2, "conflated")], "3: lost"),  # the end never came
        ([(1, "resynchronised"), (3, "lost")], "2: lost"),  # a recovery left something out
        ([(2, "resynchronised"), (3, "conflated"), (3, "conflated")], "3 after 3"),  # came again
        ([], "1: lost"),
    ],
)
async def test_what_is_wrong_is_named(steps: list[tuple[int, How]], wrong: str) -> None:
    ledger = account_sockets({SURFACE[1]: 3}, [await shown(*steps)], slow=True)
    assert wrong in ledger.wrong[0]
