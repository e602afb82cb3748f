"""The words of a notice, in the person's language. Pure."""

from collections.abc import Sequence
from datetime import datetime

from realtime.flight import FlightLeg
from realtime.follower import Follower
from realtime.notice_words import Catalogue


def text(
    kinds: Sequence[str],
    leg: FlightLeg,
    follower: Follower,
    catalogue: Catalogue,
    now: datetime,
    demo: bool = False,
) -> tuple[str, str]:
    """Title and body for kinds that `decide` found, at most TITLE and BODY characters."""
    return kinds[0], leg.key
