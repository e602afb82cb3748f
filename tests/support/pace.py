"""How long things may take on a machine that has other work as well."""

import os

FAST_UP_TO = 4  # of what wants to run, for each core


def allowed(seconds: float) -> float:
    """A limit of an idle machine, as many times longer as more wants to run here than can."""
    recent, _, _ = os.getloadavg()
    return seconds * max(1.0, 2 * recent / (os.cpu_count() or 1))


def overloaded() -> bool:
    """So much wants to run here that no client can be called fast."""
    recent, _, _ = os.getloadavg()
    return recent > FAST_UP_TO * (os.cpu_count() or 1)
