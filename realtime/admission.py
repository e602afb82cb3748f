"""How many may come in at once: who comes too soon is told to come back. Pure."""


class Admission:
    """A bucket that holds what two seconds allow."""

    __slots__ = ("_at", "_left")

    def __init__(self) -> None:
        self._left = float("inf")
        self._at = 0.0

    def take(self, now: float, rate: float) -> bool:
        """Whether one more may come in; `rate` is how many may in a second."""
        self._left = min(2 * rate, self._left + (now - self._at) * rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
