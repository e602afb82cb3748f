"""Devices behind FCM: what they keep while offline, and what they show of what reaches them. Pure.

FCM may bring a push late, twice or after a newer one. Our app drops an id that it has shown and a
version below the newest of the tag; a later one with the same tag takes the place of the earlier.
"""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

Json = dict[str, Any]
STORED = 100  # pushes that do not collapse; beyond that FCM discards all and says so


class Device:
    """One phone or browser."""

    def __init__(self, *, online: bool = True) -> None:
        self.online = online
        self.stored: list[Json] = []
        self.alerts: Counter[str] = Counter()  # by id
        self.shown: list[tuple[str, int]] = []  # tag and version, as they came to the screen
        self.newest: dict[str, int] = {}
        self.discarded = 0

    def reach(self, push: Json, now: float) -> None:
        """FCM has a push for it."""
        if self.online:
            self.show(push)
            return
        key = collapse_key(push)
        if key is not None:
            self.stored = [each for each in self.stored if collapse_key(each) != key]
        self.stored.append(push)
        if sum(collapse_key(each) is None for each in self.stored) > STORED:
            self.stored.clear()
            self.discarded += 1

    def connect(self, now: float) -> None:
        """It is back, and gets what has not expired."""
        self.online = True
        stored, self.stored = self.stored, []
        for push in stored:
            if now < int(push["data"]["exp"]):
                self.show(push)

    def show(self, push: Json) -> None:
        """What the app does with a push."""
        told = push["data"]
        tag, version = told["tag"], int(told["v"])
        if self.alerts[told["id"]] or version < self.newest.get(tag, 0):
            return
        self.alerts[told["id"]] += 1
        self.shown.append((tag, version))
        self.newest[tag] = version


def collapse_key(push: Json) -> str | None:
    """What lets FCM keep only the newest; Android's pushes have none, on purpose."""
    if "webpush" in push:
        return str(push["webpush"]["headers"]["Topic"])
    return str(push["apns"]["headers"]["apns-collapse-id"]) if "apns" in push else None


def deliver(
    pushes: Iterable[Json], dice: random.Random, *, twice: float = 0.1, swapped: float = 0.2
) -> Sequence[Json]:
    """In the order in which they arrive: some twice, some after what was sent later."""
    arriving: list[tuple[float, Json]] = []
    for number, push in enumerate(pushes):
        for _ in range(1 + (dice.random() < twice)):
            late = dice.uniform(0, 50) if dice.random() < swapped else 0.0
            arriving.append((number + late, push))
    return [push for _, push in sorted(arriving, key=lambda one: one[0])]


def reached(pushes: Iterable[Json], dice: random.Random) -> dict[str, Device]:
    """The devices of all targets after everything has arrived."""
    devices: dict[str, Device] = {}
    for push in deliver(pushes, dice):
        target = push.get("fid") or push["token"]
        devices.setdefault(target, Device()).reach(push, push["at"])
    return devices
