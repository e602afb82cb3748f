"""How a notice leaves for one device: the contract only."""

from collections.abc import Sequence
from enum import Enum
from typing import Protocol

from msgspec import Struct

PRINTED = "printed"  # the detail of what a sender took that sends nothing
MUTED = "alerts are off on every device"  # why nothing is sent to an account that has some
SEND_SHARE = 0.5  # of a lease: the longest that one call of `send` lasts


class Target(Struct, frozen=True):
    """One push target of an account; kind is `fid` or `token`, platform android, ios or web."""

    device_id: str
    platform: str
    kind: str
    target: str


class Notice(Struct, frozen=True):
    """One text for one follower; `id` is `<epoch>:<seq>` and the same on every repeat. A test
    notice is about no leg: its key is empty."""

    id: str
    leg_key: str
    version: int  # of the leg that shows it; 0: none does
    kinds: tuple[str, ...]
    title: str
    body: str
    urgent: bool
    ttl: int  # seconds until the fact is of no use
    number: str = ""  # as passengers know it; empty: the one in the leg key
    at: str = ""  # when the fact became known
    old: str = ""
    new: str = ""
    silent: bool = False  # a screen of the account has shown it, without anybody at it

    @property
    def tag(self) -> str:
        """What a later notice replaces on a device: the most important kind of one leg."""
        if not self.leg_key:
            return self.id
        return f"{self.leg_key}:{self.kinds[0] if self.kinds else ''}"


class Outcome(Enum):
    """What the provider said of one send."""

    ACCEPTED = "accepted"
    GONE = "gone"  # the target does not exist any more: never send to it again
    REFUSED = "refused"  # this notice to this target will never be taken
    RETRY = "retry"  # later, with the same id


class Sent(Struct, frozen=True):
    """The outcome of one send; `retry_after` in seconds when the provider named it."""

    outcome: Outcome
    detail: str = ""
    retry_after: float | None = None


class Sender(Protocol):
    """Adapter to a push provider."""

    async def send(self, sends: Sequence[tuple[Target, Notice]]) -> list[Sent]:
        """One outcome for each pair, in order; provider faults become RETRY, never an exception.

        It ends within SEND_SHARE of the lease of a claim; what it had no time for is RETRY.
        """
        ...

    async def close(self) -> None: ...
