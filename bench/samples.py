"""Figures out of samples: percentiles by nearest rank, in milliseconds."""

import math
from collections.abc import Sequence

from msgspec import Struct


class Figures(Struct, frozen=True):
    """Of one series, in milliseconds; all zero when there are no samples."""

    samples: int
    p50: float
    p90: float
    p99: float
    max: float


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest sample that at least this share of all does not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def figures_of(seconds: Sequence[float]) -> Figures:
    """Percentiles of durations in seconds."""
    if not seconds:
        return Figures(0, 0, 0, 0, 0)
    ordered = sorted(each * 1000 for each in seconds)
    p50, p90, p99 = (round(percentile(ordered, share), 2) for share in (0.5, 0.9, 0.99))
    return Figures(len(ordered), p50, p90, p99, round(ordered[-1], 2))
