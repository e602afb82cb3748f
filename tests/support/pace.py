"""How long things may take on a machine that has other work as well."""

import os


def allowed(seconds: float) -> float:
    """A limit of an idle machine, as many times longer as more wants to run here than can."""
    recent, _, _ = os.getloadavg()
    return seconds * max(1.0, 2 * recent / (os.cpu_count() or 1))
